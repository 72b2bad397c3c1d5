// Where the runs were, for a terminal: a line for each of a runtime's machines.
import type { Report } from '../document.js';
import { placeLines, placesTable } from '../places.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

export function renderPlaces(report: Report, style: Style): string {
  const held = placesTable(report);
  const lines = placeLines(report).flatMap((line) => wrap(line, '  ', '    '));
  if (!held) return lines.length === 0 ? '' : [style.bold('where the runs were'), ...lines].join('\n');
  const table = borderless(
    held.head.map(style.bold),
    held.head.map((name) => (['mode', 'on'].includes(name) ? ('left' as const) : ('right' as const))),
  );
  for (const [at, row] of held.rows.entries()) table.push(held.rows[at - 1]?.[0] === row[0] ? ['', ...row.slice(1)] : row);
  return [style.bold('where the runs were'), trimmed(fitted(table)), ...lines].join('\n');
}
