// The id of a match or a probe, which is also the name of its folder.
import { randomBytes } from 'node:crypto';

/**
 * `20261121-031502-4f2a`: sorts by time, with a random suffix to distinguish ids from the same
 * second.
 */
export function newMatchId(now: Date = new Date()): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${randomBytes(2).toString('hex')}`;
}
