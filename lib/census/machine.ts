// Reads what a sandbox could leave on this machine: processes, mounts, network namespaces, cgroups,
// ports, folders. Linux only.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Thing } from '../contract.js';
import { readMounts } from '../os/mounts.js';
import { folderOwner, OWNER_VARIABLE, ownerDead } from '../os/owner.js';
import { markedSandbox } from '../os/process-mark.js';
import { sandboxIn } from '../os/processes.js';
import type { Leftover } from '../record/types.js';
import { portsOf } from './ports.js';

/** The places to read; tests pass their own. */
export interface Places {
  proc: string;
  cgroup: string;
  run: string;
  tmp(): string;
}

const HERE: Places = { proc: '/proc', cgroup: '/sys/fs/cgroup', run: '/run', tmp: tmpdir };

/** The state of the machine at one moment. */
export interface Reading {
  things: Map<string, Thing>;
  /**
   * Names in the folder for temporary files; `things` includes only those that the previous reading
   * did not have.
   */
  temporary: Set<string>;
  /** The processes that existed; those already in the previous reading are not read again. */
  pids: Map<number, Kin>;
  /**
   * Evidence that since the previous reading an unknown sandbox has started, or that another
   * harness is at work.
   */
  others: Thing[];
}

/** Owner of a process, as far as a later reading needs it. */
type Kin = 'other-harness' | 'any';

export interface Machine {
  /**
   * @param before the reading to compare with: processes that existed then are skipped quickly
   * @param owner owner label of this harness
   */
  read(before: Reading | undefined, owner: string): Reading;
  /**
   * Ports on which these processes listen. A port belongs to the process that holds it; reading all
   * ports would take the kernel 10 ms.
   */
  ports(pids: number[]): Leftover[];
}

/** Undefined on platforms other than Linux. */
export function thisMachine(platform: NodeJS.Platform): Machine | undefined {
  return platform === 'linux' ? machineAt(HERE) : undefined;
}

/** All reads are synchronous, in memory file systems, and take a few milliseconds in total. */
export function machineAt(places: Places): Machine {
  return {
    read(before, owner) {
      const pids = new Map<number, Kin>();
      const others: Thing[] = [];
      const fresh: Thing[] = [];
      const ourMounts = link(`${places.proc}/self/ns/mnt`);
      for (const pid of numbers(entries(places.proc))) {
        const known = before?.pids.get(pid);
        // A pid that was reused within one run would be mistaken for the earlier process, but the
        // kernel assigns pids in sequence.
        const kin = known ?? kinOf(places.proc, pid, owner);
        pids.set(pid, kin);
        const thing = before && known === undefined ? readProcess(places.proc, pid) : undefined;
        if (thing) fresh.push(thing);
        if (kin === 'other-harness')
          others.push(thing ?? { kind: 'process', id: `pid ${pid}`, marks: [] });
        else if (thing && isApart(places.proc, pid, ourMounts)) others.push(thing);
      }
      const temporary = new Set(entries(places.tmp()));
      const found = [...fresh, ...mounts(places), ...namespaces(places), ...cgroups(places.cgroup)];
      if (before) found.push(...folders(places.tmp(), temporary, before));
      const things = new Map(found.map((thing) => [keyOf(thing), thing]));
      return { things, temporary, pids, others };
    },
    ports: (pids) => portsOf(places.proc, pids),
  };
}

export const keyOf = ({ kind, id }: Pick<Thing, 'kind' | 'id'>) => `${kind} ${id}`;

function kinOf(proc: string, pid: number, owner: string): Kin {
  const its = new RegExp(`(?:^|\\0)${OWNER_VARIABLE}=([^\\0]*)`).exec(
    read(`${proc}/${pid}/environ`),
  )?.[1];
  // A process that a dead harness's client left running for the user (a pause process) is not a
  // harness at work.
  return its === undefined || its === owner || pid === process.pid || ownerDead(its)
    ? 'any'
    : 'other-harness';
}

/** Undefined for a kernel thread or a zombie. */
function readProcess(proc: string, pid: number): Thing | undefined {
  const argv = read(`${proc}/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  if (argv === '') return undefined;
  const sandbox = sandboxIn(read(`${proc}/${pid}/environ`)) ?? markedSandbox(pid, proc);
  const id = sandbox === undefined ? `pid ${pid} (${argv.slice(0, 60)})` : `${sandbox} pid ${pid}`;
  const marks = [sandbox, link(`${proc}/${pid}/cwd`), read(`${proc}/${pid}/cgroup`), argv].filter(
    (mark) => mark !== undefined,
  );
  return { kind: 'process', id, marks };
}

/**
 * True if the process has another mount namespace than ours, and so is in some sandbox, ours or
 * not.
 */
function isApart(proc: string, pid: number, ours: string | undefined): boolean {
  const its = link(`${proc}/${pid}/ns/mnt`);
  return ours !== undefined && its !== undefined && its !== ours;
}

/** Lists mounts. A mount that keeps a network namespace alive is reported as the namespace. */
function mounts({ proc }: Places): Thing[] {
  return readMounts(proc).map(({ point, root, type }) => {
    const kind = type === 'nsfs' && root.startsWith('net:') ? 'netns' : 'mount';
    return { kind, id: point, marks: named(point) };
  });
}

/** Lists the named network namespaces. */
function namespaces({ run }: Places): Thing[] {
  const folders = [join(run, 'netns'), join(run, 'docker/netns')];
  return folders.flatMap((folder) =>
    entries(folder).map((name) => ({ kind: 'netns', id: join(folder, name), marks: named(name) })),
  );
}

/**
 * Lists the cgroups of the unified hierarchy, or of one v1 hierarchy: a sandbox has its folder in
 * each.
 */
function cgroups(root: string): Thing[] {
  const unified = existsSync(join(root, 'cgroup.controllers'));
  const base = unified
    ? root
    : ['pids', 'memory', 'systemd']
        .map((controller) => join(root, controller))
        .find((controller) => existsSync(controller));
  const found: Thing[] = [];
  const open = base === undefined ? [] : [base];
  for (let folder = open.pop(); folder !== undefined && found.length < MOST; folder = open.pop()) {
    // A folder without subfolders need not be read: it has many files.
    if ((statSync(folder, { throwIfNoEntry: false })?.nlink ?? 0) <= 2) continue;
    for (const entry of dirents(folder)) {
      if (!entry.isDirectory()) continue;
      const id = join(folder, entry.name);
      found.push({ kind: 'cgroup', id, marks: named(entry.name) });
      open.push(id);
    }
  }
  return found;
}

const MOST = 20_000;

/**
 * Lists new temporary folders. Those of a harness record their owner; any other has only its name
 * as a mark.
 */
function folders(tmp: string, names: Set<string>, before: Reading): Thing[] {
  return [...names].flatMap((name) => {
    if (before.temporary.has(name)) return [];
    const id = join(tmp, name);
    const owner = folderOwner(id);
    return [{ kind: 'folder', id, marks: owner === undefined ? [name] : [name, owner] }];
  });
}

/** Marks for a path: none if it contains a random name, which does not identify an owner. */
function named(path: string): string[] {
  const rolled = path
    .split('/')
    .some(
      (part) =>
        /(^|[-_.])[0-9a-f]{12,}($|[-_.])/.test(part) || /[0-9a-f]{8}-[0-9a-f]{4}-/.test(part),
    );
  return rolled ? [] : [path];
}

function numbers(words: string[]): number[] {
  return words.filter((word) => /^\d+$/.test(word)).map(Number);
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // It does not exist, or belongs to another user.
  }
}

function dirents(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
