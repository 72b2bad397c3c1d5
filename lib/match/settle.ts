// When a match that goes on until its numbers are precise has run enough rounds. Pure.
import { isGap } from '../record.js';
import { summarize } from '../report/statistics.js';

/** Rounds before which nothing is called precise. */
export const FEWEST_ROUNDS = 6;
/** How far an interval's ends may lie from the median, as a share of it. */
const WIDTH = 0.05;

/**
 * The names whose median is not known well enough: its 95 % interval is wider than ±5 %, or there are too few samples for one.
 * @param startups samples of passed runs by name, in ms; a name without any is not judged, and not waited for
 * @param seed of the intervals' bootstrap
 */
export function tooWide(startups: ReadonlyMap<string, readonly number[]>, seed: number): string[] {
  const wide: string[] = [];
  for (const [name, samples] of startups) {
    if (samples.length === 0) continue;
    const known = summarize(samples, seed);
    if (isGap(known) || isGap(known.ci95) || !within(known.median, known.ci95)) wide.push(name);
  }
  return wide;
}

function within(median: number, [low, high]: readonly [number, number]): boolean {
  return median - low <= WIDTH * median && high - median <= WIDTH * median;
}
