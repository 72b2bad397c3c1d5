// The machine during a match: whether its pace changed between rounds, and the smallest difference
// the match could have shown. Pure.
import { medianSorted } from 'simple-statistics';
import { type Gap, isGap } from '../record/types.js';
import {
  ALPHA,
  detectableRatio,
  fewestPairs,
  MARGIN,
  pairsNeeded,
} from '../statistics/inference.js';
import { rankSum } from '../statistics/ranks.js';
import type { Report } from './document.js';
import type { Tally } from './tally.js';

const median = (values: readonly number[]) => medianSorted([...values].sort((a, b) => a - b));

/** A correlation above this is worth reporting, whatever the number of rounds. */
const NOTABLE = 0.3;
/**
 * Share of quiet matches that each of the two criteria (correlation, halves) may wrongly report as
 * drifting.
 */
const FALSE_ALARMS = ALPHA / 2;
/** Two-sided normal quantile of FALSE_ALARMS. */
const Z = 2.2414;
const FEWEST_ROUNDS = 8;
/** The smallest change of pace that matters. */
const LEAST_CHANGE = 0.01;

/**
 * Whether rounds depend on previous rounds. The pace of a round is the mean of its rows' startups,
 * each divided by its row's median: the part that all rows have in common. Paired ratios are taken
 * within a round and so survive a drift; the intervals of ms do not.
 */
export function driftOf(tallies: readonly Tally[]): Report['drift'] {
  const paces = new Map<number, number[]>();
  for (const tally of tallies) {
    const startups = tally.quantity('startup');
    const known = Array.from(startups).filter((ms) => ms > 0);
    if (known.length === 0) continue;
    const middle = median(known);
    for (const [place, round] of tally.rounds.entries()) {
      const ms = startups[place] as number;
      if (!(ms > 0)) continue;
      const pace = paces.get(round);
      if (pace) pace.push(ms / middle);
      else paces.set(round, [ms / middle]);
    }
  }
  const rounds = [...paces]
    .sort(([a], [b]) => a - b)
    .map(([, pace]) => pace.reduce((sum, value) => sum + value, 0) / pace.length);
  const n = rounds.length;
  if (n < FEWEST_ROUNDS) return { gap: 'too-few-runs' };
  const [first, second] = [rounds.slice(0, Math.floor(n / 2)), rounds.slice(Math.floor(n / 2))];
  const lag1 = correlation(rounds);
  const halvesP = rankSum(second, first);
  const secondHalf = median(second) / median(first);
  // Rounds that alternate make intervals too wide, which is not misleading.
  const correlated = lag1 > Math.max(NOTABLE, Z / Math.sqrt(n));
  const halvesDiffer = halvesP < FALSE_ALARMS && Math.abs(Math.log(secondHalf)) > LEAST_CHANGE;
  return { rounds: n, lag1, secondHalf, halvesP, drifted: correlated || halvesDiffer };
}

/** Correlation of each value with the next. */
function correlation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [own, next] = [0, 0];
  for (const [at, value] of values.entries()) {
    own += (value - mean) ** 2;
    if (at > 0) next += (value - mean) * ((values[at - 1] as number) - mean);
  }
  return own === 0 ? 0 : next / own;
}

/**
 * What a pair of real rows with the median noise would have shown, on its own, at the level of the
 * family's first step.
 * @param tests number of tests in the whole report
 */
export function resolutionOf(
  comparisons: Report['comparisons'],
  tests: number,
): Report['resolution'] {
  const real = comparisons.filter(({ standIn }) => !standIn);
  const totals = real.flatMap(({ n, total }) => (isGap(total) ? [] : [{ n, noise: total.noise }]));
  const medianPace = (rows: { n: number; noise: number | Gap }[]) => {
    const known = rows.flatMap(({ n, noise }) => (isGap(noise) ? [] : [{ n, noise }]));
    if (known.length === 0) return { gap: 'too-few-runs' } as const;
    const n = Math.floor(median(known.map((row) => row.n)));
    const noise = median(known.map((row) => row.noise));
    const alpha = ALPHA / tests;
    return {
      n,
      noise,
      detectable: detectableRatio(noise, n, alpha) ?? ({ gap: 'too-few-runs' } as const),
      runsForFivePercent: pairsNeeded(noise, 1 + MARGIN, alpha),
    };
  };
  return {
    tests,
    fewestPairs: fewestPairs(tests),
    startup: medianPace(real),
    total: medianPace(totals),
  };
}
