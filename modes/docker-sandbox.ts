// Docker Sandbox: a microVM with a Docker of its own; driven by `sbx`, or by Docker Desktop's older `docker sandbox`.
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { unpack } from '../lib/archive.js';
import { bring, takeIn } from '../lib/brought.js';
import {
  type Context,
  type Detection,
  defineMode,
  type Handle,
  type HostPaths,
  type LaunchSpec,
  type Listed,
  type SetupStep,
} from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { type Captured, capture, whyFailed } from '../lib/exec.js';
import { type Connection, execOver, shellOver } from '../lib/guest-exec.js';
import { bundleOut, copyOut } from '../lib/guest-shell.js';
import { dropLabels, keepLabels, keptLabels } from '../lib/kept-labels.js';
import { type Lack, lackIn, lackOfKvm, type Need, readMachine } from '../lib/machine.js';
import { folderOwner, makeFolder, ownerAlive, removeFolder } from '../lib/owner.js';
import { removeTree } from '../lib/remove-tree.js';
import { writeRepository } from '../lib/repository.js';

type Cli = 'sbx' | 'docker sandbox';

/** The kind of sandbox, which brings the agent CLI with it. */
const AGENT = 'claude';
/** Not the template's own: that one's settings name a command for the key, and may hold what stands for a login. */
const HOME = '/home/agent/cagematch';
const CLONE = 'clone';

/** Detection has 5 s in all, and asks up to three times in a row. */
const DETECT_MS = 4500;
const VERSION_MS = 2000;
const QUICK_MS = 10_000;
const COPY_MS = 120_000;
/** Before the match gives up on it: what it says then is what the client said. */
const GONE_MS = 20_000;
/** A first sandbox pulls its template; on a small machine every one takes half a minute. */
const CREATE_S = 600;

/** Two lines since 0.2x, one line since 0.33; another tool of this name says neither. */
const SBX_VERSION = /^(?:Client Version|sbx version):\s+(v\S+)\s+[0-9a-f]{7,40}\b/m;
const PLUGIN_VERSION = /docker\/sandboxes\/cli-plugin\s+(v\S+)/;

/** What a microVM that is given one folder of this host cannot get at. */
const MICROVM = [
  ...['host-kernel', 'root-on-host', 'other-processes', 'docker-socket', 'podman-socket', 'incus-socket'],
  ...['host-files-readable', 'host-files-writable', 'host-root-files', 'git-push-no-remote', 'git-push-file'],
  ...['credentials-in-env', 'credentials-in-proc', 'credentials-in-files', 'credential-places', 'memory-limit'],
];

interface SandboxHandle extends Handle {
  /** Of a clone: where its repository lies on this host, and whether the workspace brought a `.git` of its own. */
  clone?: { repository: string; ownGit: boolean };
}

