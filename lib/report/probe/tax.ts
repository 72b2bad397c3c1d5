// What work costs inside a row, as a multiple of the baseline's in the same round; a pure fold of what the loops told.
import type { Work } from '../../record/probe.js';
import { type Gap, isGap } from '../../record/types.js';
import { ENOUGH_TO_SEPARATE, summarizePairs } from '../../statistics/summary.js';

/** One kind of work in one row and round, as the record has it. */
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
      /** Of fewer than six pairs no interval covers 95 %. */
      ci95: [number, number] | Gap;
      /** Pairs: rounds in which both rows have a number. */
      n: number;
    }
  | { probe: string; gap: Gap['gap']; detail?: string };

/**
 * @param baseline the row that all are held against (its own ratios are 1); undefined where there is none
 * @param seed of the intervals' bootstrap
 * @returns by entry; within it, by kind in the order in which it was first told
 */
export function taxOf(worked: readonly Worked[], baseline: string | undefined, seed: number): Record<string, TaxCell[]> {
  const rows = new Map<string, Map<string, Map<number, Work>>>();
  for (const { entry, round, work } of worked) {
    const row = entryOf(rows, entry, () => new Map());
    entryOf(row, work.probe, () => new Map()).set(round, work);
  }
  const base = baseline === undefined ? undefined : (rows.get(baseline) ?? new Map<string, Map<number, Work>>());
  return Object.fromEntries(
    [...rows].map(([entry, row]) => [
      entry,
      [...row].map(([probe, own]) => cellOf(probe, own, base && (base.get(probe) ?? new Map()), seed)),
    ]),
  );
}

type Rounds = ReadonlyMap<number, Work>;

/** @param base undefined: no row to hold it against */
function cellOf(probe: string, own: Rounds, base: Rounds | undefined, seed: number): TaxCell {
  if (base) {
    const ratios = [...own].flatMap(([round, { opMs }]) => {
      const other = base.get(round)?.opMs;
      return other === undefined || isGap(opMs) || isGap(other) ? [] : [opMs / other];
    });
    const ratio = summarizePairs(ratios, seed);
    if (!isGap(ratio)) {
      const enough = ratios.length >= ENOUGH_TO_SEPARATE;
      return { probe, ratio: ratio.median, ci95: enough ? ratio.ci95 : { gap: 'too-few-runs' }, n: ratios.length };
    }
  }
  return { probe, ...whyNone(own, base) };
}

/** The row's own reason first: without a number of its own nothing could be held against anything. */
function whyNone(own: Rounds, base: Rounds | undefined): { gap: Gap['gap']; detail?: string } {
  if (![...own.values()].some(({ opMs }) => !isGap(opMs))) return firstGap(own) ?? { gap: 'not-reported' };
  if (!base) return { gap: 'no-baseline' };
  const theirs = firstGap(base);
  return { gap: 'no-baseline', detail: theirs?.detail ? `the baseline: ${theirs.detail}` : 'the baseline has no number of the same round' };
}

function firstGap(rounds: Rounds): { gap: Gap['gap']; detail?: string } | undefined {
  for (const { opMs, detail } of rounds.values()) if (isGap(opMs)) return { ...opMs, ...(detail === undefined ? {} : { detail }) };
  return undefined;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
