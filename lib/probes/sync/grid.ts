// The cells of the truth table, and the ledger that reports each exactly once: cells that were not
// reached are reported as gaps.
import { messageOf } from '../../errors.js';
import type { Direction, SyncCell } from '../../record/probe.js';
import { BOTH } from '../guest/sync-both.mjs';
import { KINDS } from '../guest/sync-kinds.mjs';

export interface Pair {
  cell: string;
  direction: Direction;
}

/** The result for one pair. */
export type Finding = Omit<SyncCell, 'cell' | 'direction'>;

/**
 * Shapes that the host's git creates before launch. `git`: the workspace itself is a repository.
 */
export const SHAPES = [
  { shape: 'shape-plain', git: false },
  { shape: 'shape-git-dirty', git: true },
  { shape: 'shape-worktree', git: true },
  { shape: 'shape-submodule', git: true },
  { shape: 'shape-nested-git', git: true },
  { shape: 'shape-shallow', git: true },
];

export const BULK = { many: 'many-files', big: 'big-file' };

const AS_CREATE = 'nobody inside has seen it before launch: there it is the same as create';
const EVENTS = 'events are of what happens while the sandbox runs';
const GUEST_DIES = 'it is a process inside that is killed';

/** Combinations that do not apply, with the reason. */
const SENSELESS: Record<string, Partial<Record<Direction, string>>> = {
  modify: { in: AS_CREATE },
  append: { in: AS_CREATE },
  delete: { in: AS_CREATE },
  rename: { in: AS_CREATE },
  'replace-by-rename': { in: AS_CREATE },
  watch: { in: EVENTS, out: EVENTS },
  'fsync-kill': { in: GUEST_DIES, 'in-live': GUEST_DIES },
};

const ONE_WAY: Direction[] = ['in', 'in-live', 'out-live', 'out'];

/**
 * Every cell of a row's table. Bulk and shapes are tried when the whole workspace goes in or out;
 * `both` applies to single files.
 */
export const GRID: (Pair & { senseless?: string })[] = [
  ...KINDS.flatMap(({ cell }) =>
    ONE_WAY.map((direction) => {
      const senseless = SENSELESS[cell]?.[direction];
      return { cell, direction, ...(senseless === undefined ? {} : { senseless }) };
    }),
  ),
  ...[...Object.values(BULK), ...SHAPES.map(({ shape }) => shape)].flatMap((cell) =>
    (['in', 'out'] as const).map((direction) => ({ cell, direction })),
  ),
  ...Object.keys(BOTH).map((cell) => ({ cell, direction: 'both' as const })),
];

/** The kinds of change that are tried in a direction. */
export function kindsOf(direction: Direction) {
  return KINDS.filter(({ cell }) => SENSELESS[cell]?.[direction] === undefined);
}

/**
 * Reports every cell of the grid once. An abandoned sandbox may go on for a while; its later
 * findings are ignored.
 */
export function openLedger(tell: (cell: SyncCell) => void) {
  const open = new Map(GRID.map((pair) => [key(pair), pair]));
  const say = (pair: Pair, { verdict, latencyMs, detail }: Finding) => {
    if (!open.delete(key(pair))) return;
    tell({
      cell: pair.cell,
      direction: pair.direction,
      verdict,
      ...(latencyMs === undefined ? {} : { latencyMs: Math.round(latencyMs * 100) / 100 }),
      ...(detail === undefined ? {} : { detail: detail.slice(0, 500) }),
    });
  };
  for (const pair of GRID)
    if (pair.senseless !== undefined)
      say(pair, { verdict: 'not-applicable', detail: pair.senseless });
  return {
    say,
    /** Reports the remaining cells, or those selected by `of`, as gaps. */
    close(why: unknown, matches: (pair: Pair) => boolean = () => true) {
      for (const pair of [...open.values()].filter(matches))
        say(pair, { verdict: 'gap', detail: messageOf(why) || 'it broke off without a word' });
    },
  };
}
export type Ledger = ReturnType<typeof openLedger>;

function key({ cell, direction }: Pair): string {
  return `${direction} ${cell}`;
}
