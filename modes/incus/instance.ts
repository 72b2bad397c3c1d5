// One instance: launching it with limits and devices, and running commands in it.
import { createHash } from 'node:crypto';
import type { Command, ExecEvent, Handle, LaunchSpec, TerminalCall } from '../../lib/contract.js';
import { CagematchError, messageOf } from '../../lib/errors.js';
import { parseJson } from '../../lib/json.js';
import { requireEgress } from '../../lib/kit/egress.js';
import { shellBy } from '../../lib/kit/guest/exec.js';
import { terminalArgv } from '../../lib/kit/guest/terminal.js';
import { type Moment, type Moments, watchMoments } from '../../lib/kit/lifecycle-events.js';
import { isLinkLocal, isLoopback } from '../../lib/os/addresses.js';
import { clientEnd, stream } from '../../lib/os/stream.js';
import {
  AGENT_USER,
  type IncusContext,
  incus,
  isClustered,
  isFar,
  LAYOUT,
  labelled,
  must,
  QUICK_MS,
  VM,
  vmFlag,
} from './client.js';
import { membersOf } from './cluster.js';
import { untilLost } from './members.js';
import { isOci, template } from './template.js';

export interface InstanceHandle extends Handle {
  user?: LaunchSpec['user'];
}

export const HOST_ADDRESS = '169.254.78.1';

const LIFECYCLE: Record<string, Moment> = {
  'instance-started': 'start',
  'instance-deleted': 'gone',
};

/**
 * The daemon's event arrives about 6 ms before `incus launch` ends, and 30 ms before we have
 * checked what is left after a removal.
 */
export function watchLifecycle(ctx: IncusContext): Promise<Moments> {
  return watchMoments(ctx, {
    key: 'lifecycle',
    argv: () => ['incus', 'monitor', '--type=lifecycle', '--format=json'],
    env: ctx.env,
    read(line) {
      const { action, source } =
        parseJson<{ metadata?: { action?: string; source?: string } }>(line)?.metadata ?? {};
      const moment = LIFECYCLE[action ?? ''];
      const name = /^\/1\.0\/instances\/([^/?]+)/.exec(source ?? '')?.[1];
      return moment === undefined || name === undefined ? undefined : { moment, name };
    },
  });
}

type Device = Record<string, string>;

export async function launch(
  ctx: IncusContext,
  name: string,
  extra: Record<string, Device>,
  user?: LaunchSpec['user'],
): Promise<void> {
  const config = {
    ...labelled(ctx),
    ...(user === undefined ? {} : { [USER_KEY]: `${user.uid}:${user.gid}` }),
    ...limits(ctx),
    ...((await isOci(ctx)) ? { 'oci.entrypoint': 'sleep infinity' } : {}),
  };
  const members = await membersOf(ctx);
  const place = isClustered(ctx) ? members?.placeOf(name) : undefined;
  // If a member is lost, the daemon may never answer.
  const over = new AbortController();
  void members?.lost(name).then(() => over.abort());
  const args = [
    'launch',
    template(ctx),
    name,
    ...vmFlag(ctx),
    ...(place === undefined ? [] : ['--target', place]),
  ];
  try {
    // YAML is a superset of JSON.
    await must(ctx, args, 120_000, {
      input: JSON.stringify({ config, devices: extra }),
      signal: over.signal,
    });
  } catch (error) {
    throw new CagematchError('launch-failed', members?.whyLost(name) ?? messageOf(error));
  }
}

/** @throws `not-ready` if this server or a virtual machine does not support an option */
export function checkOptions(ctx: IncusContext): void {
  const { cpus, tmpfs, target } = ctx.options;
  const members = (ctx.state?.members ?? []).map(({ name }) => name);
  if (target !== undefined && !isClustered(ctx))
    throw new CagematchError(
      'not-ready',
      `this Incus is no cluster, so ${target} is no member`,
      'leave out target',
    );
  if (target !== undefined && !members.includes(target))
    throw new CagematchError(
      'not-ready',
      `the cluster has no member ${target}`,
      `target: ${members.join(' | ')}`,
    );
  if (ctx.variant !== VM) return;
  if (tmpfs)
    throw new CagematchError(
      'not-ready',
      'a virtual machine of Incus mounts its own /tmp',
      'leave out tmpfs',
    );
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError(
      'not-ready',
      `a virtual machine has whole processors, not ${cpus}`,
      `cpus: ${Math.ceil(cpus)}`,
    );
}

