// What trees of processes of this host have used so far, out of Linux' /proc. All reads are synchronous: a tree that is read bit by bit changes meanwhile.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** What one process tells of itself: its resident memory, and its time on the CPU. */
export interface Used {
  /** The most it ever had; 0 for one that has ended and is not waited for: its memory is gone, its time is not. */
  memoryPeakBytes: number;
  memoryNowBytes: number;
  /** Its ended and waited-for children included. */
  cpuUserMs: number;
  cpuSystemMs: number;
}

/** By process id. */
export type Tree = Map<number, Used>;

export interface CommandLine {
  pid: number;
  argv: string[];
}

/** The kernel tells times in hundredths of a second on every platform that Node runs on (USER_HZ). */
const TICK_MS = 10;

/** Every process that has a command line; one pass over /proc. */
export function commandLines(proc = '/proc'): CommandLine[] {
  return processIds(proc).flatMap((pid) => {
    const text = read(`${proc}/${pid}/cmdline`);
    return text === '' ? [] : [{ pid, argv: text.replace(/\0+$/, '').split('\0') }];
  });
}

/** The roots that are still there, and all below them. */
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

/** The processes that these have started and that still run. */
export function childrenOf(pids: Iterable<number>, proc = '/proc'): number[] {
  const children = lookDown(proc);
  return [...pids].flatMap(children);
}

/** Is it one of the roots, or below one? Undefined where it, or who started it, has gone: that can no longer be told. */
export function isBelow(pid: number, roots: readonly number[], proc = '/proc'): boolean | undefined {
  for (let one = pid; one !== 1; one = parentOf(one, proc)) {
    if (roots.includes(one)) return true;
    if (one === 0) return undefined;
  }
  return roots.includes(1);
}

/** How to find a process' children: the kernel's own lists, or one look at everybody's parent where it keeps none. */
function lookDown(proc: string): (pid: number) => number[] {
  if (existsSync(`${proc}/${process.pid}/task/${process.pid}/children`)) return (pid) => listedChildren(pid, proc);
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

/** A child is listed with the thread that started it. */
function listedChildren(pid: number, proc: string): number[] {
  return numbers(entries(`${proc}/${pid}/task`)).flatMap((thread) => numbers(read(`${proc}/${pid}/task/${thread}/children`).split(' ')));
}

/** @returns undefined when it is gone */
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

/** The most of resident memory that one process ever had, in bytes; 0 when it has ended. */
export function memoryPeakOf(pid: number, proc = '/proc'): number {
  return kilobytes(read(`${proc}/${pid}/status`), 'VmHWM');
}

/** In bytes. */
function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

function parentOf(pid: number, proc: string): number {
  return Number(statFields(pid, proc)[1] ?? 0);
}

/** Fields of `stat` from the state on: a program's name, which comes before, may hold anything. */
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
    return ''; // Gone, or another user's.
  }
}
