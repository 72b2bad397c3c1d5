// A probe as CSV: one line per cell, wall and kind of work of every row, for a spreadsheet or a
// data frame.
import { isGap } from '../../record/types.js';
import { type Cell, csvHead, csvLine } from '../export/csv-cells.js';
import type { ProbeDocument } from './document.js';
import { isRatio } from './work.js';

const FINDING = [
  'what',
  'name',
  'direction',
  'verdict',
  'latency_ms',
  'declared',
  'observed',
  'ratio',
  'ratio_low',
  'ratio_high',
  'n',
  'gap',
  'detail',
] as const;
type Finding = Partial<Record<(typeof FINDING)[number], Cell>>;

/**
 * `what`: sync, walls, residue (`direction` is the way, `n` the number of hits) or tax. Columns
 * that do not apply are empty; the reason for a missing value is in `gap` and `detail`.
 */
export function renderProbeCsv(document: ProbeDocument): string {
  const { probe, modes } = document;
  const head = csvHead([
    'probe',
    'entry',
    'mode',
    'variant',
    'label',
    'isolation',
    'stand_in',
    ...FINDING,
  ]);
  const lines = modes.flatMap(({ entry, mode, variant, label, isolation, standIn }) =>
    findingsOf(document, entry).map((finding) =>
      csvLine([
        probe.id,
        entry,
        mode,
        variant,
        label,
        isolation,
        standIn,
        ...FINDING.map((column) => finding[column]),
      ]),
    ),
  );
  return [head, ...lines].join('');
}

function findingsOf(
  { sync, walls, residue, tax, brokeOff }: ProbeDocument,
  entry: string,
): Finding[] {
  return [
    ...(sync[entry] ?? []).map(
      ({ cell, direction, verdict, latencyMs, detail }): Finding => ({
        ...{ what: 'sync', name: cell, direction, verdict, latency_ms: latencyMs, detail },
        ...(verdict === 'gap' ? { gap: 'not-captured' } : {}),
      }),
    ),
    ...(walls[entry] ?? []).map(
      ({ wall, declared, observed, evidence }): Finding => ({
        ...{ what: 'walls', name: wall, declared, observed, detail: evidence },
        ...(observed === 'gap' ? { gap: 'not-captured' } : {}),
      }),
    ),
    ...(residue[entry] ?? []).flatMap(({ path, places }) =>
      places.map(
        ({ place, verdict, hits, detail }): Finding => ({
          ...{ what: 'residue', name: place, direction: path, verdict, n: hits.length },
          detail: [...hits.map(({ where, shape }) => `${where} (${shape})`), detail].join('; '),
          ...(verdict === 'gap' ? { gap: 'not-captured' } : {}),
        }),
      ),
    ),
    ...(tax[entry] ?? []).map((result): Finding => {
      if (!isRatio(result))
        return { what: 'tax', name: result.probe, gap: result.gap, detail: result.detail };
      const { probe, ratio, ci95, n } = result;
      const interval = isGap(ci95)
        ? { gap: ci95.gap }
        : { ratio_low: ci95[0], ratio_high: ci95[1] };
      return { what: 'tax', name: probe, ratio, n, ...interval };
    }),
    ...brokeOff
      .filter((failure) => failure.entry === entry)
      .map(
        ({ what, reason }): Finding => ({
          what,
          name: 'broke off',
          gap: 'not-reached',
          detail: reason,
        }),
      ),
  ];
}
