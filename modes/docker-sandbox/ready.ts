// Detection of an installed and ready client, and the setup steps.
import type { Context, Detection, SetupStep } from '../../lib/contract.js';
import { type Captured, succeeded, whyFailed } from '../../lib/os/capture.js';
import {
  diagnose,
  INSTALL,
  identify,
  lackHere,
  readList,
  type SandboxState,
  sandbox,
} from './client.js';
import { CLONE } from './sandbox.js';
import { namesTemplate, templateOf } from './template.js';

/** Detection may take 5 s in total and makes up to three calls in sequence. */
const DETECT_MS = 4500;

export async function detect(ctx: Context): Promise<Detection<SandboxState>> {
  const until = Date.now() + DETECT_MS;
  const found = await identify(ctx);
  if (!('cli' in found)) return found;
  const { cli, version } = found;
  const leftMs = Math.max(500, until - Date.now());
  const [listed, policy] = await Promise.all([
    sandbox(ctx, cli, ['ls', '--json'], leftMs),
    cli === 'sbx' ? sandbox(ctx, cli, ['policy', 'ls'], leftMs) : undefined,
  ]);
  const trouble = diagnose(ctx, cli, listed) ?? (policy && diagnose(ctx, cli, policy));
  if (trouble) return trouble;
  if (!readList(listed.stdout))
    return {
      status: 'broken',
      reason: `${cli} ls: ${whyFailed(listed)}`,
      hint: `${cli} ls --json`,
    };
  const whole = `${cli} ${version}`;
  return {
    status: 'ready',
    version: whole,
    facts: { cli, client: cli === 'sbx' ? whole : `${whole} (deprecated, replaced by sbx)` },
    state: { cli },
    // The older client does not support clones.
    variants: cli === 'sbx' ? [{ id: CLONE, isolation: 'microvm', workspace: 'copy' }] : [],
  };
}

/** The steps from an empty machine to a first sandbox. The older client needs none of them. */
export async function setup(ctx: Context): Promise<SetupStep[]> {
  const found = await identify(ctx);
  if ('cli' in found && found.cli !== 'sbx') return [REPLACED, CREDENTIALS];
  const here = 'cli' in found;
  const lack = lackHere(ctx);
  const results = here
    ? await Promise.all(
        [
          ['ls', '--json'],
          ['policy', 'ls'],
          ['template', 'ls'],
        ].map((args) => sandbox(ctx, 'sbx', args, DETECT_MS)),
      )
    : [];
  const [listed, policy, templates] = results;
  /**
   * False if the client reports that exactly this step is missing; undefined if it fails before it
   * gets that far.
   */
  const done = (result: Captured | undefined, hint: string) =>
    result === undefined
      ? undefined
      : succeeded(result) || (diagnose(ctx, 'sbx', result)?.hint === hint ? false : undefined);
  const pulled =
    templates && succeeded(templates) ? namesTemplate(ctx, templates.stdout) : undefined;
  return [
    {
      text: `a machine that sbx runs on${lack === undefined ? '' : `: ${lack.reason}`}`,
      // On Windows only administrators can query the hypervisor.
      done: lack ? false : ctx.platform === 'win32' ? undefined : true,
      hint:
        lack?.hint ??
        'macOS 14 on Apple silicon, Windows 11 with its Hypervisor Platform, or Ubuntu 24.04 with KVM',
    },
    {
      text: here ? `sbx ${found.version}` : 'sbx is on PATH',
      done: here,
      hint: INSTALL[ctx.platform] ?? 'see docs.docker.com/ai/sandboxes',
    },
    { text: 'you are signed in to Docker', done: done(listed, 'sbx login'), hint: 'sbx login' },
    {
      text: 'the network has a policy',
      done: done(policy, 'sbx policy init balanced'),
      hint: 'sbx policy init balanced',
    },
    {
      text: `the template is here: ${templateOf(ctx)}`,
      done: pulled,
      hint: 'npx cagematch build docker-sandbox',
    },
    CREDENTIALS,
  ];
}

const REPLACED: SetupStep = {
  text: '`docker sandbox` is deprecated: sbx, which replaces it, is measured as soon as it is on PATH',
  done: undefined,
  hint: 'see docs.docker.com/ai/sandboxes',
};

/** Cagematch does not store a credential there, so it has nothing to check. */
const CREDENTIALS: SetupStep = {
  text: 'credentials: a match that is replayed needs none. Live, an API key stays on this host, where the proxy of sbx puts it into requests (--deliver runtime-proxy); a subscription does not go that way: sbx does not support CLAUDE_CODE_OAUTH_TOKEN, and `/login` is by hand in each sandbox. --deliver env hands its token to the guest itself',
  done: undefined,
  hint: 'sbx secret set anthropic (asks for the key, or reads it from stdin)',
};
