// The two command-line clients, `sbx` and `docker sandbox`: every call has a timeout, and their
// output and error messages are parsed here.
import type { Context, Detection } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { type Captured, capture, succeeded, whyFailed } from '../../lib/os/capture.js';
import { type Lack, lackIn, lackOfKvm, type Need, readMachine } from './machine.js';

export type Cli = 'sbx' | 'docker sandbox';

export interface SandboxState {
  cli: Cli;
}

export type SandboxContext = Context<SandboxState>;

export const QUICK_MS = 10_000;

/**
 * The first sandbox also pulls its template; on a small machine every sandbox takes half a minute.
 */
const CREATE_S = 600;

const RESTART: Record<Cli, string> = {
  sbx: 'sbx daemon restart',
  'docker sandbox': 'start Docker Desktop',
};

const HYPERVISOR =
  'Enable-WindowsOptionalFeature -Online -FeatureName HypervisorPlatform -All (as administrator)';

/** What error messages of the client mean. Matched only against the output of failed calls. */
const TROUBLES: {
  pattern: RegExp;
  status: Unready['status'];
  reason: string;
  hint: Record<Cli, string>;
}[] = [
  {
    pattern:
      /not (authenticated|signed in|logged in)|please sign in|no valid user session|session (has expired|could not be refreshed)/i,
    status: 'unconfigured',
    reason: 'not signed in to Docker',
    hint: { sbx: 'sbx login', 'docker sandbox': 'docker login' },
  },
  {
    pattern: /policy has not been initialized|sbx policy init/i,
    status: 'unconfigured',
    reason: 'the global network policy is not initialised',
    hint: { sbx: 'sbx policy init balanced', 'docker sandbox': 'docker sandbox reset' },
  },
  {
    pattern: /hypervisor ?platform|WHPX|WinHv/i,
    status: 'unconfigured',
    reason: 'the Windows Hypervisor Platform is off',
    hint: { sbx: HYPERVISOR, 'docker sandbox': HYPERVISOR },
  },
  ...(['absent', 'closed'] as const).map((kvm) => ({
    pattern:
      kvm === 'absent'
        ? /\bkvm\b.*(no such|not (found|available|supported|present|enabled))/i
        : /\bkvm\b/i,
    status: 'unconfigured' as const,
    ...kvmTrouble(kvm),
  })),
  {
    pattern: /daemon|sandboxd|connection refused|\.sock\b/i,
    status: 'broken',
    reason: 'the sandbox daemon does not answer',
    hint: RESTART,
  },
];

type Unready = Exclude<Detection, { status: 'ready' }>;

function kvmTrouble(kvm: 'absent' | 'closed') {
  const { reason = '', hint = '' } = lackOfKvm({ kvm }) ?? {};
  return { reason, hint: { sbx: hint, 'docker sandbox': hint } };
}

export function lackHere({ platform }: Context): Lack | undefined {
  return lackIn(readMachine(platform), 'sbx', NEEDS[platform]);
}

/** The platforms that Docker documents as supported. */
const NEEDS: Partial<Record<NodeJS.Platform, Need>> = {
  darwin: { first: '23', called: 'macOS 14', arch: { is: 'arm64', called: 'Apple silicon' } },
  win32: {
    first: '10.0.22000',
    called: 'Windows 11',
    arch: { is: 'x64', called: 'a 64-bit Intel or AMD processor' },
  },
  linux: { first: '24.04', called: 'Ubuntu 24.04', distribution: 'ubuntu', kvm: true },
};

export function diagnose(ctx: Context, cli: Cli, result: Captured): Unready | undefined {
  if (succeeded(result)) return undefined;
  const printed = `${result.stderr}\n${result.stdout}`;
  const trouble = TROUBLES.find(({ pattern }) => pattern.test(printed));
  if (trouble) {
    const reason =
      trouble.status === 'broken' ? `${trouble.reason}: ${whyFailed(result)}` : trouble.reason;
    return { status: trouble.status, reason, hint: trouble.hint[cli] };
  }
  if (result.failure === 'timeout' && !ctx.signal.aborted)
    return { status: 'broken', reason: `${cli} gives no answer`, hint: RESTART[cli] };
  return undefined;
}

/**
 * stdin is never inherited from the caller: a command could otherwise stop and wait for input that
 * nobody gives.
 */
