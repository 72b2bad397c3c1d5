// Warns of orphans that ended matches have left in the runtimes of this match, before its first
// run, since they use memory and disk.
import type { Context, Listed, Mode } from '../contract.js';
import { ownerDead } from '../os/owner.js';
import type { RowEvent } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import { entryName } from './registry.js';
import { within } from './time-limits.js';

const ASK_MS = 5000;
/** How many orphans are named; the others are only counted. */
const NAMED = 3;

/** Whether a session keeps what carries its label. */
export type KnowsSession = (session: string) => boolean;

/** Where no session has been recorded, none keeps anything. */
export const NO_SESSIONS: KnowsSession = () => false;

/**
 * True if the harness that created it has ended and no session keeps it. Every harness sets an
 * owner label, so one that is missing means that the harness has ended.
 */
export function isOrphan({ labels }: Pick<Listed, 'labels'>, knowsSession: KnowsSession): boolean {
  if (labels.session !== undefined && knowsSession(labels.session)) return false;
  return labels.owner === undefined || ownerDead(labels.owner);
}

/**
 * Queries every runtime once, all concurrently. Never throws: a runtime that cannot be queried
 * fails when its row is prepared.
 */
export async function warnOfOrphans(
  rows: readonly { mode: Mode; ctx: Context }[],
  record: Pick<Recorder<RowEvent>, 'emit'>,
  knowsSession: KnowsSession = NO_SESSIONS,
): Promise<void> {
  const reported = new Set<string>();
  // Each variant is queried, since it can have a store of its own.
  const stores = [
    ...new Map(rows.map((row) => [entryName(row.mode.id, row.ctx.variant), row])).values(),
  ];
  const found = await Promise.all(
    stores.map(async ({ mode, ctx }) => ({
      mode,
      left: (await within(mode.list(ctx), ASK_MS).catch(() => [])).filter((listed) =>
        isOrphan(listed, knowsSession),
      ),
    })),
  );
  for (const { mode, left } of found) {
    const ids = left
      .map(({ kind, id }) => `${kind} ${id}`)
      .filter((id) => !reported.has(`${mode.id} ${id}`));
    if (ids.length === 0) continue;
    for (const id of ids) reported.add(`${mode.id} ${id}`);
    const named = [
      ...ids.slice(0, NAMED),
      ...(ids.length > NAMED ? [`${ids.length - NAMED} more`] : []),
    ].join(', ');
    const message = `${mode.id}: ended matches have left ${named}; npx cagematch clean ${mode.id} removes what is left`;
    record.emit({ type: 'warning', code: 'orphans', message });
  }
}
