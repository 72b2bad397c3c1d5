// Incus: a system container, with an init of its own; `incus:vm` where the server can run virtual machines.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type Command,
  type Context,
  defineMode,
  type ExecStream,
  type Handle,
  type LaunchSpec,
  type Listed,
  type Thing,
  type Trace,
} from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { capture, clientEnd, output, stream, whyFailed } from '../lib/exec.js';
import { parseJson } from '../lib/json.js';
import { type Moment, type Moments, watchMoments } from '../lib/moments.js';
import { readLabels } from '../lib/oci.js';
import { commandLines } from '../lib/process-tree.js';
import { versionFacts } from '../lib/program-version.js';

const VM = 'vm';
const AGENT_USER = { uid: 1000, gid: 1000 };
const LAYOUT = { workspace: '/workspace', home: '/home/agent', memory: '/dev/shm' } as const;
const HOME_FILES = ['.claude.json', '.claude/settings.json'];

const HOST_ADDRESS = '169.254.78.1';
const QUICK_MS = 15_000;
/** How long an event may come after the client's own end. */
const SETTLE_MS = 500;

export default defineMode<Handle & { user?: LaunchSpec['user'] }>({
  id: 'incus',
  title: 'Incus',
  letter: 'D',
  isolation: 'system-container',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {
    INCUS_DIR: { help: "Incus' folder, when it is not the usual one" },
    CAGEMATCH_INCUS_BASE: { help: 'image that the runner template is built on; default: images:debian/12' },
    CAGEMATCH_INCUS_HOST_ADDRESS: { help: `this host's end of the sandboxes' link, when ${HOST_ADDRESS} is taken; link-local` },
  },
  platforms: ['linux'],
  summary: '`incus launch`, then `incus exec`: a full Linux with its own init; `incus:vm` is a virtual machine',
  oneShot: false,
  options: ['tmpfs', 'cpus', 'memoryMiB'],

  async detect(ctx) {
    const asked = await capture(['incus', 'query', '/1.0'], { env: ctx.env, signal: ctx.signal, timeoutMs: QUICK_MS });
    if (asked.failure === 'missing')
      return { status: 'absent', reason: 'no incus command on PATH', hint: 'sudo apt-get install incus (Debian 12: from backports)' };
    const server = parseJson<{
      auth?: string;
      environment?: {
        server_version?: string;
        driver?: string;
        driver_version?: string;
        storage?: string;
        storage_version?: string;
        kernel_features?: Record<string, string>;
      };
    }>(asked.stdout);
    if (!server)
      return {
        status: 'broken',
        reason: `the Incus daemon does not answer: ${whyFailed(asked)}`,
        hint: 'sudo systemctl start incus (without systemd: sudo rig/up incus)',
      };
    if (server.auth !== 'trusted')
      return { status: 'unconfigured', reason: 'the Incus daemon does not trust this user', hint: 'sudo adduser $USER incus-admin' };
    const { environment } = server;
    const driver = environment?.driver ?? '';
    return {
      status: 'ready',
      version: environment?.server_version ?? 'unknown',
      facts: {
        driver,
        storage: environment?.storage ?? 'unknown',
        ...versionFacts({ driver: environment?.driver_version, storage: environment?.storage_version }),
        idmappedMounts: environment?.kernel_features?.idmapped_mounts === 'true',
      },
      variants: driver.includes('qemu') ? [{ id: VM, isolation: 'microvm' }] : [],
    };
  },

  async prepare(ctx, options) {
    checkOptions(ctx);
    const alias = template(ctx);
    // From here on the match listens: the first launch should not pay for that.
    await watchLifecycle(ctx);
    const present = await fingerprint(ctx, alias);
    if (present && !options?.rebuild) return present;
    await evict(ctx);
    await buildTemplate(ctx, alias);
    return (await fingerprint(ctx, alias)) ?? {};
  },
  evict,

  async reach(ctx) {
    // A routed link needs no bridge, no DHCP and no address in the guest's image; a VM would need the last.
    if (ctx.variant === VM) return { via: 'inside' };
    const keeper = `cagematch-keeper-${ctx.labels.match}`;
    await launch(ctx, keeper, { [LINK]: link(ctx, keeper) });
    const address = hostAddress(ctx);
    // The address exists while an instance has the link; a socket once bound to it outlives it.
    return {
      via: 'address',
      listen: address,
      url: (port) => `http://${address}:${port}`,
      release: async () => void (await remove(ctx, keeper)),
    };
  },
  layout: () => LAYOUT,

  async launch(ctx, spec) {
    const events = await watchLifecycle(ctx);
    await launch(ctx, spec.name, devices(ctx, spec));
    // A virtual machine that has been started does not run anything of ours yet.
    const runningAtMs = ctx.variant === VM ? undefined : await events.until('start', spec.name, 0);
    if (ctx.variant === VM) await agentUp(ctx, spec.name);
    for (const file of spec.files)
      await must(ctx, ['file', 'push', '--create-dirs', '--mode', '0644', file.source, `${spec.name}${file.path}`], 60_000);
    return { name: spec.name, user: spec.user, ...(runningAtMs === undefined ? {} : { runningAtMs }) };
  },
  exec: (ctx, handle, command) => exec(ctx, handle.name, handle.user ?? AGENT_USER, command),
  async collect() {},
  async destroy(ctx, handle) {
    const events = await watchLifecycle(ctx);
    const removed = await remove(ctx, handle.name);
    const goneAtMs = await events.until('gone', handle.name, removed ? SETTLE_MS : 0);
    return goneAtMs === undefined ? {} : { goneAtMs };
  },
  processes: async (_ctx, handle) => commandLines().flatMap(({ pid, argv }) => (serves(argv, handle.name) ? [pid] : [])),
  disk,
  list,
  census,
  reap: async (ctx, listed) =>
    listed.kind === 'image'
      ? void (await must(ctx, ['image', 'delete', listed.id], 60_000, { code: 'destroy-failed' }))
      : void (await remove(ctx, listed.id)),
  runner: template,
  traces,
  walls,
  shell: (_ctx, handle) => ['incus', 'exec', handle.name, '--user', '1000', '--cwd', LAYOUT.workspace, '--', 'bash'],
});

