// Rows that waited on the model for different times: in a replay the sandbox's network is the
// cause, live it is the API.
import { isGap } from '../record/types.js';
import { duration, nameOf } from './cells.js';
import type { ModeReport } from './document.js';

/**
 * A difference of at least this much, and of at least this share of a whole run, is worth a
 * warning.
 */
const NOTABLE = { ms: 10, share: 0.02 };

export function modelWarnings(
  modes: readonly ModeReport[],
  model: 'replay' | 'live',
): { code: string; message: string }[] {
  const known = modes.flatMap((mode) => {
    const { model: asked, total } = mode.phasesMs;
    if (asked === undefined || isGap(asked) || total === undefined || isGap(total)) return [];
    return [{ name: nameOf(mode), task: mode.task, ms: asked.median, totalMs: total.median }];
  });
  const tasks = [...new Set(known.map(({ task }) => task))];
  return tasks.flatMap((task) => {
    const rows = known.filter((row) => row.task === task).sort((a, b) => a.ms - b.ms);
    const [least, most] = [rows[0], rows.at(-1)];
    if (!least || !most) return [];
    const apart = most.ms - least.ms;
    if (apart < NOTABLE.ms || apart < NOTABLE.share * most.totalMs) return [];
    const what =
      model === 'replay'
        ? 'in a replay it is the way there and back, and counts as the row’s'
        : 'it is taken out of overhead and work';
    const message = `rows waited on the model for different times, from ${duration(least.ms)} (${least.name}) to ${duration(most.ms)} (${most.name}); ${what}`;
    return [{ code: 'model-time-differs', message }];
  });
}
