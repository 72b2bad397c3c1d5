// What ended matches have left in the runtimes of this match: told before its first run, for it takes memory and disk beside them.
import type { Context, Listed, Mode } from '../contract.js';
import { ownerDead } from '../os/owner.js';
import type { RowEvent } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import { entryName } from './registry.js';
import { within } from './time-limits.js';

const ASK_MS = 5000;
/** So many are named; of the others there is only the number. */
const NAMED = 3;

/** Has the match that made it ended? What bears no owner was left by one: every running match labels what it makes. */
function isOrphan({ labels }: Listed): boolean {
  return labels.owner === undefined || ownerDead(labels.owner);
}

/** Asks every runtime once, all at the same time. Never throws: what cannot be asked shows when its row is prepared. */
export async function warnOfOrphans(
  rows: readonly { mode: Mode; ctx: Context }[],
  record: Pick<Recorder<RowEvent>, 'emit'>,
): Promise<void> {
  const told = new Set<string>();
  // A variant can have a store of its own.
  const stores = [...new Map(rows.map((row) => [entryName(row.mode.id, row.ctx.variant), row])).values()];
  const found = await Promise.all(
    stores.map(async ({ mode, ctx }) => ({ mode, left: (await within(mode.list(ctx), ASK_MS).catch(() => [])).filter(isOrphan) })),
  );
  for (const { mode, left } of found) {
    const ids = left.map(({ kind, id }) => `${kind} ${id}`).filter((id) => !told.has(`${mode.id} ${id}`));
    if (ids.length === 0) continue;
    for (const id of ids) told.add(`${mode.id} ${id}`);
    const named = [...ids.slice(0, NAMED), ...(ids.length > NAMED ? [`${ids.length - NAMED} more`] : [])].join(', ');
    const message = `${mode.id}: ended matches have left ${named}; npx cagematch clean ${mode.id} removes what is left`;
    record.emit({ type: 'warning', code: 'orphans', message });
  }
}