/** stdin is never the caller's: `launch` reads settings from it. */
function incus(ctx: Context, args: string[], timeoutMs: number, input = '') {
  return capture(['incus', ...args], { env: ctx.env, timeoutMs, input });
}

function must(
  ctx: Context,
  args: string[],
  timeoutMs: number,
  options: { input?: string; code?: CagematchError['code']; hint?: string } = {},
): Promise<string> {
  return output(['incus', ...args], {
    env: ctx.env,
    timeoutMs,
    input: options.input ?? '',
    code: options.code ?? 'launch-failed',
    ...(options.hint === undefined ? {} : { hint: options.hint }),
  });
}

const LIFECYCLE: Record<string, Moment> = { 'instance-started': 'start', 'instance-deleted': 'gone' };

/** The daemon's own word comes some 6 ms before the end of `incus launch`, and 30 ms before we have asked what is left. */
function watchLifecycle(ctx: Context): Promise<Moments> {
  return watchMoments(ctx, {
    key: 'lifecycle',
    argv: () => ['incus', 'monitor', '--type=lifecycle', '--format=json'],
    env: ctx.env,
    read(line) {
      const { action, source } = parseJson<{ metadata?: { action?: string; source?: string } }>(line)?.metadata ?? {};
      const moment = LIFECYCLE[action ?? ''];
      const name = /^\/1\.0\/instances\/([^/?]+)/.exec(source ?? '')?.[1];
      return moment === undefined || name === undefined ? undefined : { moment, name };
    },
  });
}

