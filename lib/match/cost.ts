// What a run's sandbox has used until the agent's result: memory and CPU of its own processes on this host.
import type { Context, Handle, Mode } from '../contract.js';
import { readTree, type Tree } from '../process-tree.js';
import type { Cost, Gap } from '../record.js';

/** Reads one sandbox' processes at the few moments that count. Never throws, and waits for nothing in the run's way. */
export interface Meter {
  /** Which sandbox it is. The handle may learn more by `exec`; it is looked at again later. */
  launched(handle: Handle): void;
  /** Only for a sandbox that was there before the run, awaited before `exec`: what it has used so far is taken off. */
  baseline(): Promise<void>;
  /** Something of ours runs inside: finds out which processes the sandbox is. */
  begin(): void;
  /** The agent is at work. What it is now tells later whether the agent was still there at the end. */
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
  let atWork: Tree | undefined;
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
      if (roots) atWork ??= readTree(roots);
    },
    end,
    cost() {
      if (why) return why;
      if (!ended) return { gap: 'not-reached' };
      if (!atEnd || atEnd.size === 0) return { gap: 'vanished' };
      const { user, system } = cpuOf(atEnd);
      return {
        memoryPeakBytes: memoryPeak(atWork, atEnd),
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

/** Who has ended leaves its time with its parent, but takes its peak of memory along: without the largest of all, there is no sum. */
function memoryPeak(atWork: Tree | undefined, atEnd: Tree): Cost['memoryPeakBytes'] {
  const [largest] = [...(atWork ?? [])].toSorted(([, a], [, b]) => b.memoryPeakBytes - a.memoryPeakBytes);
  if (largest && !atEnd.get(largest[0])?.memoryPeakBytes) return { gap: 'vanished' };
  const peak = sum([...atEnd.values()].map((one) => one.memoryPeakBytes));
  return peak > 0 ? peak : { gap: 'vanished' };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
