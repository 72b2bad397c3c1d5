// What work costs inside: each kind's times over the baseline's, paired by round.
import type { Work } from '../../probe-record.js';
import { type Gap, isGap } from '../../record.js';
import { summarizePairs } from '../statistics.js';

type Taxed = { probe: string; ratio: number; ci95: [number, number] | Gap; n: number } | { probe: string; gap: string; detail?: string };

/**
 * @param baseline the row that the others are held against; undefined where there is none
 * @returns for every row that worked, its kinds in the order in which they were first told
 */
export function taxOf(
  worked: { entry: string; round: number; work: Work }[],
  baseline: string | undefined,
  seed: number,
): Record<string, Taxed[]> {
  const rows = new Map<string, Map<string, Map<number, Work>>>();
  for (const { entry, round, work } of worked) {
    const kinds = rows.get(entry) ?? new Map<string, Map<number, Work>>();
    rows.set(entry, kinds.set(work.probe, (kinds.get(work.probe) ?? new Map<number, Work>()).set(round, work)));
  }
  const base = baseline === undefined ? undefined : rows.get(baseline);
  return Object.fromEntries(
    [...rows].map(([entry, kinds]) => [entry, [...kinds].map(([probe, own]) => one(probe, own, base?.get(probe)))]),
  );

  function one(probe: string, own: Map<number, Work>, against: Map<number, Work> | undefined): Taxed {
    const ratios = [...own].flatMap(([round, { opMs }]) => {
      const below = against?.get(round)?.opMs;
      return isGap(opMs) || below === undefined || isGap(below) ? [] : [opMs / below];
    });
    const held = summarizePairs(ratios, seed);
    if (!isGap(held)) return { probe, ratio: held.median, ci95: held.ci95, n: ratios.length };
    const lacking = [...own.values(), ...(against?.values() ?? [])].find(({ opMs }) => isGap(opMs));
    const gap = lacking && isGap(lacking.opMs) ? lacking.opMs.gap : 'no-baseline';
    return { probe, gap, ...(lacking?.detail === undefined ? {} : { detail: lacking.detail }) };
  }
}