function limits(ctx: IncusContext): Record<string, string> {
  const { cpus, memoryMiB, tmpfs } = ctx.options;
  const memory = { 'limits.memory': memoryMiB === undefined ? '4GiB' : `${memoryMiB}MiB` };
  if (ctx.variant === VM)
    return { ...memory, ...(cpus === undefined ? {} : { 'limits.cpu': `${cpus}` }) };
  return {
    ...UNPRIVILEGED,
    ...memory,
    'limits.processes': '512',
    // A share of CPU time, as in other container runtimes; `limits.cpu` would pin whole processors.
    ...(cpus === undefined
      ? {}
      : { 'limits.cpu.allowance': `${Math.max(1, Math.round(cpus * 100))}ms/100ms` }),
    // Incus 6.0 has no device type for tmpfs. Without an init that mounts /dev/shm, it would not
    // exist.
    'raw.lxc': ['dev/shm', ...(tmpfs ? ['tmp'] : [])]
      .map(
        (path) => `lxc.mount.entry = tmpfs ${path} tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0`,
      )
      .join('\n'),
  };
}

/**
 * Set explicitly although these are the defaults, because a profile may differ. The guest API
 * exposes the instance's configuration.
 */
const UNPRIVILEGED = {
  'security.privileged': 'false',
  'security.nesting': 'false',
  'security.guestapi': 'false',
};

export const LINK = 'cagematch-link';

/** The network devices that instances have from their default profile. */
async function profileNics(ctx: IncusContext): Promise<string[]> {
  const profile = await must(ctx, ['query', '/1.0/profiles/default'], QUICK_MS, {
    code: 'not-ready',
  });
  const { devices: all = {} } = parseJson<{ devices?: Record<string, Device> }>(profile) ?? {};
  return Object.entries(all).flatMap(([name, { type }]) => (type === 'nic' ? [name] : []));
}

/**
 * Without a network device of the profile, an instance has nothing but our link, whose other end
 * forwards nothing.
 */
export async function checkEgress(ctx: IncusContext): Promise<void> {
  const { egress } = ctx.options;
  if (egress === undefined) return;
  const hasNetwork = (await profileNics(ctx)).length > 0;
  requireEgress(ctx, 'Incus', [
    ...(ctx.variant === VM || isFar(ctx) ? [] : ['gateway' as const]),
    ...(hasNetwork ? ['internet' as const] : []),
  ]);
}

/** Takes away the profile's network devices where an instance may reach only the gateway. */
export async function egressDevices(ctx: IncusContext): Promise<Record<string, Device>> {
  if (ctx.options.egress !== 'gateway') return {};
  return Object.fromEntries((await profileNics(ctx)).map((name) => [name, { type: 'none' }]));
}

export function devices(ctx: IncusContext, spec: LaunchSpec): Record<string, Device> {
  if (isFar(ctx)) return {};
  const workspace: Device = { type: 'disk', source: spec.host.workspace, path: LAYOUT.workspace };
  if (ctx.variant === VM) return { 'cagematch-workspace': workspace };
  return { 'cagematch-workspace': { ...workspace, shift: 'true' }, [LINK]: link(ctx, spec.name) };
}

export function link(ctx: IncusContext, name: string): Device {
  return {
    type: 'nic',
    nictype: 'routed',
    name: 'cagematch0',
    'ipv4.address': guestAddress(name),
    'ipv4.host_address': hostAddress(ctx),
  };
}

/**
 * The host's end of every sandbox's routed link: the only address that the gateway listens on for
 * this mode.
 * @throws `bad-input` if other machines could reach the address
 */
export function hostAddress(ctx: IncusContext): string {
  const address = ctx.env.CAGEMATCH_INCUS_HOST_ADDRESS ?? HOST_ADDRESS;
  if (isLinkLocal(address) || isLoopback(address)) return address;
  throw new CagematchError(
    'bad-input',
    'CAGEMATCH_INCUS_HOST_ADDRESS is not a link-local address: the gateway would be open to other machines',
    `CAGEMATCH_INCUS_HOST_ADDRESS=${HOST_ADDRESS}, or another of 169.254.0.0/16`,
  );
}

/** A link-local address for the sandbox, derived from its name: 169.254.80.0 to 169.254.143.255. */
function guestAddress(name: string): string {
  const [high = 0, low = 0] = createHash('sha256').update(name).digest();
  return `169.254.${80 + (high % 64)}.${1 + (low % 254)}`;
}