/** Last words of a client whose daemon went away while it waited. */
const DAEMON_LOST = /^Error: (The incus daemon doesn't appear|.*\b(websocket: close|EOF$|connection (refused|reset)|dial unix))/;

type Device = Record<string, string>;

async function launch(ctx: Context, name: string, extra: Record<string, Device>): Promise<void> {
  const config = {
    'user.cagematch.match': ctx.labels.match,
    'user.cagematch.mode': ctx.labels.mode,
    'user.cagematch.owner': ctx.labels.owner,
    ...limits(ctx),
  };
  // YAML is a superset of JSON.
  await must(ctx, ['launch', template(ctx), name, ...vmFlag(ctx)], 120_000, { input: JSON.stringify({ config, devices: extra }) });
}

/** Said although they are the defaults: a profile may say otherwise. The guest's API tells what the instance is configured with. */
const UNPRIVILEGED = { 'security.privileged': 'false', 'security.nesting': 'false', 'security.guestapi': 'false' };

function walls(ctx: Context): Record<string, 'open' | 'closed'> {
  const closed = [
    ...[
      'root',
      'root-on-host',
      'other-processes',
      'docker-socket',
      'podman-socket',
      'incus-socket',
      'guest-api',
      'ssh-agent',
      'memory-limit',
    ],
    ...['host-files-readable', 'host-files-writable', 'host-root-files', 'git-push-no-remote', 'git-push-file', 'mknod'],
    ...['credentials-in-env', 'credentials-in-proc', 'credentials-in-files', 'credential-places', 'kernel-settings'],
    ...(ctx.variant === VM ? ['host-kernel'] : ['fork-limit', 'new-privileges', 'capabilities', 'host-loopback-ports']),
  ];
  const open = ['write-git-hooks', 'write-git-config', 'write-claude-folder', 'write-vscode-folder', 'write-mcp-json'];
  return {
    ...Object.fromEntries(closed.map((wall) => [wall, 'closed' as const])),
    ...Object.fromEntries([...open, ...(ctx.variant === VM ? [] : ['gateway-port', 'host-kernel'])].map((wall) => [wall, 'open' as const])),
  };
}

function limits(ctx: Context): Record<string, string> {
  const { cpus, memoryMiB, tmpfs } = ctx.options;
  const memory = { 'limits.memory': memoryMiB === undefined ? '4GiB' : `${memoryMiB}MiB` };
  if (ctx.variant === VM) return { ...memory, ...(cpus === undefined ? {} : { 'limits.cpu': `${cpus}` }) };
  return {
    ...UNPRIVILEGED,
    ...memory,
    'limits.processes': '512',
    // A share of time, as containers mean it elsewhere; `limits.cpu` would pin whole processors.
    ...(cpus === undefined ? {} : { 'limits.cpu.allowance': `${Math.max(1, Math.round(cpus * 100))}ms/100ms` }),
    // 6.0 knows no device for it. Where no init mounts /dev/shm, there is none.
    'raw.lxc': ['dev/shm', ...(tmpfs ? ['tmp'] : [])]
      .map((path) => `lxc.mount.entry = tmpfs ${path} tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0`)
      .join('\n'),
  };
}

/** @throws `not-ready` for an option that a virtual machine cannot have */
function checkOptions(ctx: Context): void {
  if (ctx.variant !== VM) return;
  const { cpus, tmpfs } = ctx.options;
  if (tmpfs) throw new CagematchError('not-ready', 'a virtual machine of Incus mounts its own /tmp', 'leave out tmpfs');
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError('not-ready', `a virtual machine has whole processors, not ${cpus}`, `cpus: ${Math.ceil(cpus)}`);
}

const LINK = 'cagematch-link';

function devices(ctx: Context, spec: LaunchSpec): Record<string, Device> {
  const workspace: Device = { type: 'disk', source: spec.host.workspace, path: LAYOUT.workspace };
  if (ctx.variant === VM) return { 'cagematch-workspace': workspace };
  return { 'cagematch-workspace': { ...workspace, shift: 'true' }, [LINK]: link(ctx, spec.name) };
}

function link(ctx: Context, name: string): Device {
  return { type: 'nic', nictype: 'routed', name: 'cagematch0', 'ipv4.address': guestAddress(name), 'ipv4.host_address': hostAddress(ctx) };
}

/** The host's end of every sandbox's routed link: the one address that the gateway listens on for this mode. */
function hostAddress(ctx: Context): string {
  return ctx.env.CAGEMATCH_INCUS_HOST_ADDRESS ?? HOST_ADDRESS;
}

/** A link-local address of the sandbox's own, from its name: 169.254.80.0 to 169.254.143.255. */
function guestAddress(name: string): string {
  const [high = 0, low = 0] = createHash('sha256').update(name).digest();
  return `169.254.${80 + (high % 64)}.${1 + (low % 254)}`;
}

/** The usage of an instance is told by storage that keeps count of it (ZFS; Btrfs and directories with quotas). */
async function disk(ctx: Context, handle: Handle): Promise<{ imageBytes?: number; sandboxBytes?: number }> {
  const ask = async <T>(path: string) => parseJson<T>((await incus(ctx, ['query', path], QUICK_MS)).stdout);
  const image = async () => {
    const known = await fingerprint(ctx, template(ctx));
    return known && ask<{ size?: number }>(`/1.0/images/${known.image}`);
  };
  const [made, state] = await Promise.all([
    image(),
    ask<{ disk?: Record<string, { usage?: number }> | null }>(`/1.0/instances/${handle.name}/state`),
  ]);
  const usage = state?.disk?.root?.usage;
  // Where nobody counts, it says 0 or -1.
  return {
    ...(made?.size === undefined ? {} : { imageBytes: made.size }),
    ...(usage !== undefined && usage > 0 ? { sandboxBytes: usage } : {}),
  };
}

/** The operations are those of a command in the instance, too. The bytes of the template are in the instance itself. */
function traces(ctx: Context, { name }: Handle): Trace[] {
  const ask = (of: Trace['of'], ...args: string[]): Trace => ({
    of,
    says: `incus ${args.slice(0, 2).join(' ')}`,
    argv: ['incus', ...args],
    env: ctx.env,
  });
  return [
    ask('inspect', 'query', `/1.0/instances/${name}?recursion=1`),
    ask('inspect', 'query', '/1.0/operations?recursion=1'),
    ask('inspect', 'config', 'show', '--expanded', name),
    ask('logs', 'info', '--show-log', name),
    ask('image', 'image', 'info', template(ctx)),
  ];
}

/** Is it the instance's monitor, its virtual machine, or what brings a command into it? Our own client is none of these. */
function serves(argv: string[], name: string): boolean {
  // The monitor has put its title in the place of its arguments.
  const words = argv.join(' ').split(' ');
  if (basename(words[0] ?? '') === 'incus') return false;
  return words.some((word) => word === name || word.startsWith(`${name},`) || word.includes(`/${name}/`));
}

/** A virtual machine takes commands only when the agent in it is up. */
async function agentUp(ctx: Context, name: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const tried = await incus(ctx, ['exec', name, '--', 'true'], QUICK_MS);
    if (tried.end.type === 'exit' && tried.end.code === 0) return;
    if (Date.now() > deadline) throw new CagematchError('launch-failed', `${name} boots, but takes no commands: ${whyFailed(tried)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Incus has no setting for it; any Linux with util-linux has the program. */
const NO_NEW_PRIVILEGES = 'setpriv --no-new-privs';

/** What the shell in the guest prints on both streams before it reads. */
const READY = 'cagematch: ready';

/**
 * `incus exec` knows no way to pass a variable by name alone, so the secrets go in on stdin, one a line,
 * and a shell puts them into the environment.
 *
 * The command begins when both streams have been heard. The daemon pings its client on each as it opens; where the
 * command has ended before the client answers, the daemon has closed, the answer fails, and the client gives up what
 * lies behind the ping: on a busy machine a tenth of all short commands lose their output, with exit code 0 (Incus 6.0.4).
 */
function exec(ctx: Context, name: string, user: LaunchSpec['user'], command: Command): ExecStream {
  const env = Object.entries(command.env).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
  const secrets = Object.entries(command.secretEnv);
  const read = secrets.map(([key]) => `IFS= read -r ${key}; export ${key}; `).join('');
  const argv: [string, ...string[]] = [
    'incus',
    'exec',
    name,
    '--force-noninteractive',
    '--user',
    `${user.uid}`,
    '--group',
    `${user.gid}`,
    '--cwd',
    command.cwd,
    ...env,
    '--',
    '/bin/sh',
    '-c',
    `echo '${READY}'; echo '${READY}' >&2; ${read || 'read -r _; '}${ctx.variant === VM ? '' : `command -v setpriv >/dev/null && set -- ${NO_NEW_PRIVILEGES} "$@"; `}exec "$@"${command.stdin === undefined ? ' </dev/null' : ''}`,
    'sh',
    ...command.argv,
  ];
  const input = `${secrets.map(([, value]) => `${value}\n`).join('') || '\n'}${command.stdin ?? ''}`;
  return clientEnd(stream(argv, { env: ctx.env, signal: ctx.signal, ready: READY, input }), DAEMON_LOST);
}

/** Gone, and confirmed. False when it was gone before. */
async function remove(ctx: Context, name: string): Promise<boolean> {
  const removal = await incus(ctx, ['delete', '--force', name], 60_000);
  const left = await incus(ctx, ['query', `/1.0/instances/${name}`], QUICK_MS);
  if (left.end.type === 'exit' && left.end.code === 0)
    throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`);
  if (!/not found/i.test(left.stderr))
    throw new CagematchError('destroy-failed', `whether ${name} is gone cannot be told: ${whyFailed(left)}`);
  return removal.end.type === 'exit' && removal.end.code === 0;
}

async function list(ctx: Context): Promise<Listed[]> {
  const all =
    parseJson<{ name: string; config: Record<string, string> }[]>(
      await must(ctx, ['query', '/1.0/instances?recursion=1'], QUICK_MS, { code: 'not-ready' }),
    ) ?? [];
  return all.flatMap(({ name, config }) => {
    const labels = readLabels(Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace(/^user\./, ''), value])));
    return labels.match === undefined ? [] : [{ id: name, kind: 'instance', labels }];
  });
}