export function sandbox(
  ctx: Context,
  cli: Cli,
  args: string[],
  timeoutMs: number,
): Promise<Captured> {
  return capture(argvOf(cli, args), { env: envOf(ctx), signal: ctx.signal, timeoutMs });
}

export function argvOf(cli: Cli, args: string[]): [string, ...string[]] {
  return cli === 'sbx' ? ['sbx', ...args] : ['docker', 'sandbox', ...args];
}

export function envOf(ctx: Context) {
  return { ...ctx.env, SBX_NO_TELEMETRY: '1' };
}

export async function must(
  ctx: Context,
  cli: Cli,
  args: string[],
  timeoutMs: number,
  code: CagematchError['code'],
): Promise<string> {
  const result = await sandbox(ctx, cli, args, timeoutMs);
  if (succeeded(result)) return result.stdout;
  const trouble = diagnose(ctx, cli, result);
  throw new CagematchError(
    code,
    `${cli} ${args[0]}: ${trouble?.reason ?? whyFailed(result)}`,
    trouble?.hint,
  );
}

export function createMs(ctx: Context): number {
  return Number(ctx.env.CAGEMATCH_SANDBOX_WAIT || CREATE_S) * 1000;
}

interface Shown {
  name: string;
  workspaces?: string[];
  /** `running`, `stopped` … */
  status?: string;
}

/**
 * Parses `ls --json`: the list is under `sandboxes` or `vms`, possibly after messages of a daemon
 * that had to be started first.
 */
export function readList(stdout: string): Shown[] | undefined {
  const from = stdout.search(/^\{/m);
  try {
    const { sandboxes, vms } = JSON.parse(stdout.slice(Math.max(from, 0))) as Record<
      'sandboxes' | 'vms',
      Shown[] | null | undefined
    >;
    if (sandboxes === undefined && vms === undefined) return undefined;
    return sandboxes ?? vms ?? [];
  } catch {
    return undefined;
  }
}

export async function client(ctx: SandboxContext): Promise<Cli> {
  if (ctx.state !== undefined) return ctx.state.cli;
  const found = await identify(ctx);
  if ('cli' in found) return found.cli;
  throw new CagematchError('not-ready', found.reason, found.hint);
}

/**
 * Which of the two clients is installed. Other tools are also called `sbx`, so we rely only on its
 * version line.
 */
export async function identify(ctx: Context): Promise<{ cli: Cli; version: string } | Unready> {
  const sbx = await sandbox(ctx, 'sbx', ['version'], VERSION_MS);
  const version = SBX_VERSION.exec(sbx.stdout)?.[1];
  if (version !== undefined) return { cli: 'sbx', version };
  // A timeout does not mean that this is another tool: falling back to the older client would
  // measure the wrong program.
  if (sbx.failure === 'timeout')
    return { status: 'broken', reason: 'sbx version gives no answer', hint: RESTART.sbx };
  const plugin = await sandbox(ctx, 'docker sandbox', ['version'], VERSION_MS);
  const pluginVersion = PLUGIN_VERSION.exec(plugin.stdout)?.[1];
  if (pluginVersion !== undefined) return { cli: 'docker sandbox', version: pluginVersion };
  const other =
    sbx.failure === 'missing'
      ? 'no sbx command on PATH'
      : "the sbx on PATH is not Docker's, but another tool of that name";
  const docker =
    plugin.failure === 'missing' ? 'no docker either' : 'the docker here has no sandbox plugin';
  const lack = lackHere(ctx);
  const reason = `${other}, and ${docker}${lack === undefined ? '' : `; ${lack.reason}`}`;
  return {
    status: 'absent',
    reason,
    hint: INSTALL[ctx.platform] ?? 'see docs.docker.com/ai/sandboxes',
  };
}

/** Two lines since 0.2x, one line since 0.33; other tools of this name print neither. */
const SBX_VERSION = /^(?:Client Version|sbx version):\s+(v\S+)\s+[0-9a-f]{7,40}\b/m;

const PLUGIN_VERSION = /docker\/sandboxes\/cli-plugin\s+(v\S+)/;

const VERSION_MS = 2000;

export const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'brew trust docker/tap && brew install docker/tap/sbx',
  linux:
    'curl -fsSL https://get.docker.com | sudo REPO_ONLY=1 sh && sudo apt-get install docker-sbx (Ubuntu 24.04+, KVM)',
  win32: 'winget install -h Docker.sbx',
};