/** The last line printed by a client whose daemon went away while the client was waiting. */
const DAEMON_LOST =
  /^Error: (The incus daemon doesn't appear|.*\b(websocket: close|EOF$|connection (refused|reset)|dial (unix|tcp)|(read|write) tcp|i\/o timeout))/;

/** Incus has no setting for this; the program is on any Linux with util-linux. */
const NO_NEW_PRIVILEGES = 'setpriv --no-new-privs';

/** Shell commands that confine the command in `$@`. */
const confined = (ctx: IncusContext) =>
  ctx.variant === VM ? '' : `command -v setpriv >/dev/null && set -- ${NO_NEW_PRIVILEGES} "$@"; `;

/**
 * The user that commands run as: the owner of the workspace, which the instance records for
 * processes that did not launch it.
 */
async function userOf(
  ctx: IncusContext,
  { name, user }: InstanceHandle,
): Promise<LaunchSpec['user']> {
  if (user !== undefined || isFar(ctx)) return user ?? AGENT_USER;
  const instance = await incus(ctx, ['query', `/1.0/instances/${name}`], QUICK_MS);
  const { config } = parseJson<{ config?: Record<string, string> }>(instance.stdout) ?? {};
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(config?.[USER_KEY] ?? '') ?? [];
  return uid === undefined ? AGENT_USER : { uid: Number(uid), gid: Number(gid) };
}

const USER_KEY = 'user.cagematch.user';

/** The call of `incus exec` for a command that has a terminal. */
export async function terminal(
  ctx: IncusContext,
  handle: InstanceHandle,
  command: Omit<Command, 'stdin'>,
): Promise<TerminalCall> {
  const user = await userOf(ctx, handle);
  const shell = shellBy(
    (short, signal) => exec({ ...ctx, signal }, { ...handle, user }, short),
    ctx.signal,
    QUICK_MS,
  );
  const inside = await terminalArgv(shell, LAYOUT.memory, command);
  const script = `${confined(ctx)}exec "$@"`;
  const ids = ['--user', `${user.uid}`, '--group', `${user.gid}`];
  const argv: TerminalCall['argv'] = [
    'incus',
    'exec',
    handle.name,
    '--force-interactive',
    ...ids,
    '--',
    '/bin/sh',
    '-c',
    script,
    'sh',
    ...inside,
  ];
  return { argv, env: ctx.env, cwd: '/' };
}

/** What the shell in the guest prints on both streams before it reads stdin. */
const READY = 'cagematch: ready';

/**
 * `incus exec` cannot pass a variable by name alone, so the secrets are sent on stdin, one per
 * line, and a shell exports them into the environment.
 *
 * The command starts only after the ready line has arrived on both streams. The daemon pings its
 * client on each stream as it opens. If the command ends before the client answers the ping, the
 * daemon has closed the stream, the answer fails, and the client discards the output after the
 * ping: on a busy machine a tenth of all short commands lose their output, with exit code 0 (Incus
 * 6.0.4).
 */
export async function* exec(
  ctx: IncusContext,
  handle: InstanceHandle,
  command: Command,
): AsyncGenerator<ExecEvent> {
  const { name } = handle;
  const user = await userOf(ctx, handle);
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
    `echo '${READY}'; echo '${READY}' >&2; ${read || 'read -r _; '}${confined(ctx)}exec "$@"${command.stdin === undefined ? ' </dev/null' : ''}`,
    'sh',
    ...command.argv,
  ];
  const input = `${secrets.map(([, value]) => `${value}\n`).join('') || '\n'}${command.stdin ?? ''}`;
  const client = stream(argv, { env: ctx.env, signal: ctx.signal, ready: READY, input });
  const members = await membersOf(ctx);
  members?.found(name, handle.place);
  if (!members) return yield* clientEnd(client, DAEMON_LOST);
  for await (const event of clientEnd(untilLost(client, members.lost(name)), DAEMON_LOST)) {
    const own = event.type === 'lost' && members.whyLost(name) === undefined;
    // The connection may break before the cluster notices that the member is gone.
    if (own) members.suspect(name);
    yield own
      ? {
          ...event,
          reason: `member ${members.placeOf(name) ?? 'unknown'} is lost: ${event.reason}`,
        }
      : event;
  }
}
