// The workspace-sync truth table, condensed: a mark for each direction of a cell, and the cells
// that are not the same, grouped.
import { medianSorted } from 'simple-statistics';
import type { Direction, SyncCell, Verdict } from '../../record/probe.js';
import { type Gap, isGap, type Sync } from '../../record/types.js';
import { syncShort } from '../cells.js';
import type { ProbeDocument } from './document.js';
import { alike } from './grouped.js';

export const DIRECTIONS: readonly Direction[] = ['in', 'in-live', 'out-live', 'out', 'both'];

/** `not-tried`: another row has the cell. `none`: no row has it. */
export type Seen = Verdict | 'not-tried' | 'none';

/** Each mark is one column wide; the order is that of the legend. */
export const MARKS: Record<Seen, string> = {
  same: '✓',
  differs: '≠',
  lost: '✗',
  stale: '~',
  gap: '?',
  'not-applicable': '○',
  'not-tried': '-',
  none: '·',
};

export const WORDS: Record<Seen, string> = {
  same: 'same',
  differs: 'differs',
  lost: 'lost',
  stale: 'stale',
  gap: 'gap',
  'not-applicable': 'does not apply',
  'not-tried': 'not tried',
  none: 'no such cell',
};

export interface FilesTable {
  entries: string[];
  /** In the order in which they were first recorded. */
  cells: string[];
  at(entry: string, cell: string, direction: Direction): SyncCell | undefined;
  seen(entry: string, cell: string, direction: Direction): Seen;
}

export function filesTable({ modes, sync }: ProbeDocument): FilesTable {
  const key = (cell: string, direction: Direction) => `${direction} ${cell}`;
  const entries = modes.map(({ entry }) => entry);
  const rows = new Map(
    entries.map((entry) => [
      entry,
      new Map(
        (sync[entry] ?? []).map((finding) => [key(finding.cell, finding.direction), finding]),
      ),
    ]),
  );
  const known = new Set([...rows.values()].flatMap((row) => [...row.keys()]));
  const at: FilesTable['at'] = (entry, cell, direction) =>
    rows.get(entry)?.get(key(cell, direction));
  return {
    entries,
    cells: [...new Set(entries.flatMap((entry) => (sync[entry] ?? []).map(({ cell }) => cell)))],
    at,
    seen: (entry, cell, direction) =>
      at(entry, cell, direction)?.verdict ??
      (known.has(key(cell, direction)) ? 'not-tried' : 'none'),
  };
}

export const marksOf = (table: FilesTable, entry: string, cell: string): string =>
  DIRECTIONS.map((direction) => MARKS[table.seen(entry, cell, direction)]).join('');

/** The match table's summary of a row's sync, here derived from the cell `create`. */
export function shortOf(table: FilesTable, entry: string): string {
  const way = (direction: Direction): Sync['in'] => {
    const verdict = table.at(entry, 'create', direction)?.verdict;
    if (verdict === undefined || verdict === 'gap' || verdict === 'not-applicable')
      return { gap: 'not-exercised' };
    return verdict === 'same' ? 'yes' : 'no';
  };
  const live = way('out-live');
  const out = way('out');
  // Changes that appear immediately need no collect.
  return syncShort({ in: way('in'), out: isGap(out) && live === 'yes' ? 'yes' : out, live });
}

/** Number of cells that came out the same, of those that could. */
export function sameOf(cells: readonly SyncCell[]): string {
  const tried = cells.filter(({ verdict }) => verdict !== 'not-applicable' && verdict !== 'gap');
  return tried.length === 0
    ? '–'
    : `${tried.filter(({ verdict }) => verdict === 'same').length}/${tried.length}`;
}

/**
 * Median over the cells that came out the same, from the change until the other side saw it, in ms.
 */
export function latencyOf(cells: readonly SyncCell[], direction: Direction): number | Gap {
  const known = cells.flatMap((cell) =>
    cell.direction === direction && cell.verdict === 'same' && cell.latencyMs !== undefined
      ? [cell.latencyMs]
      : [],
  );
  return known.length === 0 ? { gap: 'not-exercised' } : medianSorted(known.sort((a, b) => a - b));
}

export interface FilesNote {
  entries: string[];
  verdict: Verdict;
  cells: string[];
  directions: Direction[];
  detail: string;
}

const ORDER: Verdict[] = ['lost', 'differs', 'stale', 'gap', 'not-applicable'];

/**
 * What is not the same, worst first, grouped by rows, cells and directions with the same finding.
 */
export function filesNotes({ modes, sync }: ProbeDocument): FilesNote[] {
  const single = modes.flatMap(({ entry }) =>
    (sync[entry] ?? []).flatMap(({ cell, direction, verdict, detail }) =>
      verdict === 'same'
        ? []
        : [
            {
              entries: [entry],
              verdict,
              cells: [cell],
              directions: [direction],
              detail: detail ?? '',
            },
          ],
    ),
  );
  const together = (notes: FilesNote[], join: 'entries' | 'cells' | 'directions') =>
    alike(notes, ({ [join]: joined, ...rest }) => rest).map(
      (same) => ({ ...same[0], [join]: same.flatMap((note) => note[join]) }) as FilesNote,
    );
  const joined = (['entries', 'directions', 'cells'] as const).reduce(
    together,
    single as FilesNote[],
  );
  return joined.sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
}

/** `mtime (out-live, out) differs: cut to seconds` */
export const sayFiles = ({ cells, directions, verdict, detail }: FilesNote): string =>
  `${cells.join(', ')} (${directions.join(', ')}) ${WORDS[verdict]}: ${detail}`;
