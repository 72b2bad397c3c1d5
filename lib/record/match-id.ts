// The name of a match or a probe, and of its folder.
import { randomBytes } from 'node:crypto';

/** `20261121-031502-4f2a`: sorts by time, and tells two of one second apart. */
export function newMatchId(now: Date = new Date()): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${randomBytes(2).toString('hex')}`;
}
