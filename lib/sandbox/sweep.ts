// The final cleanup of a match: removes whatever still carries its label.
import type { Context } from '../contract.js';
import { messageOf } from '../errors.js';
import type { RowEvent } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import type { PlannedRow } from './row.js';

/**
 * Removes what an interrupted launch may have left behind. Never throws; records what was removed,
 * or why that failed.
 */
export async function sweep(
  begun: readonly { entry: PlannedRow; ctx: Context }[],
  matchId: string,
  record: Pick<Recorder<RowEvent>, 'emit'>,
): Promise<void> {
  for (const { entry, ctx } of begun) {
    const calm: Context = { ...ctx, signal: new AbortController().signal };
    try {
      for (const listed of await entry.adapter.list(calm)) {
        if (listed.labels.match !== matchId) continue;
        const message = `${entry.entry}: removed ${listed.kind} ${listed.id}, which its run had left`;
        record.emit({ type: 'warning', code: 'swept', message });
        await entry.adapter.reap(calm, listed);
      }
    } catch (error) {
      record.emit({
        type: 'warning',
        code: 'unswept',
        message: `${entry.entry}: ${messageOf(error)}`,
      });
    }
  }
}
