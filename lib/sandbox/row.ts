// A row: one mode or variant of it, with its settings, as it is run.
import { createHash } from 'node:crypto';
import type { AuthPath, Facts, Mode } from '../contract.js';
import type { Entry } from '../record/types.js';

export interface PlannedEntry extends Entry {
  deliver: AuthPath;
  /** That way was asked for: a credential may leave this machine by it. */
  deliverAsked?: boolean;
  adapter: Mode;
  facts: Facts;
}

/** A name that every runtime accepts: letters, digits and dashes, at most 63 long, a letter first; and two for the verifier's (`-v`). */
export function sandboxName(matchId: string, entry: PlannedEntry, turn: string): string {
  const tail = turn.replace(/[^a-z0-9]+/g, '-');
  const clean = entry.entry.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  const room = 61 - `cagematch-${matchId}--${tail}`.length;
  // What was replaced or is cut off is what tells names apart: docker@a is not docker-a.
  const whole = clean === entry.entry && clean.length <= room;
  const short = () => `${clean.slice(0, room - 7)}-${createHash('sha256').update(entry.entry).digest('hex').slice(0, 6)}`;
  return `cagematch-${matchId}-${whole ? clean : short()}-${tail}`;
}
