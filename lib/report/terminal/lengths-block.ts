// Results of tasks of several lengths, for a terminal: a fixed cost and a cost per millisecond of
// work for each sandbox.
import { listed, middle } from '../cells.js';
import type { Report } from '../document.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

const HEAD = ['sandbox', 'n', 'intercept ms', 'slope'];

/** Undefined if only one length was run. */
export function lengthsTable({
  lengths,
}: Pick<Report, 'lengths'>): { head: string[]; rows: string[][]; note: string } | undefined {
  if (!lengths) return undefined;
  return {
    head: HEAD,
    rows: lengths.fits.map(({ sandbox, n, interceptMs, slope }) => [
      sandbox,
      String(n),
      middle(interceptMs),
      middle(slope, (value) => value.toFixed(2)),
    ]),
    note: `total = intercept + slope × ${lengths.baseline}'s work on the same task in the same round; tasks ${listed(lengths.tasks)}; [95 % interval]`,
  };
}

export function renderLengths(report: Report, style: Style): string {
  const table = lengthsTable(report);
  if (!table) return '';
  const shown = borderless(table.head.map(style.bold), ['left', 'right', 'right', 'right']);
  shown.push(...table.rows);
  return [
    style.bold('tasks of several lengths'),
    trimmed(fitted(shown)),
    ...wrap(table.note, '  ', '  '),
  ].join('\n');
}
