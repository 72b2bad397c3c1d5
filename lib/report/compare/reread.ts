// Reads a report saved as JSON back into the data it was made from.
import { eventSchema } from '../../record/types.js';
import { reportSchema } from '../document.js';
import { createTally, type Tally } from '../tally.js';
import type { Side } from './compare.js';

/** @throws if the text is not a report of this version */
export function sideOfReport(text: string): Side {
  const parsed: unknown = JSON.parse(text);
  const read = reportSchema.safeParse(parsed);
  if (!read.success)
    throw new Error(
      `no report of this version: ${read.error.issues[0]?.path.join('.')}: ${read.error.issues[0]?.message}`,
    );
  const tallies = new Map<string, Tally>();
  for (const run of read.data.runs) {
    const event = eventSchema.parse({ ...run, type: 'run-ended', atMs: 0 });
    if (event.type !== 'run-ended') continue;
    const tally = tallies.get(event.entry) ?? createTally(read.data.match.model);
    tallies.set(event.entry, tally);
    tally.add(event);
  }
  return { report: read.data, tallyOf: (entry) => tallies.get(entry) };
}
