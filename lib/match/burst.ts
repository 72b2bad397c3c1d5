// Several simultaneous runs of one row: the ramp of concurrency levels, and a wave of runs that
// start together.
import { type Clock, roundMs } from '../clock.js';
import type { Moments } from './measure.js';
import type { RunResult } from './run-settings.js';

/** One row at one concurrency level: the unit that each round executes once. */
export interface Cell {
  entry: string;
  level: number;
  /** `docker`, `docker*4`. */
  name: string;
}

/** The powers of two below `highest`, then `highest` itself. */
export function levelsUpTo(highest: number): number[] {
  const levels: number[] = [];
  for (let level = 1; level < highest; level *= 2) levels.push(level);
  return [...levels, highest];
}

/**
 * Each row at each level of a burst, from one run at a time up to `concurrency`; a name is
 * `docker`, or `docker*4` at level 4.
 */
export function cellsOf(entries: readonly string[], concurrency: number): Cell[] {
  return entries.flatMap((entry) =>
    levelsUpTo(concurrency).map((level) => ({
      entry,
      level,
      name: level === 1 ? entry : `${entry}*${level}`,
    })),
  );
}

/**
 * Suffix that distinguishes a run from the row's other runs: `3` in `docker#3`, or `3*4.2` for the
 * second of four.
 */
export function tailOf(round: number, level: number, member: number): string {
  return level === 1 ? `${round}` : `${round}*${level}.${member}`;
}

/** Synchronizes the runs of a wave. */
export interface InStep {
  at: Moments;
  together(): Promise<void>;
  allOver(): Promise<void>;
}

/**
 * Starts `level` runs at the same moment and waits for all of them. `wallMs` is the time from the
 * first launch to the last teardown.
 */
export async function runWave(
  level: number,
  clock: Clock,
  runOne: (member: number, barrier: InStep) => Promise<RunResult>,
): Promise<{ wallMs: number; passed: number }> {
  const begunMs = clock();
  const start = openGate(level);
  const end = openGate(level);
  const members = await Promise.all(
    Array.from({ length: level }, async (_, index) => {
      const [starting, ending] = [start.member(), end.member()];
      const at: Moments = {};
      const result = await runOne(index + 1, {
        at,
        together: starting.arrive,
        allOver: ending.arrive,
      }).finally(() => {
        starting.leave();
        ending.leave();
      });
      const passed = result.outcome.status === 'passed';
      return {
        passed,
        fromMs: at.launchCalled,
        toMs: at.gone ?? (passed ? at.collected : undefined) ?? clock(),
      };
    }),
  );
  const fromMs = Math.min(...members.map((member) => member.fromMs ?? Number.POSITIVE_INFINITY));
  const toMs = Math.max(...members.map((member) => member.toMs));
  return {
    wallMs: roundMs(Math.max(0, toMs - (Number.isFinite(fromMs) ? fromMs : begunMs))),
    passed: members.filter((member) => member.passed).length,
  };
}

/** A barrier that opens when every member has either arrived or left. */
function openGate(count: number) {
  let awaited = count;
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    member() {
      let counted = false;
      const count = () => {
        if (counted) return;
        counted = true;
        awaited -= 1;
        if (awaited === 0) open();
      };
      return {
        arrive(): Promise<void> {
          count();
          return opened;
        },
        leave: count,
      };
    },
  };
}