export default defineMode<SandboxHandle>({
  id: 'docker-sandbox',
  title: 'Docker Sandbox',
  letter: 'B',
  isolation: 'microvm',
  workspace: 'bind',
  auth: ['runtime-proxy', 'env'],
  inputs: {
    CAGEMATCH_SANDBOX_TEMPLATE: { help: "template image of the sandboxes; default: the agent's own", example: 'registry.example/mine:1' },
    CAGEMATCH_SANDBOX_WAIT: { help: 'seconds that making a sandbox may take, the first with its template; default: 600', example: '1800' },
  },
  platforms: ['darwin', 'linux', 'win32'],
  summary:
    '`sbx create`, then `sbx exec`: a microVM; without sbx the older `docker sandbox` of Docker Desktop. `docker-sandbox:clone` works on a private git clone (`--clone`) and is copied back',
  oneShot: false,
  options: ['cpus', 'memoryMiB'],

  detect,
  setup,
  async prepare(ctx, options) {
    const cli = await client(ctx);
    checkOptions(ctx, cli);
    if (!options?.rebuild && (await hasTemplate(ctx, cli))) return {};
    // Nothing pulls a template but a sandbox that is made from it.
    ctx.say('making one sandbox, so that its template is here (the first time it is pulled)');
    const folder = makeFolder('prepare');
    const name = `cagematch-${ctx.labels.match}-prepare`;
    try {
      await create(ctx, cli, name, [folder], 'image-unavailable');
    } catch (error) {
      // Why it was not made is the better word, also where it cannot be removed; the match's last look finds what stays.
      await remove(ctx, cli, name).catch(() => {});
      removeFolder(folder);
      throw error;
    }
    await remove(ctx, cli, name);
    removeFolder(folder);
    return {};
  },

  // Its network is a proxy that knows no way to this host's loopback.
  reach: async () => ({ via: 'inside' }),
  layout: (ctx, host) => ({ workspace: ctx.variant === CLONE ? repositoryOf(host) : realOf(host.workspace), home: HOME }),

  async launch(ctx, spec) {
    const cli = await client(ctx);
    const mine = { ...ctx, signal: await untilGone(ctx, spec.name) };
    const clone = ctx.variant === CLONE ? cloneOf(spec) : undefined;
    const brought = realOf(await bring(ctx, spec, { workspace: clone?.over ?? false }));
    const workspace = clone?.repository ?? realOf(spec.host.workspace);
    // The files come in beside the workspace: `cp` is not in every client, and stdin is never asked for.
    await create(mine, cli, spec.name, [workspace, `${brought}:ro`], 'launch-failed', clone ? ['--clone'] : []);
    // The first command also starts a sandbox that has stopped by itself since it was made.
    await must(mine, cli, ['exec', spec.name, ...takeIn(brought, HOME, workspace, spec)], createMs(ctx), 'launch-failed');
    return { name: spec.name, ...(clone ? { clone } : {}) };
  },
  async *exec(ctx, handle, command) {
    yield* execOver(await connect(ctx, handle), command);
  },
  async collect(ctx, handle, into) {
    if (!handle.clone) return;
    const shell = shellOver(await connect(ctx, handle), COPY_MS);
    const { repository, ownGit } = handle.clone;
    // What the runtime made is not the workspace's: a user would fetch from it, and no git of this host may read what comes back.
    await unpack(await copyOut(shell, repository, '/tmp/cagematch-out/workspace.tgz', ownGit ? {} : { without: '.git' }), into);
  },
  // The clone's repository stays behind whole: what was committed on top of its one commit comes back only so.
  async bundle(ctx, handle) {
    if (!handle.clone) return undefined;
    const { repository, ownGit } = handle.clone;
    return bundleOut(shellOver(await connect(ctx, handle), COPY_MS), repository, '/tmp/cagematch-out/workspace.bundle', ownGit ? 0 : 1);
  },
  async destroy(ctx, handle) {
    await remove(ctx, await client(ctx), handle.name);
    return {};
  },
  list,
  reap: async (ctx, listed) => remove(ctx, await client(ctx), listed.id),
  walls: (ctx) => ({
    ...Object.fromEntries(MICROVM.map((wall) => [wall, 'closed' as const])),
    // It hands the caller's on, unless its settings say otherwise.
    'ssh-agent': ctx.env.SSH_AUTH_SOCK ? 'open' : 'closed',
  }),
  shell: (ctx, handle) => [...(ctx.facts.cli === 'docker sandbox' ? ['docker', 'sandbox'] : ['sbx']), 'exec', '-it', handle.name, 'bash'],
});

type Unready = Exclude<Detection, { status: 'ready' }>;

async function detect(ctx: Context): Promise<Detection> {
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
  if (!readList(listed.stdout)) return { status: 'broken', reason: `${cli} ls: ${whyFailed(listed)}`, hint: `${cli} ls --json` };
  const whole = `${cli} ${version}`;
  return {
    status: 'ready',
    version: whole,
    facts: { cli, client: cli === 'sbx' ? whole : `${whole} (deprecated, replaced by sbx)` },
    // The older one knows no clones.
    variants: cli === 'sbx' ? [{ id: CLONE, isolation: 'microvm', workspace: 'copy' }] : [],
  };
}

