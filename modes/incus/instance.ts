// One instance: launching it with limits and devices, and running commands in it.
import { createHash } from 'node:crypto';
import type { Command, Context, ExecEvent, Handle, LaunchSpec } from '../../lib/contract.js';
import { CagematchError, messageOf } from '../../lib/errors.js';
import { parseJson } from '../../lib/json.js';
import { type Moment, type Moments, watchMoments } from '../../lib/kit/lifecycle-events.js';
import { isLinkLocal, isLoopback } from '../../lib/os/addresses.js';
import { clientEnd, stream } from '../../lib/os/exec.js';
import { AGENT_USER, isClustered, isFar, LAYOUT, labelled, must, VM, vmFlag } from './client.js';
import { membersOf } from './cluster.js';
import { untilLost } from './members.js';
import { isOci, template } from './template.js';

export interface InstanceHandle extends Handle {
  user?: LaunchSpec['user'];
}

export const HOST_ADDRESS = '169.254.78.1';

const LIFECYCLE: Record<string, Moment> = { 'instance-started': 'start', 'instance-deleted': 'gone' };

/** The daemon's event arrives about 6 ms before `incus launch` ends, and 30 ms before we have checked what is left after a removal. */
export function watchLifecycle(ctx: Context): Promise<Moments> {
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

type Device = Record<string, string>;

export async function launch(ctx: Context, name: string, extra: Record<string, Device>): Promise<void> {
  const config = {
    ...labelled(ctx),
    ...limits(ctx),
    ...((await isOci(ctx)) ? { 'oci.entrypoint': 'sleep infinity' } : {}),
  };
  const members = await membersOf(ctx);
  const place = isClustered(ctx) ? members?.placeOf(name) : undefined;
  // If a member is lost, the daemon may never answer.
  const over = new AbortController();
  void members?.lost(name).then(() => over.abort());
  const args = ['launch', template(ctx), name, ...vmFlag(ctx), ...(place === undefined ? [] : ['--target', place])];
  try {
    // YAML is a superset of JSON.
    await must(ctx, args, 120_000, { input: JSON.stringify({ config, devices: extra }), signal: over.signal });
  } catch (error) {
    throw new CagematchError('launch-failed', members?.whyLost(name) ?? messageOf(error));
  }
}

/** @throws `not-ready` if this server or a virtual machine does not support an option */
export function checkOptions(ctx: Context): void {
  const { cpus, tmpfs, target } = ctx.options;
  const members = String(ctx.facts.members ?? '').replaceAll(' (offline)', '');
  if (target !== undefined && !isClustered(ctx))
    throw new CagematchError('not-ready', `this Incus is no cluster, so ${target} is no member`, 'leave out target');
  if (target !== undefined && !members.split(' ').includes(target))
    throw new CagematchError('not-ready', `the cluster has no member ${target}`, `target: ${members.split(' ').join(' | ')}`);
  if (ctx.variant !== VM) return;
  if (tmpfs) throw new CagematchError('not-ready', 'a virtual machine of Incus mounts its own /tmp', 'leave out tmpfs');
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError('not-ready', `a virtual machine has whole processors, not ${cpus}`, `cpus: ${Math.ceil(cpus)}`);
}

function limits(ctx: Context): Record<string, string> {
  const { cpus, memoryMiB, tmpfs } = ctx.options;
  const memory = { 'limits.memory': memoryMiB === undefined ? '4GiB' : `${memoryMiB}MiB` };
  if (ctx.variant === VM) return { ...memory, ...(cpus === undefined ? {} : { 'limits.cpu': `${cpus}` }) };
  return {
    ...UNPRIVILEGED,
    ...memory,
    'limits.processes': '512',
    // A share of CPU time, as in other container runtimes; `limits.cpu` would pin whole processors.
    ...(cpus === undefined ? {} : { 'limits.cpu.allowance': `${Math.max(1, Math.round(cpus * 100))}ms/100ms` }),
    // Incus 6.0 has no device type for tmpfs. Without an init that mounts /dev/shm, it would not exist.
    'raw.lxc': ['dev/shm', ...(tmpfs ? ['tmp'] : [])]
      .map((path) => `lxc.mount.entry = tmpfs ${path} tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0`)
      .join('\n'),
  };
}

/** Set explicitly although these are the defaults, because a profile may differ. The guest API exposes the instance's configuration. */
const UNPRIVILEGED = { 'security.privileged': 'false', 'security.nesting': 'false', 'security.guestapi': 'false' };

export const LINK = 'cagematch-link';

export function devices(ctx: Context, spec: LaunchSpec): Record<string, Device> {
  if (isFar(ctx)) return {};
  const workspace: Device = { type: 'disk', source: spec.host.workspace, path: LAYOUT.workspace };
  if (ctx.variant === VM) return { 'cagematch-workspace': workspace };
  return { 'cagematch-workspace': { ...workspace, shift: 'true' }, [LINK]: link(ctx, spec.name) };
}

export function link(ctx: Context, name: string): Device {
  return { type: 'nic', nictype: 'routed', name: 'cagematch0', 'ipv4.address': guestAddress(name), 'ipv4.host_address': hostAddress(ctx) };
}

/**
 * The host's end of every sandbox's routed link: the only address that the gateway listens on for this mode.
 * @throws `bad-input` if other machines could reach the address
 */
export function hostAddress(ctx: Context): string {
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

/** What the shell in the guest prints on both streams before it reads stdin. */
const READY = 'cagematch: ready';

/**
 * `incus exec` cannot pass a variable by name alone, so the secrets are sent on stdin, one per line, and a shell exports them into the
 * environment.
 *
 * The command starts only after the ready line has arrived on both streams. The daemon pings its client on each stream as it opens. If
 * the command ends before the client answers the ping, the daemon has closed the stream, the answer fails, and the client discards the
 * output after the ping: on a busy machine a tenth of all short commands lose their output, with exit code 0 (Incus 6.0.4).
 */
export async function* exec(ctx: Context, { name, user = AGENT_USER }: InstanceHandle, command: Command): AsyncGenerator<ExecEvent> {
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
  const client = stream(argv, { env: ctx.env, signal: ctx.signal, ready: READY, input });
  const members = await membersOf(ctx);
  if (!members) return yield* clientEnd(client, DAEMON_LOST);
  for await (const event of clientEnd(untilLost(client, members.lost(name)), DAEMON_LOST)) {
    const own = event.type === 'lost' && members.whyLost(name) === undefined;
    // The connection may break before the cluster notices that the member is gone.
    if (own) members.suspect(name);
    yield own ? { ...event, reason: `member ${members.placeOf(name) ?? 'unknown'} is lost: ${event.reason}` } : event;
  }
}
