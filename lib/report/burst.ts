// What happens to a row when several of its runs go at once: how much is done a minute at each level, and where more no longer helps.
import { isGap } from '../record/types.js';
import { summarize } from '../statistics/summary.js';
import type { Report } from './document.js';
import { measured, ofWaves, type Tally } from './tally.js';

type Burst = Report['burst'][number];

/** More at once has to bring at least this much more a minute, or it stops scaling. */
const WORTH_IT = 1.1;

/** @param leftOut levels that the machine had no room for, in the order in which they were told */
export function burstOf(entry: string, tally: Tally, leftOut: Burst['leftOut'], seed: number): Burst {
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

/** The smallest level whose next one brings at most 10 % more; what was never seen to stop is a gap. */
function stopsAt(levels: Burst['levels']): Burst['stopsAt'] {
  const seen = levels.flatMap(({ level, runsPerMinute }) => (isGap(runsPerMinute) ? [] : [{ level, median: runsPerMinute.median }]));
  if (seen.length < 2) return { gap: 'not-exercised' };
  const stop = seen.find(({ median }, index) => {
    const next = seen[index + 1];
    return next !== undefined && next.median <= median * WORTH_IT;
  });
  return stop?.level ?? { gap: 'not-reached' };
}
