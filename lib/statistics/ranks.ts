// Rank statistics of one sample, of pairs (as their differences or log ratios) and of two samples:
// Wilcoxon's p values, and the Hodges–Lehmann estimate with the matching confidence interval. Pure
// functions. Values are in the caller's unit.
//
// Sources: Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods" (2014), chapters 3 and 4;
// Pratt (1959) for zeros.
import type { Gap } from '../record/types.js';

export type Interval = [number, number];

/**
 * The alternative hypothesis: values lie above zero (the first sample above the second), below it,
 * or either.
 */
export type Side = 'two-sided' | 'greater' | 'less';

export interface Estimate {
  /** The Hodges–Lehmann estimate. */
  estimate: number;
  /**
   * A gap where even the widest interval (from minimum to maximum) covers less than 95 %: under six
   * values.
   */
  ci95: Interval | Gap;
}

/**
 * Up to this many values the distribution of the rank sum is exact; above, the error of the normal
 * approximation is less than 1e-4.
 */
const EXACT_SIGNED = 300;
/** Above this many values, the pairwise means are taken of this many order statistics only. */
const THINNED_ABOVE = 2000;
/**
 * The distribution of the rank sum of two samples is exact up to this many values in both together.
 */
const EXACT_SUM = 60;

const ALPHA = 0.05;
const Z = 1.959963984540054;

/**
 * Wilcoxon's signed-rank test of whether values are symmetric about zero.
 *
 * Exact given the absolute values: each rank (the mean rank for ties) has either sign with
 * probability 1/2. A zero occupies its rank but has no sign (Pratt).
 * @returns the p value; 1 if all values are zero
 */
export function signedRank(values: ArrayLike<number>, side: Side = 'two-sided'): number {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const at = (place: number) => sorted[place] as number;
  let below = 0;
  while (below < n && at(below) < 0) below += 1;
  let above = below;
  while (above < n && at(above) === 0) above += 1;
  // Zeros have the lowest ranks; from there outwards, the side with the smaller absolute value
  // comes next.
  let ranked = above - below;
  let [sumAbove, sumBelow] = [0, 0];
  const counted = new Float64Array(n - ranked);
  let filled = 0;
  let [left, right] = [below - 1, above];
  while (left >= 0 || right < n) {
    const size = Math.min(
      left >= 0 ? -at(left) : Number.POSITIVE_INFINITY,
      right < n ? at(right) : Number.POSITIVE_INFINITY,
    );
    const [fromLeft, fromRight] = [left, right];
    while (left >= 0 && -at(left) === size) left -= 1;
    while (right < n && at(right) === size) right += 1;
    const [lefts, rights] = [fromLeft - left, right - fromRight];
    const rank = ranked + (lefts + rights + 1) / 2;
    ranked += lefts + rights;
    sumBelow += lefts * rank;
    sumAbove += rights * rank;
    filled += lefts + rights;
    counted.fill(rank, filled - lefts - rights, filled);
  }
  if (counted.length === 0) return 1;
  const atMost = counted.length <= EXACT_SIGNED ? exactSigned(counted) : normalSigned(counted);
  if (side === 'greater') return atMost(sumBelow);
  if (side === 'less') return atMost(sumAbove);
  return Math.min(1, 2 * atMost(Math.min(sumAbove, sumBelow)));
}

/** The probability that the ranks of one sign (or of one sample) add up to at most `sum`. */
type AtMost = (sum: number) => number;

const signedOf = new Map<number, Float64Array>();

function exactSigned(ranks: Float64Array): AtMost {
  const plain = ranks.every((rank, place) => rank === place + 1);
  const unit = ranks.every((rank) => Number.isInteger(rank)) ? 1 : 2;
  const known = plain ? signedOf.get(ranks.length) : undefined;
  const cumulated = known ?? cumulate(signedChances(ranks.map((rank) => rank * unit)));
  if (plain && !known) signedOf.set(ranks.length, cumulated);
  return (sum) => cumulated[Math.min(Math.round(sum * unit), cumulated.length - 1)] as number;
}

function signedChances(ranks: Float64Array): Float64Array {
  const chances = new Float64Array(ranks.reduce((sum, rank) => sum + rank, 0) + 1);
  chances[0] = 1;
  let reach = 0;
  for (const rank of ranks) {
    reach += rank;
    for (let sum = reach; sum >= 0; sum -= 1)
      chances[sum] =
        ((chances[sum] as number) + (sum >= rank ? (chances[sum - rank] as number) : 0)) / 2;
  }
  return chances;
}

function cumulate(chances: Float64Array): Float64Array {
  let sum = 0;
  return chances.map((chance) => {
    sum += chance;
    return Math.min(1, sum);
  });
}

function normalSigned(ranks: Float64Array): AtMost {
  let mean = 0;
  let variance = 0;
  for (const rank of ranks) {
    mean += rank / 2;
    variance += (rank * rank) / 4;
  }
  return (sum) => normalBelow((sum + 0.5 - mean) / Math.sqrt(variance));
}