/** Which of the two is here. `sbx` is also another tool's name, so only its version line is believed. */
async function identify(ctx: Context): Promise<{ cli: Cli; version: string } | Unready> {
  const sbx = await sandbox(ctx, 'sbx', ['version'], VERSION_MS);
  const version = SBX_VERSION.exec(sbx.stdout)?.[1];
  if (version !== undefined) return { cli: 'sbx', version };
  // Silence is not "another tool": to measure the older one instead would say so of the wrong thing.
  if (sbx.failure === 'timeout') return { status: 'broken', reason: 'sbx version gives no answer', hint: RESTART.sbx };
  const plugin = await sandbox(ctx, 'docker sandbox', ['version'], VERSION_MS);
  const pluginVersion = PLUGIN_VERSION.exec(plugin.stdout)?.[1];
  if (pluginVersion !== undefined) return { cli: 'docker sandbox', version: pluginVersion };
  const other = sbx.failure === 'missing' ? 'no sbx command on PATH' : "the sbx on PATH is not Docker's, but another tool of that name";
  const docker = plugin.failure === 'missing' ? 'no docker either' : 'the docker here has no sandbox plugin';
  const lack = lackHere(ctx);
  const reason = `${other}, and ${docker}${lack === undefined ? '' : `; ${lack.reason}`}`;
  return { status: 'absent', reason, hint: INSTALL[ctx.platform] ?? 'see docs.docker.com/ai/sandboxes' };
}

const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'brew trust docker/tap && brew install docker/tap/sbx',
  linux: 'curl -fsSL https://get.docker.com | sudo REPO_ONLY=1 sh && sudo apt-get install docker-sbx (Ubuntu 24.04+, KVM)',
  win32: 'winget install -h Docker.sbx',
};

const RESTART: Record<Cli, string> = { sbx: 'sbx daemon restart', 'docker sandbox': 'start Docker Desktop' };
const HYPERVISOR = 'Enable-WindowsOptionalFeature -Online -FeatureName HypervisorPlatform -All (as administrator)';

/** What Docker says that it supports. */
const NEEDS: Partial<Record<NodeJS.Platform, Need>> = {
  darwin: { first: '23', called: 'macOS 14', arch: { is: 'arm64', called: 'Apple silicon' } },
  win32: { first: '10.0.22000', called: 'Windows 11', arch: { is: 'x64', called: 'a 64-bit Intel or AMD processor' } },
  linux: { first: '24.04', called: 'Ubuntu 24.04', distribution: 'ubuntu', kvm: true },
};

function lackHere({ platform }: Context): Lack | undefined {
  return lackIn(readMachine(platform), 'sbx', NEEDS[platform]);
}

/** What its own words mean. They are looked for in failures only, or where a question was put to the user whom we are not. */
const TROUBLES: { said: RegExp; status: Unready['status']; reason: string; hint: Record<Cli, string> }[] = [
  {
    said: /not (authenticated|signed in|logged in)|please sign in|no valid user session|session (has expired|could not be refreshed)/i,
    status: 'unconfigured',
    reason: 'not signed in to Docker',
    hint: { sbx: 'sbx login', 'docker sandbox': 'docker login' },
  },
  {
    said: /policy has not been initialized|sbx policy init/i,
    status: 'unconfigured',
    reason: 'the global network policy is not initialised',
    hint: { sbx: 'sbx policy init balanced', 'docker sandbox': 'docker sandbox reset' },
  },
  {
    said: /hypervisor ?platform|WHPX|WinHv/i,
    status: 'unconfigured',
    reason: 'the Windows Hypervisor Platform is off',
    hint: { sbx: HYPERVISOR, 'docker sandbox': HYPERVISOR },
  },
  ...(['absent', 'closed'] as const).map((kvm) => ({
    said: kvm === 'absent' ? /\bkvm\b.*(no such|not (found|available|supported|present|enabled))/i : /\bkvm\b/i,
    status: 'unconfigured' as const,
    ...kvmTrouble(kvm),
  })),
  {
    said: /daemon|sandboxd|connection refused|\.sock\b/i,
    status: 'broken',
    reason: 'the sandbox daemon does not answer',
    hint: RESTART,
  },
];

function kvmTrouble(kvm: 'absent' | 'closed') {
  const { reason = '', hint = '' } = lackOfKvm({ kvm }) ?? {};
  return { reason, hint: { sbx: hint, 'docker sandbox': hint } };
}

