// Where the time of one row goes: the four segments from launch until the sandbox is gone, which a
// bar can show on one scale.
import { medianSorted } from 'simple-statistics';
import { type Gap, isGap } from '../record/types.js';
import type { ModeReport, Summary } from './document.js';

/** Medians in ms. Being medians, they need not add up to the median total. */
export interface Segments {
  /** From launch to the first process inside. */
  runtime: number | Gap;
  /** From the first process to the agent's first request. */
  boot: number | Gap;
  /** From the first request to the agent's result. */
  work: number | Gap;
  /** From the result until the sandbox is gone: exit, collect, teardown. */
  end: number | Gap;
}

export const SEGMENTS = ['runtime', 'boot', 'work', 'end'] as const satisfies (keyof Segments)[];

/** Medians in ms of the parts of a run, in their order in time. */
export function segmentsOf(mode: ModeReport): Segments {
  const median = (summary: Summary | Gap | undefined) =>
    summary === undefined ? NOT_REACHED : isGap(summary) ? summary : summary.median;
  return {
    runtime: median(mode.phasesMs.firstProcess),
    boot: median(mode.bootMs),
    work: median(mode.phasesMs.work),
    end: endOf(mode),
  };
}

const NOT_REACHED: Gap = { gap: 'not-reached' };

/**
 * The median of the runs' sums if every run has all parts, otherwise the sum of the parts' medians.
 */
function endOf({ phasesMs }: ModeReport): number | Gap {
  // A sandbox that was gone before its removal ended within exit.
  const all = [phasesMs.exit, phasesMs.collect, phasesMs.teardown].filter(
    (part) => part !== undefined,
  );
  const parts = all.filter((part) => !(isGap(part) && part.gap === 'in-exit'));
  const missing = parts.find(isGap);
  if (missing || all.length < 3) return missing ?? NOT_REACHED;
  const summaries = parts as Summary[];
  const count = summaries[0]?.samples.length ?? 0;
  if (summaries.some(({ samples }) => samples.length !== count))
    return summaries.reduce((sum, { median }) => sum + median, 0);
  const sums = Array.from({ length: count }, (_, run) =>
    summaries.reduce((sum, { samples }) => sum + (samples[run] ?? 0), 0),
  );
  return medianSorted(sums.sort((a, b) => a - b));
}
