// How a row behaves when several of its runs execute at once: throughput per minute at each level,
// and where it stops scaling.
import { isGap } from '../record/types.js';
import { summarize } from '../statistics/summary.js';
import type { Report } from './document.js';
import { measured, ofWaves, type Tally } from './tally.js';

type Burst = Report['burst'][number];

/** The next level has to bring at least this much more throughput, or the row stops scaling. */
const WORTH_IT = 1.1;

/**
 * @param leftOut levels that the machine had no room for, in the order in which they were reported
 */
export function burstOf(
  entry: string,
  tally: Tally,
  leftOut: Burst['leftOut'],
  seed: number,
): Burst {
  const levels = [...tally.levels]
    .sort(([a], [b]) => a - b)
    .map(([level, { n, passed, startup, wave, perMinute }]) => ({
      level,
      n,
      passed,
      runsPerMinute: summarize(measured(perMinute.values()), seed),
      startupMs: ofWaves(startup, wave, seed),
    }));
  return { entry, levels, leftOut, stopsAt: stopsAt(levels) };
}

/**
 * The smallest level whose next level brings at most 10 % more; a gap if scaling was never seen to
 * stop.
 */
function stopsAt(levels: Burst['levels']): Burst['stopsAt'] {
  const seen = levels.flatMap(({ level, runsPerMinute }) =>
    isGap(runsPerMinute) ? [] : [{ level, median: runsPerMinute.median }],
  );
  if (seen.length < 2) return { gap: 'not-exercised' };
  const stop = seen.find(({ median }, index) => {
    const next = seen[index + 1];
    return next !== undefined && next.median <= median * WORTH_IT;
  });
  return stop?.level ?? { gap: 'not-reached' };
}