/**
 * The Hodges–Lehmann estimate of the centre of values: the median of all pairwise means (Walsh
 * averages), including each value with itself; and the interval of all centres that the signed-rank
 * test does not reject at 5 %.
 * @throws if there is no value
 */
export function hodgesLehmann(values: ArrayLike<number>): Estimate {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const cut = cutSigned(n);
  if (n <= THINNED_ABOVE) return estimateOf(walsh(sorted), averages(n), cut);
  // With this many values, evenly spaced order statistics represent their neighbours; the error is
  // at most a thousandth of the deviation.
  const thinned = Float64Array.from(
    { length: THINNED_ABOVE },
    (_, place) => sorted[Math.floor(((place + 0.5) * n) / THINNED_ABOVE)] as number,
  );
  return estimateOf(
    walsh(thinned),
    averages(THINNED_ABOVE),
    Math.floor((cut / averages(n)) * averages(THINNED_ABOVE)),
  );
}

/** Number of pairwise means, including each value with itself. */
const averages = (n: number) => (n * (n + 1)) / 2;

/**
 * How many Walsh averages lie outside the interval at each end; -1 if even the widest interval is
 * not wide enough.
 */
function cutSigned(n: number): number {
  if (n > EXACT_SIGNED)
    return Math.floor((n * (n + 1)) / 4 - Z * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24));
  const atMost = exactSigned(Float64Array.from({ length: n }, (_, place) => place + 1));
  return lastBelow(atMost);
}

function lastBelow(atMost: AtMost): number {
  let cut = -1;
  while (atMost(cut + 1) <= ALPHA / 2) cut += 1;
  return cut;
}

/**
 * Wilcoxon's rank-sum test (Mann–Whitney) of whether two unpaired samples have the same
 * distribution. Exact given the values (ties get the mean rank) up to 60 values in both together;
 * above that, the normal approximation with the corrections for ties and continuity.
 * @returns the p value; 1 if a sample is empty
 */
export function rankSum(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  side: Side = 'two-sided',
): number {
  const [n, m] = [first.length, second.length];
  if (n === 0 || m === 0) return 1;
  const all = [
    ...Array.from(first, (value) => ({ value, own: true })),
    ...Array.from(second, (value) => ({ value, own: false })),
  ];
  all.sort((a, b) => a.value - b.value);
  const ranks = midranks(all.map(({ value }) => value));
  const sum = ranks.reduce((total, rank, place) => total + (all[place]?.own ? rank : 0), 0);
  const [low, high] = n + m <= EXACT_SUM ? exactSum(ranks, n) : normalSum(ranks, n);
  if (side === 'less') return low(sum);
  if (side === 'greater') return high(sum);
  return Math.min(1, 2 * Math.min(low(sum), high(sum)));
}

const sumsOf = new Map<string, Float64Array>();

function exactSum(ranks: readonly number[], n: number): [atMost: AtMost, atLeast: AtMost] {
  const plain = ranks.every((rank, place) => rank === place + 1);
  const unit = ranks.every(Number.isInteger) ? 1 : 2;
  const key = `${n} ${ranks.length}`;
  const known = plain ? sumsOf.get(key) : undefined;
  const scaled = ranks.map((rank) => rank * unit);
  const cumulated = known ?? cumulate(sumChances(scaled, n));
  if (plain && !known) sumsOf.set(key, cumulated);
  const at = (place: number) =>
    place < 0 ? 0 : (cumulated[Math.min(place, cumulated.length - 1)] as number);
  return [
    (sum) => at(Math.round(sum * unit)),
    (sum) => Math.max(0, 1 - at(Math.round(sum * unit) - 1)),
  ];
}

/** The probability of each sum of n of the ranks, if every choice of n is equally likely. */
function sumChances(ranks: readonly number[], n: number): Float64Array {
  const most = ranks.slice(-n).reduce((sum, rank) => sum + rank, 0);
  const ways = Array.from({ length: n + 1 }, () => new Float64Array(most + 1));
  (ways[0] as Float64Array)[0] = 1;
  for (const [place, rank] of ranks.entries())
    for (let chosen = Math.min(n, place + 1); chosen > 0; chosen -= 1) {
      const [without, into] = [ways[chosen - 1] as Float64Array, ways[chosen] as Float64Array];
      for (let sum = most; sum >= rank; sum -= 1)
        into[sum] = (into[sum] as number) + (without[sum - rank] as number);
    }
  const chances = ways[n] as Float64Array;
  const all = chances.reduce((sum, count) => sum + count, 0);
  return chances.map((count) => count / all);
}

function normalSum(ranks: readonly number[], n: number): [atMost: AtMost, atLeast: AtMost] {
  const count = ranks.length;
  const mean = (n * (count + 1)) / 2;
  // The variance of a sum of n ranks drawn without replacement; this already includes the
  // correction for ties.
  const spread = ranks.reduce((sum, rank) => sum + (rank - (count + 1) / 2) ** 2, 0) / (count - 1);
  const deviation = Math.sqrt((n * (count - n) * spread) / count);
  if (deviation === 0) return [() => 1, () => 1];
  return [
    (sum) => normalBelow((sum + 0.5 - mean) / deviation),
    (sum) => normalBelow((mean - sum + 0.5) / deviation),
  ];
}

