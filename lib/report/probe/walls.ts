// The walls, condensed: what was observed of each, and which of them a reader should look at.
import type { Wall } from '../../record/probe.js';
import type { ProbeDocument } from './document.js';
import { alike } from './grouped.js';

export interface WallsTable {
  entries: string[];
  /** In the order in which they were first recorded. */
  walls: string[];
  at(entry: string, wall: string): Wall | undefined;
}

export function wallsTable({ modes, walls }: ProbeDocument): WallsTable {
  const entries = modes.map(({ entry }) => entry);
  const rows = new Map(
    entries.map((entry) => [entry, new Map((walls[entry] ?? []).map((wall) => [wall.wall, wall]))]),
  );
  return {
    entries,
    walls: [...new Set(entries.flatMap((entry) => (walls[entry] ?? []).map(({ wall }) => wall)))],
    at: (entry, wall) => rows.get(entry)?.get(wall),
  };
}

/** True if the observation contradicts the declaration. A gap does not. */
export const isBroken = ({ declared, observed }: Wall): boolean =>
  declared !== undefined && observed !== 'gap' && declared !== observed;

/** Number of walls as declared, of those declared and observed. */
export function keptOf(walls: readonly Wall[]): string {
  const compared = walls.filter(
    ({ declared, observed }) => declared !== undefined && observed !== 'gap',
  );
  return compared.length === 0
    ? '–'
    : `${compared.filter((wall) => !isBroken(wall)).length}/${compared.length}`;
}

/** Number of walls that were observed as closed, of all that were tried. */
export function closedOf(walls: readonly Wall[]): string {
  return walls.length === 0
    ? '–'
    : `${walls.filter(({ observed }) => observed === 'closed').length}/${walls.length}`;
}

/**
 * `open`, `closed` or `gap`, with a `!` if something else was declared; `-` if the wall was not
 * tried.
 */
export const wallShort = (wall: Wall | undefined): string =>
  wall === undefined ? '-' : `${wall.observed}${isBroken(wall) ? '!' : ''}`;

/**
 * `broken`: not as declared. `open`: nothing is declared, but a sandbox's wall is expected to be
 * closed (not in a row without isolation). `gap`: could not be determined.
 */
export type WallKind = 'broken' | 'open' | 'gap';

export interface WallNote {
  kind: WallKind;
  wall: string;
  entries: string[];
  declared: Wall['declared'];
  observed: Wall['observed'];
  /** Evidence from the first of these rows. */
  evidence: string;
  /** True if the other rows have exactly the same evidence. */
  agreed: boolean;
}

const KINDS: WallKind[] = ['broken', 'open', 'gap'];

/**
 * What a reader should look at, walls that are not as declared first: one line per wall, with all
 * rows it applies to.
 */
export function wallNotes(document: ProbeDocument): WallNote[] {
  const { modes, walls } = document;
  const order = wallsTable(document).walls;
  const single = modes.flatMap(({ entry, isolation }) =>
    (walls[entry] ?? []).flatMap((wall) => {
      const kind = kindOf(wall, isolation === 'none');
      return kind === undefined ? [] : [{ kind, entry, one: wall }];
    }),
  );
  const notes = alike(single, ({ kind, one: wall }) => [
    kind,
    wall.wall,
    wall.declared,
    wall.observed,
  ]).map((same): WallNote => {
    const [{ kind, one: wall }] = same;
    return {
      kind,
      wall: wall.wall,
      entries: same.map(({ entry }) => entry),
      declared: wall.declared,
      observed: wall.observed,
      evidence: wall.evidence,
      agreed: same.every((other) => other.one.evidence === wall.evidence),
    };
  });
  return notes.sort(
    (a, b) =>
      KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
      order.indexOf(a.wall) - order.indexOf(b.wall),
  );
}

function kindOf(wall: Wall, isOpenByNature: boolean): WallKind | undefined {
  if (isBroken(wall)) return 'broken';
  if (wall.observed === 'gap') return 'gap';
  return wall.observed === 'open' && wall.declared === undefined && !isOpenByNature
    ? 'open'
    : undefined;
}
