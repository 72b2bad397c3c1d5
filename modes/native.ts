// The OS sandbox: bubblewrap on Linux, Seatbelt on macOS, through Anthropic's own sandbox-runtime
// (`srt`).

import { chownSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Command,
  type Context,
  type Detection,
  defineMode,
  type Handle,
  type HostPaths,
  type LaunchSpec,
} from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { requireEgress } from '../lib/kit/egress.js';
import { clientsOf, noteClient, rootsOf } from '../lib/kit/live-clients.js';
import { programVersion, versionFacts } from '../lib/kit/program-version.js';
import { promise, type WallPromises } from '../lib/kit/walls.js';
import { capture, succeeded, whyFailed } from '../lib/os/capture.js';
import { otherUserEnv } from '../lib/os/client-env.js';
import { makeFolder, removeFolder } from '../lib/os/owner.js';
import { which } from '../lib/os/path-search.js';
import { killSandbox, labelEnv, listProcesses, reapProcess } from '../lib/os/processes.js';
import { quoted } from '../lib/os/quoted.js';
import { accounts, nobodysUser, type User } from '../lib/os/sandbox-user.js';
import { clientEnd, type LocalStream, stream } from '../lib/os/stream.js';

interface NativeHandle extends Handle {
  /** Path of srt's settings for this sandbox. */
  settings?: string;
  /** Folder for the sockets of srt, which it leaves behind when it is killed. */
  tmp?: string;
}

interface NativeState {
  /** The user that commands run as; absent: the caller. */
  user?: User;
}

type NativeContext = Context<NativeState>;

export default defineMode<NativeHandle, NativeState>({
  id: 'native',
  title: 'OS sandbox',
  letter: 'N',
  isolation: 'os-sandbox',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {},
  platforms: ['linux', 'darwin'],
  summary:
    '`srt`: bubblewrap (Linux) or Seatbelt (macOS) around a process of this machine; network by allow-list',
  oneShot: true,
  options: ['egress'],

  async detect(ctx) {
    const srt = srtPath(ctx);
    if (srt === undefined)
      return {
        status: 'unconfigured',
        reason: 'the srt command is not installed',
        hint: 'npm install --include=optional',
      };
    if (ctx.agentBinary === undefined) {
      return {
        status: 'unconfigured',
        reason: 'the agent CLI is not installed for this platform',
        hint: 'npm install --include=optional',
      };
    }
    const missing =
      ctx.platform === 'linux'
        ? Object.entries(LINUX_TOOLS).filter(([program]) => which(program, ctx.env) === undefined)
        : [];
    if (missing.length > 0) {
      const hint = `sudo apt-get install ${missing.map(([, debian]) => debian).join(' ')}`;
      return {
        status: 'absent',
        reason: `srt needs ${missing.map(([program]) => program).join(', ')}, not on PATH`,
        hint,
      };
    }
    // A sandbox run by root is weak: what it may read and write in /proc and /etc is the machine's.
    // So we run it as another user, who may however be unable to read what root has installed.
    const other = ctx.uid === 0 ? nobodysUser() : undefined;
    const asOther = other && (await tryOut(srt, ctx, other));
    if (asOther && succeeded(asOther.tried)) return ready(asOther, other);
    const asCaller = await tryOut(srt, ctx);
    if (succeeded(asCaller.tried)) return ready(asCaller);
    return {
      status: 'broken',
      reason: `srt cannot run a command: ${whyFailed(asCaller.tried)}`,
      hint: USERNS_HINT,
    };
  },
  async prepare(ctx) {
    requireEgress(ctx, 'srt', ['gateway', 'domains']);
    return {};
  },
  async reach() {
    return { via: 'address', listen: '127.0.0.1', url: (port) => `http://127.0.0.1:${port}` };
  },
  layout: (_ctx, host) => host,
  owner: (ctx) =>
    userOf(ctx) ??
    (ctx.uid === undefined ? undefined : { uid: ctx.uid, gid: process.getgid?.() ?? ctx.uid }),

  async launch(ctx, spec) {
    const settings = writeSettings(ctx, spec);
    const handle = { name: spec.name, settings, tmp: spec.host.tmp };
    if (!spec.command) return { handle };
    const child = start(ctx, handle, spec.command);
    await child.spawned;
    return { handle, process: clientEnd(child) };
  },
  exec: (ctx, handle, command) => clientEnd(start(ctx, handle, command)),
  async collect() {},
  async destroy(ctx, handle) {
    for (const client of clientsOf(handle.name)) client.kill();
    if (!(await killSandbox(ctx, handle.name)))
      throw new CagematchError('destroy-failed', `processes of ${handle.name} will not end`);
    if (handle.settings !== undefined) rmSync(handle.settings, { force: true });
    return {};
  },
  processes: (ctx, handle) => rootsOf(ctx, handle.name),
  list: listProcesses,
  reap: reapProcess,
  walls: (ctx) => ({
    ...WALLS,
    ...(ctx.uid === 0 && !userOf(ctx) ? {} : { root: 'closed', 'root-on-host': 'closed' }),
  }),
  async terminal(ctx, handle, command) {
    const { argv, user, ...call } = callOf(ctx, handle, command);
    const asUser =
      user === undefined
        ? []
        : ['setpriv', '--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups', '--'];
    return { ...call, argv: [...asUser, ...argv] as [string, ...string[]] };
  },
});

