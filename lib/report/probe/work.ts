// Cost of work inside, condensed: a ratio with its interval for each kind and row, and why some are
// missing.
import { isGap } from '../../record/types.js';
import type { ProbeDocument, Tax } from './document.js';
import { alike } from './grouped.js';

type Ratio = Extract<Tax, { ratio: number }>;

export const isRatio = (tax: Tax): tax is Ratio => 'ratio' in tax;

export interface WorkTable {
  /** Without the baseline, whose ratios are 1 by definition. */
  entries: string[];
  /** In the order in which they were first recorded. */
  kinds: string[];
  at(entry: string, kind: string): Tax | undefined;
}

export function workTable({ probe, modes, tax }: ProbeDocument): WorkTable {
  const entries = modes.map(({ entry }) => entry).filter((entry) => entry !== probe.baseline);
  const rows = new Map(
    entries.map((entry) => [
      entry,
      new Map((tax[entry] ?? []).map((result) => [result.probe, result])),
    ]),
  );
  return {
    entries,
    kinds: [
      ...new Set(modes.flatMap(({ entry }) => (tax[entry] ?? []).map((result) => result.probe))),
    ],
    at: (entry, kind) => rows.get(entry)?.get(kind),
  };
}

/** Formats with three significant digits. */
export const digits = (value: number): string =>
  value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

/** `1.42 [1.38–1.47]`; a dash if there is no ratio. */
export function ratioWhole(tax: Tax | undefined): string {
  if (tax === undefined || !isRatio(tax)) return '–';
  return isGap(tax.ci95)
    ? digits(tax.ratio)
    : `${digits(tax.ratio)} [${digits(tax.ci95[0])}–${digits(tax.ci95[1])}]`;
}

/** Shorter form of `ratioWhole`: `1.42 ±0.05`, using the wider side of the interval. */
export function ratioShort(tax: Tax | undefined): string {
  if (tax === undefined || !isRatio(tax)) return '–';
  const { ratio, ci95 } = tax;
  return isGap(ci95)
    ? digits(ratio)
    : `${digits(ratio)} ±${digits(Math.max(ratio - ci95[0], ci95[1] - ratio))}`;
}

export interface WorkNote {
  why: string;
  kinds: string[];
  entries: string[];
}

const NOT_TRIED = 'not tried';

/** Reasons for the dashes. */
export function workNotes(document: ProbeDocument): WorkNote[] {
  const table = workTable(document);
  const single = table.entries.flatMap((entry) =>
    table.kinds.flatMap((kind) => {
      const tax = table.at(entry, kind);
      if (tax !== undefined && isRatio(tax)) return [];
      const why =
        tax === undefined
          ? NOT_TRIED
          : tax.detail === undefined
            ? tax.gap
            : `${tax.gap}: ${tax.detail}`;
      return [{ why, kinds: [kind], entries: [entry] }];
    }),
  );
  const byRow = alike(single, ({ why, entries }) => [why, entries]).map((same) => ({
    ...same[0],
    kinds: same.flatMap(({ kinds }) => kinds),
  }));
  return alike(byRow, ({ why, kinds }) => [why, kinds]).map((same) => ({
    ...same[0],
    entries: same.flatMap(({ entries }) => entries),
  }));
}

/**
 * Numbers of rounds behind the ratios, least and most: `n=6`, `n=4 to 6`; '' if there is no ratio.
 */
export function roundsText({ tax }: ProbeDocument): string {
  const counts = Object.values(tax).flatMap((row) =>
    row.flatMap((result) => (isRatio(result) ? [result.n] : [])),
  );
  if (counts.length === 0) return '';
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? `n=${least}` : `n=${least} to ${most}`;
}
