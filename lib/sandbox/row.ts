// A row: one mode, or a variant of it, with the settings it runs with.
import { createHash } from 'node:crypto';
import type { AuthPath, Mode } from '../contract.js';
import type { Entry } from '../record/types.js';

export interface PlannedRow extends Entry {
  deliver: AuthPath;
  /** The user asked for that delivery, so a credential may leave this machine that way. */
  deliverAsked?: boolean;
  adapter: Mode;
  /** What the mode's detection returned for itself. */
  runtimeState: unknown;
}

/**
 * A name that every runtime accepts: letters, digits and dashes, a letter first, at most 63 long
 * with the verifier's suffix (`-v`).
 */
export function sandboxName(matchId: string, entry: PlannedRow, turn: string): string {
  const tail = turn.replace(/[^a-z0-9]+/g, '-');
  const clean = entry.entry.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  const room = 61 - `cagematch-${matchId}--${tail}`.length;
  // Names may differ only in characters that were replaced or cut off, so a hash is appended:
  // docker@a is not docker-a.
  const whole = clean === entry.entry && clean.length <= room;
  const short = () =>
    `${clean.slice(0, room - 7)}-${createHash('sha256').update(entry.entry).digest('hex').slice(0, 6)}`;
  return `cagematch-${matchId}-${whole ? clean : short()}-${tail}`;
}