interface Told {
  name?: string;
  fingerprint?: string;
  aliases?: { name: string }[];
  config?: Record<string, string>;
  /** Of a pool: its volumes, and what else lies in it. */
  used_by?: string[] | null;
}

/** Four questions at once. Volumes are told by their pools; those of instances and images go with these. */
async function census(ctx: Context): Promise<Thing[]> {
  const ask = async (what: string) =>
    parseJson<Told[]>(await must(ctx, ['query', `/1.0/${what}?recursion=1`], QUICK_MS, { code: 'not-ready' })) ?? [];
  const [instances, networks, images, pools] = await Promise.all(['instances', 'networks', 'images', 'storage-pools'].map(ask));
  const labels = (config: Told['config']) => Object.entries(config ?? {}).map(([key, value]) => `${key.replace(/^user\./, '')}=${value}`);
  const thing = (kind: string) => (one: Told) => ({ kind, id: one.name ?? '', marks: [one.name ?? '', ...labels(one.config)] });
  return [
    ...(instances ?? []).map(thing('instance')),
    ...(networks ?? []).map(thing('network')),
    ...(images ?? []).map(({ fingerprint = '', aliases = [] }) => ({
      kind: 'image',
      id: fingerprint,
      marks: aliases.map(({ name }) => name),
    })),
    ...(pools ?? [])
      .flatMap((pool) => pool.used_by ?? [])
      .filter((path) => path.includes('/volumes/'))
      .map((path) => ({ kind: 'volume', id: path.replace(/^.*\/volumes\//, ''), marks: [path] })),
  ];
}

function vmFlag(ctx: Context): string[] {
  return ctx.variant === VM ? ['--vm'] : [];
}

function base(ctx: Context): string {
  return ctx.env.CAGEMATCH_INCUS_BASE ?? 'images:debian/12';
}

/**
 * Undefined where there is no such image.
 * @throws `not-ready` where the daemon does not say: an image that may be there must not be built again
 */
async function fingerprint(ctx: Context, alias: string): Promise<{ image: string } | undefined> {
  const asked = await incus(ctx, ['query', `/1.0/images/aliases/${alias}`], QUICK_MS);
  const target = parseJson<{ target?: string }>(asked.stdout)?.target;
  if (asked.end.type === 'exit' && asked.end.code === 0 && target !== undefined) return { image: target };
  if (/not found/i.test(asked.stderr)) return undefined;
  throw new CagematchError('not-ready', `whether ${alias} is there cannot be told: ${whyFailed(asked)}`);
}

/** @throws `image-unavailable` when the template is there and will not go */
async function evict(ctx: Context): Promise<void> {
  const alias = template(ctx);
  if (!(await fingerprint(ctx, alias))) return;
  await must(ctx, ['image', 'delete', alias], 60_000, { code: 'image-unavailable' });
}

/** The template's alias: agent version, and a hash of what else it is made of. */
function template(ctx: Context): string {
  const hash = createHash('sha256')
    .update(base(ctx))
    .update(ctx.variant ?? '')
    .update(SETUP);
  for (const file of HOME_FILES) hash.update(readFileSync(homeFile(ctx, file)));
  return `cagematch-runner-${ctx.agentVersion.replaceAll('.', '-')}-${hash.digest('hex').slice(0, 8)}`;
}

function homeFile(ctx: Context, file: string): string {
  return join(ctx.packageRoot, 'lib/task/home', file);
}

/** What the Dockerfile does, said to a running instance. */
const SETUP = `set -e
if id -un 1000 >/dev/null 2>&1 && [ "$(id -un 1000)" != agent ]; then userdel --remove "$(id -un 1000)" 2>/dev/null || true; fi
id agent >/dev/null 2>&1 || useradd --create-home --uid 1000 --shell /bin/bash agent
mkdir -p /workspace /home/agent/.claude
chown -R agent: /workspace /home/agent
chmod -R a+rwX /home/agent
chmod 755 /usr/local/bin/claude
node --version && claude --version && git --version`;

/** The template gets this machine's own Node and agent, which are the pinned versions and need no network inside. */
async function buildTemplate(ctx: Context, alias: string): Promise<void> {
  const problem = {
    code: 'image-unavailable' as const,
    hint: 'set CAGEMATCH_INCUS_BASE to a Debian-like image with git that this server has',
  };
  if (ctx.agentBinary === undefined || !existsSync(ctx.agentBinary))
    throw new CagematchError('image-unavailable', 'the agent CLI is not installed here', 'npm install --include=optional');
  ctx.say(`building ${alias} (once; a minute or so)`);
  const builder = `cagematch-build-${ctx.labels.match}`;
  const labels = Object.fromEntries(Object.entries(ctx.labels).map(([key, value]) => [`user.cagematch.${key}`, value]));
  try {
    await must(ctx, ['launch', base(ctx), builder, ...vmFlag(ctx)], 300_000, { ...problem, input: JSON.stringify({ config: labels }) });
    if (ctx.variant === VM) await agentUp(ctx, builder);
    const hasNode = await incus(ctx, ['exec', builder, '--', 'sh', '-c', 'command -v node'], QUICK_MS);
    if (!(hasNode.end.type === 'exit' && hasNode.end.code === 0))
      await must(ctx, ['file', 'push', '--mode', '0755', process.execPath, `${builder}/usr/local/bin/node`], 120_000, problem);
    await must(ctx, ['file', 'push', '--mode', '0755', ctx.agentBinary, `${builder}/usr/local/bin/claude`], 300_000, problem);
    for (const file of HOME_FILES)
      await must(
        ctx,
        ['file', 'push', '--create-dirs', '--mode', '0644', homeFile(ctx, file), `${builder}${LAYOUT.home}/${file}`],
        QUICK_MS,
        problem,
      );
    await must(ctx, ['exec', builder, '--', '/bin/sh', '-c', SETUP], 60_000, problem);
    await must(ctx, ['stop', '--force', builder], 60_000, problem);
    await must(ctx, ['publish', builder, '--alias', alias, '--compression', 'none'], 300_000, problem);
  } finally {
    await incus(ctx, ['delete', '--force', builder], 60_000);
  }
}
