// Break-even task lengths: where extra startup and teardown time becomes negligible, or is made up
// for by a lower slope. They can only be derived from fits over several task lengths.
import { isGap } from '../../record/types.js';
import type { Paired, Recommendation, Report } from '../document.js';

type BreakEven = Recommendation['breakEven'][number];

/**
 * A task this many times longer than the extra startup and teardown time keeps that time below 5 %
 * of the whole.
 */
const TASK_PER_EXTRA = 20;

export function breakEvens({ lengths, modes }: Pick<Report, 'lengths' | 'modes'>): BreakEven[] {
  if (!lengths) return [];
  const real = new Set(modes.filter(({ standIn }) => !standIn).map(({ entry }) => entry));
  const isReal = (sandbox: string) =>
    lengths.fits
      .find((fit) => fit.sandbox === sandbox)
      ?.entries.every((entry) => real.has(entry)) === true;
  const pairs = lengths.comparisons.filter(({ a, b }) => isReal(a) && isReal(b));
  return [
    ...pairs.flatMap((pair) => negligible(pair, lengths.baseline)),
    ...pairs.flatMap((pair) => overtakes(pair, lengths.baseline)),
  ];
}

type Pair = NonNullable<Report['lengths']>['comparisons'][number];

function negligible({ a, b, intercept }: Pair, baseline: string): BreakEven[] {
  if (
    (a !== baseline && b !== baseline) ||
    intercept.separable !== true ||
    isGap(intercept.difference.ci95)
  )
    return [];
  const extra = a === baseline ? negated(intercept.difference) : intercept.difference;
  if (isGap(extra.ci95) || extra.ci95[0] <= 0) return [];
  const [low, high] = extra.ci95;
  return [
    {
      entry: a === baseline ? b : a,
      against: baseline,
      kind: 'negligible',
      workMs: TASK_PER_EXTRA * extra.median,
      ci95: [TASK_PER_EXTRA * low, TASK_PER_EXTRA * high],
    },
  ];
}

const negated = ({ median, ci95 }: Paired): Paired => ({
  median: -median,
  ci95: isGap(ci95) ? ci95 : [-ci95[1], -ci95[0]],
});

function overtakes({ a, b, slope, equalAtMs }: Pair, baseline: string): BreakEven[] {
  if (isGap(equalAtMs) || isGap(equalAtMs.ci95) || a === baseline || b === baseline) return [];
  const [entry, against] = slope.difference.median < 0 ? [a, b] : [b, a];
  return [{ entry, against, kind: 'overtakes', workMs: equalAtMs.median, ci95: equalAtMs.ci95 }];
}