function diagnose(ctx: Context, cli: Cli, result: Captured): Unready | undefined {
  if (succeeded(result)) return undefined;
  const words = `${result.stderr}\n${result.stdout}`;
  const trouble = TROUBLES.find(({ said }) => said.test(words));
  if (trouble) {
    const reason = trouble.status === 'broken' ? `${trouble.reason}: ${whyFailed(result)}` : trouble.reason;
    return { status: trouble.status, reason, hint: trouble.hint[cli] };
  }
  if (result.failure === 'timeout' && !ctx.signal.aborted)
    return { status: 'broken', reason: `${cli} gives no answer`, hint: RESTART[cli] };
  return undefined;
}

/** From a machine that has nothing to a first sandbox. The older client needs none of it. */
async function setup(ctx: Context): Promise<SetupStep[]> {
  const found = await identify(ctx);
  if ('cli' in found && found.cli !== 'sbx') return [REPLACED, CREDENTIALS];
  const here = 'cli' in found;
  const lack = lackHere(ctx);
  const asked = here
    ? await Promise.all(
        [
          ['ls', '--json'],
          ['policy', 'ls'],
          ['template', 'ls'],
        ].map((args) => sandbox(ctx, 'sbx', args, DETECT_MS)),
      )
    : [];
  const [listed, policy, templates] = asked;
  /** False where it says that this is what is missing; unknown where it does not get that far. */
  const done = (result: Captured | undefined, hint: string) =>
    result === undefined ? undefined : succeeded(result) || (diagnose(ctx, 'sbx', result)?.hint === hint ? false : undefined);
  const pulled = templates && succeeded(templates) ? namesTemplate(ctx, templates.stdout) : undefined;
  return [
    {
      text: `a machine that sbx runs on${lack === undefined ? '' : `: ${lack.reason}`}`,
      // Windows shows its hypervisor to administrators only.
      done: lack ? false : ctx.platform === 'win32' ? undefined : true,
      hint: lack?.hint ?? 'macOS 14 on Apple silicon, Windows 11 with its Hypervisor Platform, or Ubuntu 24.04 with KVM',
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
    { text: `the template is here: ${templateOf(ctx)}`, done: pulled, hint: 'npx cagematch build docker-sandbox' },
    CREDENTIALS,
  ];
}

const REPLACED: SetupStep = {
  text: '`docker sandbox` is deprecated: sbx, which replaces it, is measured as soon as it is on PATH',
  done: undefined,
  hint: 'see docs.docker.com/ai/sandboxes',
};

/** Nothing of ours puts a credential there, so nothing of it can be looked at. */
const CREDENTIALS: SetupStep = {
  text: 'credentials: a match needs none, for it is replayed inside, and a live one is refused. In sandboxes of your own an API key stays on this host (its proxy puts it into requests); a subscription works by `/login` in each sandbox only, as sbx takes no CLAUDE_CODE_OAUTH_TOKEN',
  done: undefined,
  hint: 'sbx secret set anthropic (asks for the key, or reads it from stdin)',
};

async function client(ctx: Context): Promise<Cli> {
  const { cli } = ctx.facts;
  if (cli === 'sbx' || cli === 'docker sandbox') return cli;
  const found = await identify(ctx);
  if ('cli' in found) return found.cli;
  throw new CagematchError('not-ready', found.reason, found.hint);
}

/** stdin is never the caller's: a command may otherwise stop to ask something that nobody will answer. */
function sandbox(ctx: Context, cli: Cli, args: string[], timeoutMs: number): Promise<Captured> {
  return capture(argvOf(cli, args), { env: envOf(ctx), signal: ctx.signal, timeoutMs });
}

const succeeded = ({ end }: Captured) => end.type === 'exit' && end.code === 0;

function argvOf(cli: Cli, args: string[]): [string, ...string[]] {
  return cli === 'sbx' ? ['sbx', ...args] : ['docker', 'sandbox', ...args];
}

function envOf(ctx: Context) {
  return { ...ctx.env, SBX_NO_TELEMETRY: '1' };
}

async function must(ctx: Context, cli: Cli, args: string[], timeoutMs: number, code: CagematchError['code']): Promise<string> {
  const result = await sandbox(ctx, cli, args, timeoutMs);
  if (succeeded(result)) return result.stdout;
  const trouble = diagnose(ctx, cli, result);
  throw new CagematchError(code, `${cli} ${args[0]}: ${trouble?.reason ?? whyFailed(result)}`, trouble?.hint);
}

/** @throws `not-ready` for an option that the client at hand does not know */
function checkOptions(ctx: Context, cli: Cli): void {
  const { cpus, memoryMiB } = ctx.options;
  if (!(createMs(ctx) > 0))
    throw new CagematchError(
      'not-ready',
      `CAGEMATCH_SANDBOX_WAIT is no number of seconds: ${ctx.env.CAGEMATCH_SANDBOX_WAIT}`,
      'CAGEMATCH_SANDBOX_WAIT=600',
    );
  if (cli !== 'sbx' && (cpus !== undefined || memoryMiB !== undefined))
    throw new CagematchError('not-ready', `${cli} gives every sandbox the same cpus and memory`, INSTALL[ctx.platform]);
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError('not-ready', `a microVM has whole processors, not ${cpus}`, `cpus: ${Math.ceil(cpus)}`);
}

function createMs(ctx: Context): number {
  return Number(ctx.env.CAGEMATCH_SANDBOX_WAIT || CREATE_S) * 1000;
}

/** `create` and `exec`, never `run`: that one is for a terminal. What is given here stays as it is for as long as the sandbox is there. */
async function create(
  ctx: Context,
  cli: Cli,
  name: string,
  folders: string[],
  code: CagematchError['code'],
  more: string[] = [],
): Promise<void> {
  const template = ctx.env.CAGEMATCH_SANDBOX_TEMPLATE;
  keepLabels(ctx, name);
  const { cpus, memoryMiB } = ctx.options;
  const flags = [
    ...['--quiet', '--name', name, ...more],
    ...(template === undefined ? [] : ['--template', template]),
    ...(cpus === undefined ? [] : ['--cpus', `${cpus}`]),
    ...(memoryMiB === undefined ? [] : ['--memory', `${memoryMiB}m`]),
  ];
  await must(ctx, cli, ['create', ...flags, AGENT, ...folders], createMs(ctx), code);
}

/** A clone lies inside where its repository lies on this host: beside the workspace, in the run's own folder. */
function repositoryOf({ workspace }: Pick<HostPaths, 'workspace'>): string {
  return join(dirname(realOf(workspace)), 'repository');
}

/** A Mac's temporary folder lies behind a link, which the guest need not have. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Nothing is there (yet) that could be handed in.
  }
}

/**
 * The repository that the runtime clones: the workspace's files as one commit, in a folder that no agent has had, since the runtime's
 * client has this host's git look at it. It stays the caller's, or that git would refuse it.
 */
function cloneOf(spec: LaunchSpec): { repository: string; ownGit: boolean; over: boolean } {
  const repository = repositoryOf(spec.host);
  // A verifier's sandbox has the workspace of a run that had one.
  removeTree(repository);
  mkdirSync(repository);
  const { whole } = writeRepository(spec.host.workspace, repository);
  const ownGit = lstatSync(join(spec.host.workspace, '.git'), { throwIfNoEntry: false }) !== undefined;
  return { repository, ownGit, over: !whole };
}

/** For the clients that work in a sandbox: one that hangs is to end when its sandbox has gone. */
async function untilGone(ctx: Context, name: string): Promise<AbortSignal> {
  return AbortSignal.any([ctx.signal, (await clientsOf(ctx, name)).over.signal]);
}

/** A name is had once; but who asks for it again, in vain or not, has clients of his own. */
function clientsOf(ctx: Context, name: string): Promise<{ over: AbortController; close(): void }> {
  return ctx.keep(`clients of ${name}`, () => {
    const clients = {
      over: new AbortController(),
      close() {
        clients.over.abort();
        clients.over = new AbortController();
      },
    };
    return clients;
  });
}

async function connect(ctx: Context, { name }: Handle): Promise<Connection> {
  const cli = await client(ctx);
  return {
    argv: (command, withStdin, names) =>
      argvOf(cli, ['exec', ...(withStdin ? ['--interactive'] : []), ...names.flatMap((one) => ['--env', one]), name, ...command]),
    env: envOf(ctx),
    signal: await untilGone(ctx, name),
    secret: 'handed-on',
    added: /^(ERROR: )?.*exit(ed with)? (code|status):? \d+$/i,
    whyLost: (words) => whyLost(ctx, cli, name, words),
  };
}

async function whyLost(ctx: Context, cli: Cli, name: string, words: string): Promise<string> {
  const listed = await sandbox(ctx, cli, ['ls', '--json'], QUICK_MS);
  const all = readList(listed.stdout);
  if (all && !all.some((one) => one.name === name)) return `the sandbox is gone: ${words}`;
  return diagnose(ctx, cli, listed)?.reason ?? words;
}

/** `rm`, until it is no longer listed. The older one asks nothing and has no --force. */
async function remove(match: Context, cli: Cli, name: string): Promise<void> {
  // Also after Ctrl-C.
  const ctx: Context = { ...match, signal: new AbortController().signal };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const leftMs = Math.min(QUICK_MS, Math.max(1000, deadline - Date.now()));
    const removal = await sandbox(ctx, cli, ['rm', ...(cli === 'sbx' ? ['--force'] : []), name], leftMs);
    const left = readList((await sandbox(ctx, cli, ['ls', '--json'], leftMs)).stdout);
    if (left && !left.some((one) => one.name === name)) break;
    if (Date.now() > deadline) {
      const why = diagnose(ctx, cli, removal)?.reason ?? whyFailed(removal);
      throw new CagematchError('destroy-failed', `${name} may still be there: ${why}`, `${cli} rm ${name}`);
    }
    await pause(250);
  }
  (await clientsOf(ctx, name)).close();
  dropLabels(ctx, name);
}

