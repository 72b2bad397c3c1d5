// What a run's sandbox has used until the agent's result: memory and CPU of its own processes on this host.
import type { Context, Handle, Mode } from '../contract.js';
import { memoryPeakOf, readTree, type Tree, type Used } from '../os/process-tree.js';
import type { Cost, Gap } from '../record/types.js';

/** Reads one sandbox' processes at the few moments that count. Never throws, and waits for nothing in the run's way. */
export interface Meter {
  /** Which sandbox it is. The handle may learn more by `exec`; it is looked at again later. */
  launched(handle: Handle): void;
  /** Only for a sandbox that was there before the run, awaited before `exec`: what it has used so far is taken off. */
  baseline(): Promise<void>;
  /** Something of ours runs inside: finds out which processes the sandbox is. */
  begin(): void;
  /** A line of the agent at work. Its memory is looked at, as it may be gone before its result has come through all pipes. */
  look(): void;
  /** The agent's result has just come. */
  end(): void;
  cost(): Cost | Gap;
}

export function openMeter(mode: Pick<Mode, 'processes' | 'elsewhere'>, ctx: Context): Meter {
  let why = whyNot(mode, ctx);
  let sandbox: Handle | undefined;
  let roots: number[] | undefined;
  let before: [root: number, Tree][] = [];
  /** The largest process at the agent's first line, and its peak at the last. */
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
        // The result was quicker: what can still be read is.
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
      // A root that has ended meanwhile took its time along: there is nothing of it left to take off.
      const known = before.filter(([root]) => tree.has(root)).map(([, then]) => cpuOf(then));
      return {
        memoryPeakBytes: memoryPeak(peaksOf(tree, before), largest),
        cpuUserMs: Math.max(0, after.userMs - sum(known.map((one) => one.userMs))),
        cpuSystemMs: Math.max(0, after.systemMs - sum(known.map((one) => one.systemMs))),
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
  return { userMs: sum(used.map((one) => one.cpuUserMs)), systemMs: sum(used.map((one) => one.cpuSystemMs)) };
}

/** Whoever was there before the run counts with a peak that it has reached since, or else with what it has now. */
function peaksOf(tree: Tree, before: [root: number, Tree][]): Map<number, number> {
  const earlier = (pid: number) => Math.max(...before.map(([, then]) => then.get(pid)?.memoryPeakBytes ?? -1), -1);
  const peak = (pid: number, used: Used) => (used.memoryPeakBytes > earlier(pid) ? used.memoryPeakBytes : used.memoryNowBytes);
  return new Map([...tree].map(([pid, used]) => [pid, peak(pid, used)]));
}

function largestOf(peaks: Map<number, number>): { pid: number; memoryPeakBytes: number } | undefined {
  return [...peaks]
    .map(([pid, memoryPeakBytes]) => ({ pid, memoryPeakBytes }))
    .toSorted((a, b) => b.memoryPeakBytes - a.memoryPeakBytes)[0];
}

/** Who has ended leaves its time with its parent, but takes its memory along: the largest counts with what it had when the agent last spoke. */
function memoryPeak(peaks: Map<number, number>, largest: { pid: number; memoryPeakBytes: number } | undefined): Cost['memoryPeakBytes'] {
  if (largest && !peaks.get(largest.pid)) peaks.set(largest.pid, largest.memoryPeakBytes);
  const peak = sum([...peaks.values()]);
  return peak > 0 ? peak : { gap: 'vanished' };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