/**
 * By how much the first sample lies above the second: the median of all differences between a value
 * of each (Hodges–Lehmann), and the interval of all shifts that the rank-sum test does not reject
 * at 5 %.
 * @throws if a sample is empty
 */
export function shift(first: ArrayLike<number>, second: ArrayLike<number>): Estimate {
  const [a, b] = [Float64Array.from(first).sort(), Float64Array.from(second).sort()];
  return estimateOf(differences(a, b), a.length * b.length, cutSum(a.length, b.length));
}

function cutSum(n: number, m: number): number {
  if (n + m > EXACT_SUM) return Math.floor((n * m) / 2 - Z * Math.sqrt((n * m * (n + m + 1)) / 12));
  const [atMost] = exactSum(
    Array.from({ length: n + m }, (_, place) => place + 1),
    n,
  );
  return lastBelow((cut) => atMost(cut + (n * (n + 1)) / 2));
}

/**
 * A multiset that is never materialized: it only counts the elements up to a value, and finds the
 * smallest element above a value.
 */
interface Ranked {
  /** Total size of the samples that the multiset is built from. */
  size: number;
  least: number;
  greatest: number;
  countAtMost(value: number): number;
  leastAbove(value: number): number;
}

function walsh(sorted: Float64Array): Ranked {
  const n = sorted.length;
  const mean = (a: number, b: number) => ((sorted[a] as number) + (sorted[b] as number)) / 2;
  return {
    size: n,
    least: sorted[0] as number,
    greatest: sorted[n - 1] as number,
    countAtMost(value) {
      let count = 0;
      let other = n - 1;
      for (let own = 0; own < n; own += 1) {
        while (other >= own && mean(own, other) > value) other -= 1;
        if (other < own) break;
        count += other - own + 1;
      }
      return count;
    },
    leastAbove(value) {
      let least = Number.POSITIVE_INFINITY;
      let other = n - 1;
      for (let own = 0; own < n; own += 1) {
        while (other >= own && mean(own, other) > value) other -= 1;
        const next = Math.max(own, other + 1);
        if (next < n) least = Math.min(least, mean(own, next));
      }
      return least;
    },
  };
}

function differences(a: Float64Array, b: Float64Array): Ranked {
  const difference = (own: number, other: number) => (a[own] as number) - (b[other] as number);
  return {
    size: a.length + b.length,
    least: difference(0, b.length - 1),
    greatest: difference(a.length - 1, 0),
    countAtMost(value) {
      let count = 0;
      let other = 0;
      for (let own = 0; own < a.length; own += 1) {
        while (other < b.length && difference(own, other) > value) other += 1;
        count += b.length - other;
      }
      return count;
    },
    leastAbove(value) {
      let least = Number.POSITIVE_INFINITY;
      let other = 0;
      for (let own = 0; own < a.length; own += 1) {
        while (other < b.length && difference(own, other) > value) other += 1;
        if (other > 0) least = Math.min(least, difference(own, other - 1));
      }
      return least;
    },
  };
}

/** @param cut how many of the pairs lie outside the interval at each end */
function estimateOf(pairs: Ranked, count: number, cut: number): Estimate {
  const [lower, upper] = [Math.floor((count + 1) / 2), Math.floor(count / 2) + 1];
  const middle = nth(pairs, lower);
  const estimate = lower === upper ? middle : (middle + nth(pairs, upper)) / 2;
  if (cut < 0) return { estimate, ci95: { gap: 'too-few-runs' } };
  return { estimate, ci95: [nth(pairs, cut + 1), nth(pairs, count - cut)] };
}

/**
 * The n-th smallest value, counting from 1: bisection narrows down its position, and the last step
 * reads the exact value.
 */
function nth(pairs: Ranked, n: number): number {
  let low = pairs.least - (pairs.greatest - pairs.least || 1) * 1e-3;
  let high = pairs.greatest;
  // With many values, neighbours are too close together for the difference to matter.
  const enough = (high - low) * (pairs.size > 1000 ? 1e-9 : 1e-13);
  while (high - low > enough) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (pairs.countAtMost(middle) >= n) high = middle;
    else low = middle;
  }
  return pairs.leastAbove(low);
}

/**
 * The rank of each value, counting from 1; ties share their mean rank.
 * @param sorted in ascending order
 */
function midranks(sorted: readonly number[]): number[] {
  const ranks = new Array<number>(sorted.length);
  for (let from = 0; from < sorted.length; ) {
    let to = from + 1;
    while (to < sorted.length && sorted[to] === sorted[from]) to += 1;
    ranks.fill((from + 1 + to) / 2, from, to);
    from = to;
  }
  return ranks;
}

/**
 * The cumulative standard normal distribution, with a relative error of 1e-7 even in the tails
 * (Numerical Recipes' erfc).
 */
export function normalBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  const series =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t *
                      (0.27886807 +
                        t *
                          (-1.13520398 +
                            t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  const tail = (t * Math.exp(-x * x + series)) / 2;
  return z < 0 ? tail : 1 - tail;
}
