// Measures what a run's sandbox has used up to the agent's result: memory and CPU time of its own
// processes on this host.
import type { Context, Handle, Mode } from '../contract.js';
import { memoryPeakOf, readTree, type Tree, type Used } from '../os/process-tree.js';
import type { Cost, Gap } from '../record/types.js';

/**
 * Reads one sandbox's processes at the few moments that matter. Never throws, and never delays the
 * run.
 */
export interface Meter {
  /**
   * Sets the sandbox to measure. `exec` may add information to the handle later, so it is read
   * again then.
   */
  launched(handle: Handle): void;
  /**
   * Only for a sandbox that existed before the run; awaited before `exec`. The usage so far is
   * subtracted from the result.
   */
  baseline(): Promise<void>;
  /** Called when our command runs inside: finds the sandbox's processes. */
  begin(): void;
  /**
   * Called for each line of the working agent. Samples its memory, since the process may have
   * exited before its result arrives here.
   */
  look(): void;
  /** Called when the agent's result has just arrived. */
  end(): void;
  cost(): Cost | Gap;
}

/**
 * Measures the CPU time (ms) and the peak memory (bytes) of a sandbox's processes; what the
 * platform or the mode cannot report is a gap.
 */
export function openMeter(mode: Pick<Mode, 'processes' | 'elsewhere'>, ctx: Context): Meter {
  let why = whyNot(mode, ctx);
  let sandbox: Handle | undefined;
  let roots: number[] | undefined;
  let before: [root: number, Tree][] = [];
  /** The largest process at the agent's first line, with its peak memory at the last line. */
  let largest: { pid: number; memoryPeakBytes: number } | undefined;
  let atEnd: Tree | undefined;
  let ended = false;

  const find = async () => {
    try {
      return (sandbox && (await mode.processes?.(ctx, sandbox))) ?? [];
    } catch {
      return [];
    }
  };
  const end = () => {
    ended = true;
    if (roots) atEnd ??= readTree(roots);
  };
  return {
    launched(handle) {
      sandbox = handle;
    },
    async baseline() {
      if (!why) before = (await find()).map((root) => [root, readTree([root])]);
    },
    begin() {
      if (why || roots) return;
      void find().then((found) => {
        roots = found;
        if (found.length === 0) why = { gap: 'not-attributable' };
        // The result arrived first: read what can still be read.
        if (ended) end();
      });
    },
    look() {
      if (!roots) return;
      largest ??= largestOf(peaksOf(readTree(roots), before));
      if (largest) largest.memoryPeakBytes = memoryPeakOf(largest.pid) || largest.memoryPeakBytes;
    },
    end,
    cost() {
      if (why) return why;
      if (!ended) return { gap: 'not-reached' };
      if (!atEnd || atEnd.size === 0) return { gap: 'vanished' };
      const tree = atEnd;
      const after = cpuOf(tree);
      // A root process that has exited since is no longer in the tree, so there is nothing to
      // subtract for it.
      const known = before.filter(([root]) => tree.has(root)).map(([, then]) => cpuOf(then));
      return {
        memoryPeakBytes: memoryPeak(peaksOf(tree, before), largest),
        cpuUserMs: Math.max(0, after.userMs - sum(known.map((known) => known.userMs))),
        cpuSystemMs: Math.max(0, after.systemMs - sum(known.map((known) => known.systemMs))),
      };
    },
  };
}

function whyNot(mode: Pick<Mode, 'processes' | 'elsewhere'>, ctx: Context): Gap | undefined {
  if (mode.elsewhere) return { gap: 'other-machine' };
  if (!mode.processes) return { gap: 'not-attributable' };
  return ctx.platform === 'linux' ? undefined : { gap: 'platform' };
}

interface Cpu {
  userMs: number;
  systemMs: number;
}

function cpuOf(tree: Tree): Cpu {
  const used = [...tree.values()];
  return {
    userMs: sum(used.map((usage) => usage.cpuUserMs)),
    systemMs: sum(used.map((usage) => usage.cpuSystemMs)),
  };
}

/**
 * A process that existed before the run counts with its peak if that has risen since, and otherwise
 * with its current memory.
 */
function peaksOf(tree: Tree, before: [root: number, Tree][]): Map<number, number> {
  const earlier = (pid: number) =>
    Math.max(...before.map(([, then]) => then.get(pid)?.memoryPeakBytes ?? -1), -1);
  const peak = (pid: number, used: Used) =>
    used.memoryPeakBytes > earlier(pid) ? used.memoryPeakBytes : used.memoryNowBytes;
  return new Map([...tree].map(([pid, used]) => [pid, peak(pid, used)]));
}

function largestOf(
  peaks: Map<number, number>,
): { pid: number; memoryPeakBytes: number } | undefined {
  return [...peaks]
    .map(([pid, memoryPeakBytes]) => ({ pid, memoryPeakBytes }))
    .toSorted((a, b) => b.memoryPeakBytes - a.memoryPeakBytes)[0];
}

/**
 * CPU time of an exited process is kept by its parent, but its memory peak is lost. If the largest
 * process has exited, it therefore counts with its peak at the agent's last line.
 */
function memoryPeak(
  peaks: Map<number, number>,
  largest: { pid: number; memoryPeakBytes: number } | undefined,
): Cost['memoryPeakBytes'] {
  if (largest && !peaks.get(largest.pid)) peaks.set(largest.pid, largest.memoryPeakBytes);
  const peak = sum([...peaks.values()]);
  return peak > 0 ? peak : { gap: 'vanished' };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
