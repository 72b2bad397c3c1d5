// Argument lists for clients with the common container command line (run, exec, ps …); independent
// of any one runtime.

import type { Command, EntryOptions, Env, Labels, LaunchSpec } from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { promise, type WallPromises } from '../walls.js';

/** The image's paths for the workspace and the agent's home (see the Dockerfile). */
export const IMAGE_LAYOUT = {
  workspace: '/workspace',
  home: '/home/agent',
  memory: '/dev/shm',
} as const;

/** The command that keeps an idle sandbox alive while it waits for `exec`. */
const IDLE: [string, ...string[]] = ['sleep', 'infinity'];

/** Hardening flags that every container starts with; no task needs what they take away. */
const HARDENING = ['--init', '--cap-drop=ALL', '--security-opt', 'no-new-privileges'];
const PROCESSES = 512;
/** Memory is limited without a limit on swap, since many kernels cannot account for swap. */
const MEMORY_MIB = 4096;

/**
 * A container's network: none, the host's own, one behind the host, or one behind the host with
 * access to the host's loopback.
 */
type OciNetwork = 'none' | 'shared' | 'behind' | 'behind-with-loopback';

/**
 * What the settings of a container promise: those of `HARDENING`, the limits, and that only the
 * workspace of the host is shared.
 * @param settings `limits`: whether the runtime enforces limits at all
 */
export function containerWalls({
  limits,
  network,
}: {
  limits: boolean;
  network: OciNetwork;
}): WallPromises {
  const hasNetwork = network !== 'none';
  return {
    ...promise(
      'closed',
      'root',
      'capabilities',
      'new-privileges',
      'mknod',
      'device-nodes',
      'raw-sockets',
      'other-processes',
      'kernel-settings',
    ),
    ...promise(
      'closed',
      'docker-socket',
      'podman-socket',
      'incus-socket',
      'guest-api',
      'ssh-agent',
    ),
    ...promise(
      'closed',
      'host-files-readable',
      'host-files-writable',
      'host-root-files',
      'git-push-no-remote',
      'git-push-file',
    ),
    ...promise(
      'closed',
      'credentials-in-env',
      'credentials-in-proc',
      'credentials-in-files',
      'credential-places',
    ),
    ...promise(limits ? 'closed' : 'open', 'fork-limit', 'memory-limit'),
    ...promise(hasNetwork ? 'open' : 'closed', 'tcp-out', 'udp-out', 'dns', 'git-push-network'),
    // Without a network the gateway cannot be reached either: the model is replayed inside.
    ...(hasNetwork ? promise('open', 'gateway-port') : {}),
    ...promise(
      network === 'shared' || network === 'behind-with-loopback' ? 'open' : 'closed',
      'host-loopback-ports',
    ),
    ...promise('open', 'write-git-hooks', 'new-git-hooks', 'write-git-config'),
    ...promise('open', 'write-claude-folder', 'write-vscode-folder', 'write-mcp-json'),
  };
}

/**
 * Mount for an entry with the `tmpfs` option: /tmp is writable by every user, and programs can be
 * run from it.
 */
const TMPFS = '/tmp:rw,exec,nosuid,nodev,mode=1777';

/** How to call the client: its program with global options, and its environment. */
export interface Client {
  argv: [string, ...string[]];
  env: Env;
  /**
   * The client polls, so it reports events late, but their timestamps come from this machine's
   * clock and are more accurate.
   */
  lateEvents?: boolean;
}

/** `network`: value of the `--network` flag; absent: the runtime's default. */
export interface RunOptions extends EntryOptions {
  image: string;
  labels: Labels;
  /** How many tasks of the host's kernel one process inside needs; default: one. */
  hostTasks?: number | undefined;
  /** Options that only this runtime has. */
  extra?: string[];
}

/**
 * Seconds that a sandbox has to end by itself when it is removed by force; some clients wait that
 * long before they kill.
 */
const STOP_TIMEOUT = '1';

