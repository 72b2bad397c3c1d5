// What a run's sandbox has used until the agent's result: memory and CPU of its own processes on this host.
import type { Context, Handle, Mode } from '../contract.js';
import { memoryPeakOf, readTree, type Tree } from '../process-tree.js';
import type { Cost, Gap } from '../record.js';

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

export function openMeter(mode: Pick<Mode, 'processes' | 'isolation'>, ctx: Context): Meter {
  let why = whyNot(mode, ctx);
  let sandbox: Handle | undefined;
  let roots: number[] | undefined;
  let before = { user: 0, system: 0 };
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
      if (!why) before = cpuOf(readTree(await find()));
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
      largest ??= largestOf(readTree(roots));
      if (largest) largest.memoryPeakBytes = memoryPeakOf(largest.pid) || largest.memoryPeakBytes;
    },
    end,
    cost() {
      if (why) return why;
      if (!ended) return { gap: 'not-reached' };
      if (!atEnd || atEnd.size === 0) return { gap: 'vanished' };
      const { user, system } = cpuOf(atEnd);
      return {
        memoryPeakBytes: memoryPeak(atEnd, largest),
        cpuUserMs: Math.max(0, user - before.user),
        cpuSystemMs: Math.max(0, system - before.system),
      };
    },
  };
}

function whyNot(mode: Pick<Mode, 'processes' | 'isolation'>, ctx: Context): Gap | undefined {
  if (!mode.processes) return { gap: mode.isolation === 'remote-vm' ? 'other-machine' : 'not-attributable' };
  return ctx.platform === 'linux' ? undefined : { gap: 'platform' };
}

function cpuOf(tree: Tree): { user: number; system: number } {
  const used = [...tree.values()];
  return { user: sum(used.map((one) => one.cpuUserMs)), system: sum(used.map((one) => one.cpuSystemMs)) };
}

function largestOf(tree: Tree): { pid: number; memoryPeakBytes: number } | undefined {
  return [...tree]
    .map(([pid, { memoryPeakBytes }]) => ({ pid, memoryPeakBytes }))
    .toSorted((a, b) => b.memoryPeakBytes - a.memoryPeakBytes)[0];
}

/** Who has ended leaves its time with its parent, but takes its memory along: the largest counts with what it had when the agent last spoke. */
function memoryPeak(atEnd: Tree, largest: { pid: number; memoryPeakBytes: number } | undefined): Cost['memoryPeakBytes'] {
  const peaks = new Map([...atEnd].map(([pid, used]) => [pid, used.memoryPeakBytes]));
  if (largest && !peaks.get(largest.pid)) peaks.set(largest.pid, largest.memoryPeakBytes);
  const peak = sum([...peaks.values()]);
  return peak > 0 ? peak : { gap: 'vanished' };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
