// Conclusions from the p values, pairs and counts of a report: differences, equivalence,
// proportions, and the statistical power of a match of its size. Pure functions. Ratios are
// positive and unitless; log ratios are their natural logarithms.
//
// Sources: Holm (1979); Schuirmann (1987) for two one-sided tests; Wilson (1927); Fisher (1935);
// Noether (1987) for sample sizes.
import { probit } from 'simple-statistics';
import type { Gap } from '../record/types.js';
import { type Estimate, hodgesLehmann, type Interval, type Side, signedRank } from './ranks.js';

/** The familywise error rate: the probability of any false statement in a family of tests. */
export const ALPHA = 0.05;

/**
 * Two rows whose ratio lies between 1 / 1.05 and 1.05 count as equal for the purposes of a report.
 */
export const MARGIN = 0.05;

/** The power of a test: the probability that a difference called detectable is detected. */
const POWER = 0.9;

/**
 * Holm's step-down adjustment: rejecting where the adjusted p value is under ALPHA keeps the
 * probability of any false rejection in the whole family under ALPHA, whatever the dependence
 * between the tests.
 * @returns adjusted p values in the order of the given ones
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, place) => place).sort((a, b) => (ps[a] as number) - (ps[b] as number));
  const adjusted = new Array<number>(ps.length);
  let least = 0;
  for (const [step, place] of order.entries()) {
    least = Math.max(least, Math.min(1, (ps.length - step) * (ps[place] as number)));
    adjusted[place] = least;
  }
  return adjusted;
}

/**
 * All tests of differences in one report: the probability of any false rejection is kept under 5 %
 * over all of them together.
 */
export interface Family {
  /**
   * @returns a function that returns their adjusted p values; call it only after every test has
   *   been added
   */
  add(ps: readonly number[]): () => number[];
  /** Number of tests added. */
  readonly tests: number;
}

export function createFamily(): Family {
  const all: number[] = [];
  let adjusted: number[] | undefined;
  return {
    add(ps) {
      const from = all.length;
      all.push(...ps);
      return () => {
        adjusted ??= holm(all);
        return adjusted.slice(from, from + ps.length);
      };
    },
    get tests() {
      return all.length;
    },
  };
}

/**
 * Whether a family of `tests` two-sided signed-rank tests with `n` pairs each can reject anything
 * at all.
 */
export const canReject = (n: number, tests: number) => 2 / 2 ** n < ALPHA / Math.max(1, tests);

/** The smallest number of pairs with which such a family can reject anything; at least six. */
export function fewestPairs(tests: number): number {
  let n = 6;
  while (!canReject(n, tests)) n += 1;
  return n;
}

/**
 * The Hodges–Lehmann estimate of paired ratios, with its confidence interval, from their
 * logarithms.
 */
export function ratioEstimate(logRatios: ArrayLike<number>): Estimate {
  const { estimate, ci95 } = hodgesLehmann(logRatios);
  return {
    estimate: tidy(Math.exp(estimate)),
    ci95: 'gap' in ci95 ? ci95 : [tidy(Math.exp(ci95[0])), tidy(Math.exp(ci95[1]))],
  };
}

/**
 * The Hodges–Lehmann estimate of paired differences, with its confidence interval, in the unit of
 * the differences.
 */
export function differenceEstimate(differences: ArrayLike<number>): Estimate {
  const { estimate, ci95 } = hodgesLehmann(differences);
  return { estimate: tidy(estimate), ci95: 'gap' in ci95 ? ci95 : [tidy(ci95[0]), tidy(ci95[1])] };
}

/** Digits beyond the twelfth are artefacts of taking logarithms and back. */
const tidy = (value: number) => Number(value.toPrecision(12));

/**
 * Two one-sided tests of whether paired ratios lie within the margin around 1.
 * @returns the p value of the null hypothesis that they do not; small if equivalence is shown
 */
export function equivalence(logRatios: ArrayLike<number>, margin = MARGIN): number {
  const reach = Math.log(1 + margin);
  const values = Float64Array.from(logRatios);
  const above = signedRank(
    values.map((value) => value + reach),
    'greater',
  );
  const below = signedRank(
    values.map((value) => value - reach),
    'less',
  );
  return Math.max(above, below);
}