/** `run` and all its arguments: one-shot if the spec has a command, otherwise detached and idle. */
export function runArgs(spec: LaunchSpec, options: RunOptions): string[] {
  const { command } = spec;
  return [
    'run',
    ...(command ? ['--rm', ...stdinArgs(command)] : ['--detach']),
    '--name',
    spec.name,
    ...labelArgs(options.labels),
    ...HARDENING,
    '--pids-limit',
    `${PROCESSES * (options.hostTasks ?? 1)}`,
    '--memory',
    `${options.memoryMiB ?? MEMORY_MIB}m`,
    ...(options.cpus === undefined ? [] : ['--cpus', `${options.cpus}`]),
    ...(options.tmpfs ? ['--tmpfs', TMPFS] : []),
    '--stop-timeout',
    STOP_TIMEOUT,
    '--user',
    `${spec.user.uid}:${spec.user.gid}`,
    ...(options.network === undefined ? [] : ['--network', options.network]),
    ...(options.extra ?? []),
    ...bindArgs(spec.host.workspace, IMAGE_LAYOUT.workspace),
    ...spec.files.flatMap((file) => bindArgs(file.source, file.path, { readOnly: true })),
    '--workdir',
    command?.cwd ?? IMAGE_LAYOUT.workspace,
    ...(command ? envArgs(command) : []),
    options.image,
    ...(command?.argv ?? IDLE),
  ];
}

/**
 * A bind mount. `--volume` separates its parts by colons and `--mount` by commas, so the paths
 * determine which form can be used.
 * @throws `launch-failed` for paths that neither form can express
 */
export function bindArgs(source: string, target: string, { readOnly = false } = {}): string[] {
  const paths = `${source}${target}`;
  if (!paths.includes(':')) return ['--volume', `${source}:${target}${readOnly ? ':ro' : ''}`];
  if (/[,"\n]/.test(paths))
    throw new CagematchError(
      'launch-failed',
      `${source} has both a colon and a comma or a quote in its path`,
      'set TMPDIR to another folder',
    );
  return ['--mount', `type=bind,source=${source},target=${target}${readOnly ? ',readonly' : ''}`];
}

/** `exec` of a command in an idle sandbox. */
export function execArgs(name: string, command: Command): string[] {
  return [
    'exec',
    ...stdinArgs(command),
    '--workdir',
    command.cwd,
    ...envArgs(command),
    name,
    ...command.argv,
  ];
}

/** `exec` of a command with a terminal. */
export function terminalArgs(name: string, command: Omit<Command, 'stdin'>): string[] {
  return [
    'exec',
    '--interactive',
    '--tty',
    '--workdir',
    command.cwd,
    ...envArgs(command),
    name,
    ...command.argv,
  ];
}

const stdinArgs = ({ stdin }: Command) => (stdin === undefined ? [] : ['--interactive']);

/** Secrets are passed by name only: the client reads their values from its own environment. */
function envArgs(command: Omit<Command, 'stdin'>): string[] {
  const plain = Object.entries(command.env).flatMap(([name, value]) => [
    '--env',
    `${name}=${value}`,
  ]);
  const secret = Object.keys(command.secretEnv).flatMap((name) => ['--env', name]);
  return [...plain, ...secret];
}

const PREFIX = 'cagematch.';

export function labelArgs(labels: Labels): string[] {
  return Object.entries(labels).flatMap(([key, value]) => ['--label', `${PREFIX}${key}=${value}`]);
}

/** Extracts our own labels from a runtime's map of all labels. */
export function readLabels(all: Record<string, unknown> | undefined): Partial<Labels> {
  const ours: Partial<Labels> = {};
  for (const key of ['match', 'mode', 'owner', 'session'] as const) {
    const value = all?.[PREFIX + key];
    if (typeof value === 'string') ours[key] = value;
  }
  return ours;
}

/** Filter for `ps` and `events` that selects what carries our label, for one match or for any. */
export function labelFilter(match?: string): string {
  return match === undefined ? `label=${PREFIX}match` : `label=${PREFIX}match=${match}`;
}
