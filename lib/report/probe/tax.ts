// Cost of work inside a row, as a multiple of the baseline's in the same round: a pure fold of what
// the work loops reported.
import type { Work } from '../../record/probe.js';
import { type Gap, isGap } from '../../record/types.js';
import { ENOUGH_TO_SEPARATE, summarizePairs } from '../../statistics/summary.js';

/** One kind of work in one row and round, as recorded. */
export interface Worked {
  entry: string;
  round: number;
  work: Work;
}

/** One kind of work in one row. */
export type TaxCell =
  | {
      probe: string;
      /** Median of the pairs' ratios to the baseline: 2 is twice its time. */
      ratio: number;
      /** A gap for fewer than six pairs, for which no interval covers 95 %. */
      ci95: [number, number] | Gap;
      /** Number of pairs, which are rounds in which both rows have a number. */
      n: number;
    }
  | { probe: string; gap: Gap['gap']; detail?: string };

/**
 * @param baseline the row that all rows are compared with (its own ratios are 1); undefined if
 *   there is none
 * @param seed seed of the intervals' bootstrap
 * @returns cells by entry; within an entry by kind, in the order in which the kinds were first
 *   recorded
 */
export function taxOf(
  worked: readonly Worked[],
  baseline: string | undefined,
  seed: number,
): Record<string, TaxCell[]> {
  const rows = new Map<string, Map<string, Map<number, Work>>>();
  for (const { entry, round, work } of worked) {
    const row = entryOf(rows, entry, () => new Map());
    entryOf(row, work.probe, () => new Map()).set(round, work);
  }
  const base =
    baseline === undefined
      ? undefined
      : (rows.get(baseline) ?? new Map<string, Map<number, Work>>());
  return Object.fromEntries(
    [...rows].map(([entry, row]) => [
      entry,
      [...row].map(([probe, own]) =>
        cellOf(probe, own, base && (base.get(probe) ?? new Map()), seed),
      ),
    ]),
  );
}

type Rounds = ReadonlyMap<number, Work>;

/** @param base undefined if there is no row to compare with */
function cellOf(probe: string, own: Rounds, base: Rounds | undefined, seed: number): TaxCell {
  if (base) {
    const ratios = [...own].flatMap(([round, { opMs }]) => {
      const other = base.get(round)?.opMs;
      return other === undefined || isGap(opMs) || isGap(other) ? [] : [opMs / other];
    });
    const ratio = summarizePairs(ratios, seed);
    if (!isGap(ratio)) {
      const enough = ratios.length >= ENOUGH_TO_SEPARATE;
      return {
        probe,
        ratio: ratio.median,
        ci95: enough ? ratio.ci95 : { gap: 'too-few-runs' },
        n: ratios.length,
      };
    }
  }
  return { probe, ...whyNone(own, base) };
}

/** The row's own reason comes first: without a number of its own, there is nothing to compare. */
function whyNone(own: Rounds, base: Rounds | undefined): { gap: Gap['gap']; detail?: string } {
  if (![...own.values()].some(({ opMs }) => !isGap(opMs)))
    return firstGap(own) ?? { gap: 'not-reported' };
  if (!base) return { gap: 'no-baseline' };
  const theirs = firstGap(base);
  return {
    gap: 'no-baseline',
    detail: theirs?.detail
      ? `the baseline: ${theirs.detail}`
      : 'the baseline has no number of the same round',
  };
}

function firstGap(rounds: Rounds): { gap: Gap['gap']; detail?: string } | undefined {
  for (const { opMs, detail } of rounds.values())
    if (isGap(opMs)) return { ...opMs, ...(detail === undefined ? {} : { detail }) };
  return undefined;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