const PACKAGE = '@anthropic-ai/sandbox-runtime';
const LINUX_TOOLS = { bwrap: 'bubblewrap', socat: 'socat', rg: 'ripgrep' };
const USERNS_HINT =
  'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04), or see srt --debug';

/** The user that commands run as; undefined means the caller. */
const userOf = (ctx: NativeContext): User | undefined => ctx.state?.user;

type Tried = Awaited<ReturnType<typeof tryOut>>;

function ready({ version, walls }: Tried, user?: User): Detection<NativeState> {
  const facts = { ...versionFacts(walls), ...(user === undefined ? {} : { uid: user.uid }) };
  return {
    status: 'ready',
    version: version || 'unknown',
    facts,
    state: user === undefined ? {} : { user },
  };
}

/**
 * Tries srt with its own home and temporary folder, so that ~/.srt-settings.json has no effect and
 * no sockets of srt are left behind.
 */
async function tryOut(srt: [string, ...string[]], ctx: Context, user?: User) {
  const folder = makeFolder('srt');
  if (user) chownSync(folder, user.uid, user.gid);
  // The working directory is that folder too: srt searches its working directory for files to
  // protect.
  const call = {
    env: { ...(user ? otherUserEnv(ctx.env) : ctx.env), HOME: folder, TMPDIR: folder },
    cwd: folder,
    signal: ctx.signal,
    timeoutMs: 10_000,
  };
  // The other user also has to be able to execute the agent and this Node.
  const programs = [ctx.agentBinary, process.execPath]
    .map((program) => `test -x ${quoted(program ?? '')}`)
    .join(' && ');
  try {
    const [version, tried, bubblewrap] = await Promise.all([
      installedVersion(srt[0]) ??
        capture([...srt, '--version'], call).then(({ stdout }) => stdout.trim()),
      capture([...srt, '-c', user ? programs : 'true'], { ...call, ...(user ? { user } : {}) }),
      ctx.platform === 'linux' ? programVersion('bwrap', ctx) : undefined,
    ]);
    return { version, tried, walls: { bubblewrap } };
  } finally {
    removeFolder(folder);
  }
}

/**
 * The version in its package.json: asking the program would start a second Node beside the one that
 * tries it out.
 */
