// Identifies one process of one boot of one machine, so that another harness can decide later
// whether it still runs.
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';

/**
 * `foreign`: the owner belongs to another machine, or to a PID namespace that we cannot inspect, or
 * its machine cannot be determined. Whether it still runs is then unknown.
 */
export type OwnerState = 'alive' | 'dead' | 'foreign';

/** Where a harness runs. */
export interface Place {
  /** Undefined where the platform has no PID namespaces. */
  pidNamespace: string | undefined;
  boot: string;
  host: string;
  /** The process file system. */
  proc: string;
}

/** Separates the fields. An identifier has the same bytes in labels, files and environments. */
const SEPARATOR = ':';

/**
 * `<pid>:<boot>:<start>:<pid namespace>:<host>`. A pid is reused within a boot, so the identifier
 * includes the process's start time (in clock ticks after boot). A pid also means a different
 * process in another PID namespace. Earlier versions wrote only the first two fields.
 */
export function identifier(pid: number, place: Place = thisPlace()): string {
  const start = startTicks(pid, place.proc) ?? '';
  return [pid, place.boot, start, place.pidNamespace ?? '', place.host].join(SEPARATOR);
}

/**
 * Whether the harness with that identifier still runs; `foreign` if that cannot be seen from here,
 * as on another machine.
 */
export function stateOf(owner: string, place: Place = thisPlace()): OwnerState {
  const [pid = '', boot, start, pidNamespace, host] = owner.split(SEPARATOR);
  // 0 and negative numbers would address whole process groups. No version of cagematch has written
  // such an identifier.
  if (!/^[1-9]\d*$/.test(pid) || !boot) return 'dead';
  if (host === undefined) {
    // An identifier in the older form: a different boot may mean a different machine.
    return sameBoot(boot, place.boot) ? lifeOf(Number(pid), undefined, place.proc) : 'foreign';
  }
  if (host !== place.host) return 'foreign';
  if (!sameBoot(boot, place.boot)) return 'dead';
  if (pidNamespace !== (place.pidNamespace ?? '')) return 'foreign';
  return lifeOf(Number(pid), start || undefined, place.proc);
}

/**
 * A zombie counts as dead: it has ended, and only its parent has not collected its exit code yet.
 */
function lifeOf(pid: number, start: string | undefined, proc: string): 'alive' | 'dead' {
  const stat = statFields(pid, proc);
  if (stat) {
    const [state = '', started] = [stat[0], stat[19]];
    return 'ZXx'.includes(state) || (start !== undefined && start !== started) ? 'dead' : 'alive';
  }
  // Another user's process may be hidden from us (hidepid), and macOS has no process file system.
  try {
    process.kill(pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}

/** True for a zombie: the process has ended, and its parent has not collected its exit code yet. */
export function isZombie(pid: number, proc = '/proc'): boolean {
  return 'ZXx'.includes(statFields(pid, proc)?.[0] ?? ' ');
}

/** When a process started, in clock ticks after boot; undefined where that cannot be read. */
export function startTicks(pid: number, proc = '/proc'): string | undefined {
  return statFields(pid, proc)?.[19];
}

/**
 * The session that a process belongs to, by the pid of its leader; undefined where that cannot be
 * read.
 */
export function sessionOf(pid: number, proc = '/proc'): number | undefined {
  const session = statFields(pid, proc)?.[3];
  return session === undefined ? undefined : Number(session);
}

/**
 * The fields of `stat` from the state on. They are located from the end of the program's name,
 * which may contain any character.
 */
function statFields(pid: number, proc: string): string[] | undefined {
  const text = read(`${proc}/${pid}/stat`);
  return text === undefined ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

let known: Place | undefined;

/** Read once per process. */
export function thisPlace(): Place {
  known ??= { pidNamespace: pidNamespaceOf('self'), boot: bootId(), host: hostId(), proc: '/proc' };
  return known;
}

/**
 * Inode number of a process's PID namespace. Undefined where there is none, or where another user's
 * process may not be inspected.
 */
export function pidNamespaceOf(pid: number | 'self', proc = '/proc'): string | undefined {
  try {
    return /\[(\d+)\]/.exec(readlinkSync(`${proc}/${pid}/ns/pid`))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * A digest, since the machine id is confidential. It includes the host name, since machines cloned
 * from one image may share the id.
 */
function hostId(): string {
  const machine = read('/etc/machine-id') ?? read('/var/lib/dbus/machine-id') ?? '';
  return createHash('sha256')
    .update(`cagematch ${machine.trim()} ${hostname()}`)
    .digest('hex')
    .slice(0, 12);
}

const MINUTES = /^boot-(\d+)$/;

function bootId(): string {
  // Rounded to minutes, since the clock and the uptime drift slightly relative to each other.
  return (
    read('/proc/sys/kernel/random/boot_id')?.trim() ??
    `boot-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  );
}

function sameBoot(boot: string, other: string): boolean {
  const [a, b] = [MINUTES.exec(boot)?.[1], MINUTES.exec(other)?.[1]];
  return a === undefined || b === undefined ? boot === other : Math.abs(Number(a) - Number(b)) <= 2;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
