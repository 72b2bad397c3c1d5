// Two rows held against each other round by round: only rounds in which both passed make a pair.
import { type Gap, isGap } from '../record.js';
import type { Paired, Report } from './document.js';
import { separates, summarizePairs } from './statistics.js';
import { combined, type Tally } from './tally.js';

type Comparison = Report['comparisons'][number];

/** One number for each passed run of a row, NaN where it has none. */
export type Series = (tally: Tally) => Float64Array;

export const startup: Series = (tally) => tally.quantity('startup');
export const withoutModel: Series = (tally) => combined(tally.quantity('total'), tally.quantity('model'), (total, model) => total - model);
export const workWithoutModel: Series = (tally) => combined(tally.quantity('work'), tally.quantity('model'), (work, model) => work - model);

interface Pairs {
  ratios: number[];
  differences: number[];
}

/** Ratios and differences, a to b, of the rounds that both have a number of; a ratio needs something to be held against. */
export function pairUp(a: Tally, b: Tally, series: Series): Pairs {
  const others = series(b);
  const pairs: Pairs = { ratios: [], differences: [] };
  const own = series(a);
  for (const [place, round] of a.rounds.entries()) {
    const other = others[b.placeOf(round) ?? -1] ?? Number.NaN;
    const value = own[place] as number;
    if (Number.isNaN(value) || Number.isNaN(other)) continue;
    pairs.differences.push(value - other);
    if (other > 0) pairs.ratios.push(value / other);
  }
  return pairs;
}

interface Held {
  n: number;
  ratio: number;
  ci95: Paired['ci95'];
  differenceMs: Paired;
  separable: boolean | Gap;
}

function hold(a: Tally, b: Tally, series: Series, seed: number): Held | Gap {
  const { ratios, differences } = pairUp(a, b, series);
  const ratio = summarizePairs(ratios, seed);
  const difference = summarizePairs(differences, seed);
  if (isGap(ratio)) return ratio;
  if (isGap(difference)) return difference;
  const separable = separates(ratio.ci95, ratios.length);
  return { n: ratios.length, ratio: ratio.median, ci95: ratio.ci95, differenceMs: difference, separable };
}

/** Every two rows of one task that have passed in a round together. */
export function compareAll(rows: { entry: string; task: string; standIn: boolean; tally: Tally }[], seed: number): Comparison[] {
  return rows.flatMap((a, index) =>
    rows.slice(index + 1).flatMap((b) => {
      if (a.task !== b.task) return [];
      const held = hold(a.tally, b.tally, startup, seed);
      if (isGap(held)) return [];
      const standIn = a.standIn || b.standIn ? { standIn: true as const } : {};
      return [{ a: a.entry, b: b.entry, ...standIn, ...held, total: totals(a.tally, b.tally, seed) }];
    }),
  );
}

function totals(a: Tally, b: Tally, seed: number): Comparison['total'] {
  const held = hold(a, b, withoutModel, seed);
  if (isGap(held)) return held;
  const { n: _n, ...rest } = held;
  return rest;
}
