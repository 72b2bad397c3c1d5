// What this machine itself has that a sandbox could leave there: processes, mounts, network namespaces, cgroups, ports, folders. Linux only.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Thing } from '../contract.js';
import { folderOwner, OWNER_VARIABLE } from '../owner.js';
import { sandboxIn } from '../processes.js';
import { listeners, portHolders } from './ports.js';

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
        const { kin, thing, apart } = known === undefined ? readProcess(places.proc, pid, owner, ourMounts) : known1(known);
        pids.set(pid, kin);
        if (thing && before) fresh.push(thing);
        if (kin === 'other-harness') others.push(thing ?? { kind: 'process', id: `pid ${pid}`, marks: [] });
        else if (apart && thing && before) others.push(thing);
      }
      const found = [...fresh, ...mounts(places), ...namespaces(places), ...cgroups(places.cgroup), ...folders(places.tmp(), before)];
      const things = new Map(found.map((thing) => [keyOf(thing), thing]));
      for (const port of ports(places.proc, before, pids, fresh)) things.set(keyOf(port), port);
      return { things, pids, others };
    },
  };
}

export const keyOf = ({ kind, id }: Pick<Thing, 'kind' | 'id'>) => `${kind} ${id}`;

const known1 = (kin: Kin): Read => ({ kin });

interface Read {
  kin: Kin;
  thing?: Thing;
  /** It sees other mounts than we do: it is in a sandbox, of whomever. */
  apart?: boolean;
}

function readProcess(proc: string, pid: number, owner: string, ourMounts: string | undefined): Read {
  if (pid === process.pid) return { kin: 'any' };
  const argv = read(`${proc}/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  // Of the kernel, or ended and not waited for.
  if (argv === '') return { kin: 'any' };
  const environment = read(`${proc}/${pid}/environ`);
  const sandbox = sandboxIn(environment);
  const itsOwner = new RegExp(`(?:^|\\0)${OWNER_VARIABLE}=([^\\0]*)`).exec(environment)?.[1];
  const cwd = link(`${proc}/${pid}/cwd`);
  const itsMounts = link(`${proc}/${pid}/ns/mnt`);
  return {
    kin: itsOwner === undefined || itsOwner === owner ? 'any' : 'other-harness',
    thing: {
      kind: 'process',
      id: sandbox === undefined ? `pid ${pid} (${argv.slice(0, 60)})` : `${sandbox} pid ${pid}`,
      marks: [sandbox, cwd, read(`${proc}/${pid}/cgroup`), argv].filter((mark) => mark !== undefined),
    },
    apart: ourMounts !== undefined && itsMounts !== undefined && itsMounts !== ourMounts,
  };
}

/** Every mount that this process sees; one that holds a network namespace in place is that. */
function mounts(places: Places): Thing[] {
  return read(`${places.proc}/self/mountinfo`)
    .split('\n')
    .flatMap((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , root = '', point] = left.split(' ');
      if (point === undefined) return [];
      const id = point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
      const kind = right.startsWith('nsfs ') && root.startsWith('net:') ? 'netns' : 'mount';
      return [{ kind, id, marks: named(id) }];
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
function folders(tmp: string, before: Reading | undefined): Thing[] {
  return entries(tmp).map((name) => {
    const id = join(tmp, name);
    const owner = before === undefined || before.things.has(keyOf({ kind: 'folder', id })) ? undefined : folderOwner(id);
    return { kind: 'folder', id, marks: owner === undefined ? [name] : [name, owner] };
  });
}

/** A port is its holder's. One whose holder nobody can see is told by the user it belongs to. */
function ports(proc: string, before: Reading | undefined, pids: Map<number, Kin>, fresh: Thing[]): Thing[] {
  const all = listeners(proc);
  const isNew = all.filter(({ id }) => before && !before.things.has(keyOf({ kind: 'port', id })));
  const holders = isNew.length === 0 ? new Map<string, number>() : portHolders(proc, [...pids.keys()]);
  return all.map(({ id, inode, uid }) => {
    const pid = holders.get(inode);
    const holder = pid === undefined ? undefined : fresh.find((thing) => new RegExp(`(^| )pid ${pid}( |$)`).test(thing.id));
    if (pid !== undefined) return { kind: 'port', id, marks: holder?.marks ?? [`pid ${pid}`] };
    return { kind: 'port', id, marks: uid === process.getuid?.() ? [] : [`uid ${uid}`] };
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
