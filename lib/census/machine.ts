// What this machine itself has that a sandbox could leave there: processes, mounts, network namespaces, cgroups, ports, folders. Linux only.
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

/** Where to look; the test's own, where a test wants to know the answer. */
export interface Places {
  proc: string;
  cgroup: string;
  run: string;
  tmp(): string;
}

const HERE: Places = { proc: '/proc', cgroup: '/sys/fs/cgroup', run: '/run', tmp: tmpdir };

/** The machine at one moment. */
export interface Reading {
  things: Map<string, Thing>;
  /** Names in the folder for temporary files; only those that the reading before it did not have are among the things. */
  temporary: Set<string>;
  /** Processes that were there; those of the reading before it are known by it and not read again. */
  pids: Map<number, Kin>;
  /** Since the reading before it a sandbox has begun of which this harness knows nothing, or another harness is at work. */
  others: Thing[];
}

/** Whose a process is, as far as it matters to a later reading. */
type Kin = 'other-harness' | 'any';

export interface Machine {
  /**
   * @param before what this reading is held against: what was there then is passed over quickly
   * @param owner of this harness
   */
  read(before: Reading | undefined, owner: string): Reading;
  /** Ports on which these processes listen. A port is its holder's; to read them all would take the kernel 10 ms. */
  ports(pids: number[]): Leftover[];
}

/** Undefined where the platform does not tell. */
export function thisMachine(platform: NodeJS.Platform): Machine | undefined {
  return platform === 'linux' ? machineAt(HERE) : undefined;
}

/** All reads are synchronous and in memory file systems: some milliseconds for all of them. */
export function machineAt(places: Places): Machine {
  return {
    read(before, owner) {
      const pids = new Map<number, Kin>();
      const others: Thing[] = [];
      const fresh: Thing[] = [];
      const ourMounts = link(`${places.proc}/self/ns/mnt`);
      for (const pid of numbers(entries(places.proc))) {
        const known = before?.pids.get(pid);
        // A pid that came back within one run would be taken for the one before; the kernel gives them out in turn.
        const kin = known ?? kinOf(places.proc, pid, owner);
        pids.set(pid, kin);
        const thing = before && known === undefined ? readProcess(places.proc, pid) : undefined;
        if (thing) fresh.push(thing);
        if (kin === 'other-harness') others.push(thing ?? { kind: 'process', id: `pid ${pid}`, marks: [] });
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
  const its = new RegExp(`(?:^|\\0)${OWNER_VARIABLE}=([^\\0]*)`).exec(read(`${proc}/${pid}/environ`))?.[1];
  // What a dead harness's client has left running for the user (a pause process) is no harness at work.
  return its === undefined || its === owner || pid === process.pid || ownerDead(its) ? 'any' : 'other-harness';
}

/** Nothing for one of the kernel's, or one that has ended and is not waited for. */
function readProcess(proc: string, pid: number): Thing | undefined {
  const argv = read(`${proc}/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  if (argv === '') return undefined;
  const sandbox = sandboxIn(read(`${proc}/${pid}/environ`)) ?? markedSandbox(pid, proc);
  const id = sandbox === undefined ? `pid ${pid} (${argv.slice(0, 60)})` : `${sandbox} pid ${pid}`;
  const marks = [sandbox, link(`${proc}/${pid}/cwd`), read(`${proc}/${pid}/cgroup`), argv].filter((mark) => mark !== undefined);
  return { kind: 'process', id, marks };
}

/** Does it see other mounts than we do? Then it is in a sandbox, of whomever. */
function isApart(proc: string, pid: number, ours: string | undefined): boolean {
  const its = link(`${proc}/${pid}/ns/mnt`);
  return ours !== undefined && its !== undefined && its !== ours;
}

/** A mount that holds a network namespace in place is told as that. */
function mounts({ proc }: Places): Thing[] {
  return readMounts(proc).map(({ point, root, type }) => {
    const kind = type === 'nsfs' && root.startsWith('net:') ? 'netns' : 'mount';
    return { kind, id: point, marks: named(point) };
  });
}

/** Where network namespaces are kept by name. */
function namespaces({ run }: Places): Thing[] {
  const folders = [join(run, 'netns'), join(run, 'docker/netns')];
  return folders.flatMap((folder) => entries(folder).map((name) => ({ kind: 'netns', id: join(folder, name), marks: named(name) })));
}

/** The unified hierarchy, or one of the old ones: a sandbox has its folder in each. */
function cgroups(root: string): Thing[] {
  const unified = existsSync(join(root, 'cgroup.controllers'));
  const base = unified ? root : ['pids', 'memory', 'systemd'].map((one) => join(root, one)).find((one) => existsSync(one));
  const found: Thing[] = [];
  const open = base === undefined ? [] : [base];
  for (let folder = open.pop(); folder !== undefined && found.length < MOST; folder = open.pop()) {
    // A folder without folders in it need not be read: it has many files.
    if ((statSync(folder, { throwIfNoEntry: false })?.nlink ?? 0) <= 2) continue;
    for (const one of dirents(folder)) {
      if (!one.isDirectory()) continue;
      const id = join(folder, one.name);
      found.push({ kind: 'cgroup', id, marks: named(one.name) });
      open.push(id);
    }
  }
  return found;
}

const MOST = 20_000;

/** Temporary folders of harnesses bear their owner; of others the name is all that tells. */
function folders(tmp: string, names: Set<string>, before: Reading): Thing[] {
  return [...names].flatMap((name) => {
    if (before.temporary.has(name)) return [];
    const id = join(tmp, name);
    const owner = folderOwner(id);
    return [{ kind: 'folder', id, marks: owner === undefined ? [name] : [name, owner] }];
  });
}

/** A name that a program has rolled says nothing of whose it is. */
function named(path: string): string[] {
  const rolled = path.split('/').some((part) => /(^|[-_.])[0-9a-f]{12,}($|[-_.])/.test(part) || /[0-9a-f]{8}-[0-9a-f]{4}-/.test(part));
  return rolled ? [] : [path];
}

function numbers(words: string[]): number[] {
  return words.filter((word) => /^\d+$/.test(word)).map(Number);
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Not there, or another user's.
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
