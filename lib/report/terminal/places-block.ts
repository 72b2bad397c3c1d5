// Where the runs were, for a terminal: a line for each of a runtime's machines.
import type { Report } from '../document.js';
import { placeLines, placesTable } from '../places.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

export function renderPlaces(report: Report, style: Style): string {
  const places = placesTable(report);
  const lines = placeLines(report).flatMap((line) => wrap(line, '  ', '    '));
  if (!places)
    return lines.length === 0 ? '' : [style.bold('where the runs were'), ...lines].join('\n');
  const table = borderless(
    places.head.map(style.bold),
    places.head.map((name) =>
      ['mode', 'on'].includes(name) ? ('left' as const) : ('right' as const),
    ),
  );
  for (const [at, row] of places.rows.entries())
    table.push(places.rows[at - 1]?.[0] === row[0] ? ['', ...row.slice(1)] : row);
  return [style.bold('where the runs were'), trimmed(fitted(table)), ...lines].join('\n');
}