/** How many of `n` runs passed. */
export interface Share {
  passed: number;
  n: number;
}

/**
 * Fisher's exact test of whether two proportions are equal.
 * @param side `greater`: the alternative is that the first proportion is greater
 * @returns the p value; 1 if one of them has no runs
 */
export function fisher(first: Share, second: Share, side: Side = 'two-sided'): number {
  const passed = first.passed + second.passed;
  const least = Math.max(0, passed - second.n);
  const most = Math.min(first.n, passed);
  const logs = logFactorials(first.n + second.n);
  const choose = (n: number, k: number) =>
    (logs[n] as number) - (logs[k] as number) - (logs[n - k] as number);
  const all = choose(first.n + second.n, passed);
  const chance = (own: number) =>
    Math.exp(choose(first.n, own) + choose(second.n, passed - own) - all);
  const seen = chance(first.passed);
  let sum = 0;
  for (let own = least; own <= most; own += 1) {
    const probability = chance(own);
    // Two-sided: outcomes at most as likely as the observed one; the factor allows for rounding
    // errors.
    if (
      side === 'two-sided'
        ? probability <= seen * (1 + 1e-7)
        : side === 'greater'
          ? own >= first.passed
          : own <= first.passed
    )
      sum += probability;
  }
  return Math.min(1, sum);
}

function logFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let k = 1; k <= n; k += 1) logs[k] = (logs[k - 1] as number) + Math.log(k);
  return logs;
}

/** Wilson's score interval (95 %) of a proportion. */
export function wilson({ passed, n }: Share): Interval | Gap {
  if (n === 0) return { gap: 'not-reached' };
  const share = passed / n;
  const z2 = NORMAL_975 ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const reach =
    (NORMAL_975 / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return [passed === 0 ? 0 : tidy(middle - reach), passed === n ? 1 : tidy(middle + reach)];
}

const NORMAL_975 = 1.959963984540054;

/**
 * The asymptotic relative efficiency of the signed-rank test to the t test under normal noise: 3/π.
 */
const EFFICIENCY = 3 / Math.PI;

/**
 * The smallest true ratio (above 1) that `n` pairs would detect with probability POWER.
 * @param noise standard deviation of the log ratios
 * @param alpha two-sided significance level of the single test: ALPHA divided by the number of
 *   tests
 * @returns undefined if so few pairs cannot detect anything
 */
export function detectableRatio(noise: number, n: number, alpha: number): number | undefined {
  if (2 / 2 ** n >= alpha) return undefined;
  return Math.exp((noise * reachOf(n, alpha)) / Math.sqrt(n * EFFICIENCY));
}

/** How many pairs are needed to detect a true ratio with probability POWER. @param ratio above 1 */
export function pairsNeeded(noise: number, ratio: number, alpha: number): number {
  const effect = Math.log(ratio);
  let n = 6;
  while (2 / 2 ** n >= alpha) n += 1;
  while (n < 1_000_000 && noise * reachOf(n, alpha) > effect * Math.sqrt(n * EFFICIENCY))
    n += n < 1000 ? 1 : Math.ceil(n / 100);
  return n;
}

const reachOf = (n: number, alpha: number) => student(1 - alpha / 2, n - 1) + student(POWER, n - 1);

/** The standard deviation of log ratios; a gap if there are fewer than two. */
export function noiseOf(logRatios: ArrayLike<number>): number | Gap {
  const n = logRatios.length;
  if (n < 2) return { gap: 'too-few-runs' };
  const values = Array.from(logRatios);
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
}

/**
 * A quantile of Student's t distribution (Cornish–Fisher expansion; within 2 % for five or more
 * degrees of freedom).
 */
function student(share: number, freedom: number): number {
  const z = probit(share);
  const z3 = z ** 3;
  const z5 = z ** 5;
  const z7 = z ** 7;
  return (
    z +
    (z3 + z) / (4 * freedom) +
    (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * freedom ** 3)
  );
}
