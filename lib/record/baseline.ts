// Chooses the baseline: the row that the others of a match are compared with.
import type { Entry } from './types.js';

/**
 * The row without isolation. A live match leaves that row out unless it is requested, and then
 * falls back to an OS sandbox. A stand-in is chosen only if all rows are stand-ins, since a ratio
 * to a stand-in's numbers means nothing.
 */
export function baselineOf<Row extends Pick<Entry, 'standIn' | 'isolation'>>(
  entries: readonly Row[],
  model: 'replay' | 'live',
): Row | undefined {
  const order = model === 'live' ? ['none', 'os-sandbox'] : ['none'];
  const real = entries.filter(({ standIn }) => !standIn);
  const among = real.length > 0 ? real : entries;
  return order.flatMap((isolation) => among.filter((entry) => entry.isolation === isolation))[0];
}

/**
 * The baseline among the rows with the same task and the same state as this one, since other rows
 * are not comparable with it.
 */
export function baselineFor<Row extends Pick<Entry, 'standIn' | 'isolation' | 'task' | 'state'>>(
  own: Pick<Entry, 'task' | 'state'>,
  entries: readonly Row[],
  model: 'replay' | 'live',
): Row | undefined {
  const like = entries.filter(({ task, state }) => task === own.task && state === own.state);
  return baselineOf(like, model);
}