/** A name of ours; the match is in it even where the kept labels are lost. */
const NAME = /^cagematch-(\d{8}-\d{6}-[0-9a-f]{4})-/;

async function list(ctx: Context): Promise<Listed[]> {
  const cli = await client(ctx);
  const all = readList(await must(ctx, cli, ['ls', '--json'], QUICK_MS, 'not-ready'));
  if (!all) throw new CagematchError('not-ready', `${cli} ls --json printed no list`, `${cli} ls --json`);
  const kept = keptLabels(ctx);
  // Gone without us: removed by hand, or never made.
  const names = all.map(({ name }) => name);
  for (const [name, { owner = '' }] of kept) if (!names.includes(name) && !ownerAlive(owner)) dropLabels(ctx, name);
  return all.flatMap(({ name, workspaces = [] }) => {
    const match = NAME.exec(name)?.[1];
    const labels = kept.get(name) ?? (match === undefined ? undefined : { match, mode: ctx.labels.mode, ...ownerBy(workspaces) });
    return labels === undefined ? [] : [{ id: name, kind: 'sandbox', labels }];
  });
}

/** A run's folder says whose it is, and goes with the run. */
function ownerBy([workspace]: string[]): { owner?: string } {
  const owner = workspace === undefined ? undefined : folderOwner(dirname(workspace));
  return owner ? { owner } : {};
}

