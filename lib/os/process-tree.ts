// Resource usage of process trees on this host, read from Linux's /proc. All reads are synchronous,
// since a tree that is read piece by piece changes meanwhile.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Resource usage of one process: its resident memory and its CPU time. */
export interface Used {
  /**
   * Peak resident memory. 0 for a zombie: its memory is gone, but its CPU time is still reported.
   */
  memoryPeakBytes: number;
  memoryNowBytes: number;
  /** Includes children that have ended and were waited for. */
  cpuUserMs: number;
  cpuSystemMs: number;
}

/** Usage by process id. */
export type Tree = Map<number, Used>;

export interface CommandLine {
  pid: number;
  argv: string[];
}

/**
 * The kernel reports times in hundredths of a second (USER_HZ) on every platform that Node runs on.
 */
const TICK_MS = 10;

/** Every process that has a command line; one pass over /proc. */
export function commandLines(proc = '/proc'): CommandLine[] {
  return processIds(proc).flatMap((pid) => {
    const text = read(`${proc}/${pid}/cmdline`);
    return text === '' ? [] : [{ pid, argv: text.replace(/\0+$/, '').split('\0') }];
  });
}

/** The roots that still exist, and all their descendants. */
export function readTree(roots: Iterable<number>, proc = '/proc'): Tree {
  const tree: Tree = new Map();
  const children = lookDown(proc);
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (tree.has(pid)) continue;
    const used = readProcess(pid, proc);
    if (!used) continue;
    tree.set(pid, used);
    open.push(...children(pid));
  }
  return tree;
}

/** The existing children of these processes. */
export function childrenOf(pids: Iterable<number>, proc = '/proc'): number[] {
  const children = lookDown(proc);
  return [...pids].flatMap(children);
}

/**
 * True if the process is one of the roots or below one. Undefined if it or an ancestor is gone, so
 * that this cannot be determined.
 */
export function isBelow(
  pid: number,
  roots: readonly number[],
  proc = '/proc',
): boolean | undefined {
  for (let ancestor = pid; ancestor !== 1; ancestor = parentOf(ancestor, proc)) {
    if (roots.includes(ancestor)) return true;
    if (ancestor === 0) return undefined;
  }
  return roots.includes(1);
}

/**
 * A function that finds a process's children: from the kernel's own lists, or where there are none,
 * from one scan of all parents.
 */
function lookDown(proc: string): (pid: number) => number[] {
  if (existsSync(`${proc}/${process.pid}/task/${process.pid}/children`))
    return (pid) => listedChildren(pid, proc);
  let byParent: Map<number, number[]> | undefined;
  return (pid) => {
    byParent ??= everybodyByParent(proc);
    return byParent.get(pid) ?? [];
  };
}

function everybodyByParent(proc: string): Map<number, number[]> {
  const byParent = new Map<number, number[]>();
  for (const pid of processIds(proc)) {
    const parent = parentOf(pid, proc);
    const known = byParent.get(parent);
    if (known) known.push(pid);
    else byParent.set(parent, [pid]);
  }
  return byParent;
}

/** The kernel lists each child under the thread that started it. */
function listedChildren(pid: number, proc: string): number[] {
  return numbers(entries(`${proc}/${pid}/task`)).flatMap((thread) =>
    numbers(read(`${proc}/${pid}/task/${thread}/children`).split(' ')),
  );
}

/** @returns undefined if the process is gone */
function readProcess(pid: number, proc: string): Used | undefined {
  const fields = statFields(pid, proc);
  if (fields.length === 0) return undefined;
  const ticks = (first: number) => (Number(fields[first]) + Number(fields[first + 2])) * TICK_MS;
  const status = read(`${proc}/${pid}/status`);
  return {
    memoryPeakBytes: kilobytes(status, 'VmHWM'),
    memoryNowBytes: kilobytes(status, 'VmRSS'),
    cpuUserMs: ticks(11),
    cpuSystemMs: ticks(12),
  };
}

/** Peak resident memory of one process, in bytes; 0 if the process has ended. */
export function memoryPeakOf(pid: number, proc = '/proc'): number {
  return kilobytes(read(`${proc}/${pid}/status`), 'VmHWM');
}

/** The named value of `status`, converted to bytes. */
function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

function parentOf(pid: number, proc: string): number {
  return Number(statFields(pid, proc)[1] ?? 0);
}

/**
 * The fields of `stat` from the state on. They are located from the end of the program's name,
 * which may contain any character.
 */
function statFields(pid: number, proc: string): string[] {
  const text = read(`${proc}/${pid}/stat`);
  return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function processIds(proc: string): number[] {
  return numbers(entries(proc));
}

function numbers(words: string[]): number[] {
  return words.filter((word) => /^\d+$/.test(word.trim())).map(Number);
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Gone.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // The process is gone, or belongs to another user.
  }
}