function installedVersion(srt: string): string | undefined {
  try {
    const { name, version } = JSON.parse(
      readFileSync(join(dirname(realpathSync(srt)), '../package.json'), 'utf8'),
    );
    return name === PACKAGE && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** `srt` on PATH, otherwise the one installed with this package. */
function srtPath(ctx: Context): [string, ...string[]] | undefined {
  const installed = join(ctx.packageRoot, 'node_modules/.bin');
  const found = which('srt', ctx.env) ?? which('srt', { PATH: installed });
  return found === undefined ? undefined : [found];
}

/**
 * Where people and their tools keep credentials, relative to the home folder. The agent's own home
 * contains none of these.
 */
const CREDENTIALS = [
  ...[
    '.ssh',
    '.aws',
    '.azure',
    '.config/gcloud',
    '.config/gh',
    '.kube',
    '.gnupg',
    '.docker',
    '.claude',
  ],
  ...['.netrc', '.git-credentials', '.npmrc', '.pypirc', '.claude.json'],
];

/**
 * On Linux, denies the entire homes of all accounts and re-allows the folders that the agent runs
 * from. On macOS, part of a denied tree cannot be re-allowed, so only the caller's own credentials
 * are denied, except those that contain a folder the agent needs.
 */
function readRules(ctx: Context, host: HostPaths): { denyRead: string[]; allowRead: string[] } {
  const own = [host.workspace, host.home, host.tmp];
  if (ctx.platform === 'linux')
    return { denyRead: homes(ctx.env.HOME), allowRead: [...own, ...programFolders(ctx)] };
  const kept = [...own, ctx.packageRoot];
  const places =
    ctx.env.HOME === undefined ? [] : CREDENTIALS.map((name) => join(ctx.env.HOME ?? '', name));
  const denyRead = places.filter(
    (place) =>
      existsSync(place) && !kept.some((path) => path === place || path.startsWith(`${place}/`)),
  );
  return { denyRead, allowRead: [] };
}

/**
 * Home folders of people, and of services that keep credentials there; never a folder that belongs
 * to the system.
 */
function homes(caller: string | undefined): string[] {
  const people = accounts().filter(
    ({ uid, home }) =>
      uid === 0 ||
      (uid >= 1000 && uid < 65_534) ||
      CREDENTIALS.some((name) => existsSync(join(home, name))),
  );
  const all = [
    '/root',
    '/home',
    ...people.map(({ home }) => home),
    ...(caller === undefined ? [] : [caller]),
  ];
  const closed = new Set(all.filter((home) => existsSync(home)).map((home) => realpathSync(home)));
  return [...closed].filter((home) => !SYSTEM.test(home));
}

const SYSTEM =
  /^\/($|(bin|sbin|lib\w*|usr|etc|dev|proc|sys|run|tmp|boot|opt|var|var\/tmp|var\/lib)\/?$|(usr|dev|proc|sys|etc)\/)/;

/** The folders that contain the agent and this Node. */
function programFolders(ctx: Context): string[] {
  const programs = [ctx.agentBinary, process.execPath].flatMap((program) =>
    program === undefined ? [] : [realpathSync(program)],
  );
  return [...new Set(programs.map((program) => dirname(program)))];
}

/**
 * One settings file per sandbox, beside its home (two sandboxes may share a workspace). It allows
 * the gateway, and the entry's domains.
 */
function writeSettings(ctx: NativeContext, { host, gatewayPort }: LaunchSpec): string {
  const path = join(dirname(host.home), 'srt.json');
  const { egress } = ctx.options;
  const gateway = gatewayPort === undefined ? [] : [`127.0.0.1:${gatewayPort}`];
  const settings = {
    network: {
      allowedDomains: [...gateway, ...(Array.isArray(egress) ? egress : [])],
      deniedDomains: [],
    },
    filesystem: {
      ...readRules(ctx, host),
      allowWrite: [host.workspace, host.home, host.tmp],
      denyWrite: [],
    },
  };
  writeFileSync(path, JSON.stringify(settings), { mode: 0o600 });
  const user = userOf(ctx);
  if (user) chownSync(path, user.uid, user.gid);
  return path;
}

/**
 * What the settings above promise, and what srt's documentation adds: no sockets of this host, and
 * no write access to files that git or an editor would run.
 */
const WALLS: WallPromises = {
  'host-kernel': 'open',
  // srt protects the hooks of an existing repository; hooks can be added to a folder without one,
  // because `git init` needs that.
  'new-git-hooks': 'open',
  'gateway-port': 'open',
  'host-files-readable': 'open',
  ...promise(
    'closed',
    'host-files-writable',
    'git-push-file',
    'credential-places',
    'docker-socket',
    'podman-socket',
    'incus-socket',
  ),
  ...promise(
    'closed',
    'ssh-agent',
    'host-loopback-ports',
    'host-gateway-ports',
    'host-network-ports',
    'tcp-out',
    'udp-out',
    'dns',
  ),
  ...promise(
    'closed',
    'cloud-metadata',
    'git-push-no-remote',
    'git-push-network',
    'credentials-in-env',
  ),
  ...promise(
    'closed',
    'write-git-hooks',
    'write-git-config',
    'write-vscode-folder',
    'write-mcp-json',
  ),
};

/**
 * srt lists loopback in no_proxy but blocks direct network access, so the gateway would be
 * contacted directly and be unreachable. The variables are therefore unset inside.
 */
function callOf(
  ctx: NativeContext,
  { name, settings, tmp }: NativeHandle,
  command: Omit<Command, 'stdin'>,
) {
  // Without its settings srt would use those of the user it runs as.
  if (settings === undefined)
    throw new CagematchError(
      'not-ready',
      `the settings of ${name} are not known`,
      'only the handle of its launch has them',
    );
  const inside = ['env', '-u', 'no_proxy', '-u', 'NO_PROXY', ...command.argv].map(quoted).join(' ');
  const user = userOf(ctx);
  return {
    argv: [...(srtPath(ctx) ?? ['srt']), '-s', settings, '-c', inside] as [string, ...string[]],
    env: {
      ...(tmp === undefined ? {} : { TMPDIR: tmp }),
      ...command.env,
      ...command.secretEnv,
      ...labelEnv(ctx.labels, name),
    },
    cwd: command.cwd,
    ...(user ? { user } : {}),
  };
}

function start(ctx: NativeContext, handle: NativeHandle, command: Command): LocalStream {
  const { argv, ...call } = callOf(ctx, handle, command);
  const { stdin: input } = command;
  return noteClient(
    handle.name,
    stream(argv, { ...call, signal: ctx.signal, ...(input === undefined ? {} : { input }) }),
  );
}