interface Shown {
  name: string;
  workspaces?: string[];
}

/** Out of `ls --json`: under `sandboxes` or `vms`, after what a daemon that had to start first may have said. */
function readList(stdout: string): Shown[] | undefined {
  const from = stdout.search(/^\{/m);
  try {
    const { sandboxes, vms } = JSON.parse(stdout.slice(Math.max(from, 0))) as Record<'sandboxes' | 'vms', Shown[] | null | undefined>;
    if (sandboxes === undefined && vms === undefined) return undefined;
    return sandboxes ?? vms ?? [];
  } catch {
    return undefined;
  }
}

/** The older one cannot be asked; it pulls what is missing when a sandbox is made. */
async function hasTemplate(ctx: Context, cli: Cli): Promise<boolean> {
  if (cli !== 'sbx') return true;
  const listed = await sandbox(ctx, cli, ['template', 'ls'], QUICK_MS);
  return !succeeded(listed) || namesTemplate(ctx, listed.stdout);
}

function templateOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_SANDBOX_TEMPLATE ?? 'docker/sandbox-templates:claude-code';
}

function namesTemplate(ctx: Context, listed: string): boolean {
  const [image = '', tag = ''] = templateOf(ctx).split(/:(?=[^/:]*$)/);
  return listed.split('\n').some((line) => line.includes(image) && line.includes(tag));
}
