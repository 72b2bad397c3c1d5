// Which row the others of a match are compared with.
import type { Entry } from './types.js';

/**
 * No isolation; a live match, which leaves that out unless it is asked for, takes the least there is. Never a stand-in, as long as
 * there is a row that is none: its ratio would be to a number that means nothing.
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

/** The same among the rows that do what this one does: another task, or a sandbox that idles, has nothing in common with it. */
export function baselineFor<Row extends Pick<Entry, 'standIn' | 'isolation' | 'task' | 'state'>>(
  own: Pick<Entry, 'task' | 'state'>,
  entries: readonly Row[],
  model: 'replay' | 'live',
): Row | undefined {
  const like = entries.filter(({ task, state }) => task === own.task && state === own.state);
  return baselineOf(like, model);
}
