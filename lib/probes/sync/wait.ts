// Waits for the other side to see something, within a time limit.
import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from '../../clock.js';
import type { Finding } from './grid.js';

/**
 * If a look that begins this many ms after the change misses it and a later one sees it, the change
 * is stale.
 */
export const STALE_MS = 100;

/** Interval between looks, in ms. */
const EVERY_MS = 2;

/**
 * Polls until there is a result. Always looks once more at the end, so that a stalled event loop
 * does not count as a missing result.
 */
export async function until<T>(look: () => T | undefined, boundMs: number): Promise<T | undefined> {
  const endMs = monotonic() + boundMs;
  for (;;) {
    const late = monotonic() >= endMs;
    const found = look();
    if (found !== undefined || late) return found;
    await pause(EVERY_MS);
  }
}

/**
 * Polls for one change. On a busy machine a successful look may take long, so only unsuccessful
 * looks make the change stale.
 */
export function lookingFor(sees: () => boolean, changedAtMs: number) {
  let vainMs: number | undefined;
  return {
    /** @returns when the change was seen */
    again(): number | undefined {
      const beganMs = monotonic();
      if (sees()) return monotonic();
      vainMs = beganMs;
      return undefined;
    },
    isStale: () => vainMs !== undefined && vainMs - changedAtMs > STALE_MS,
  };
}

export function stale(ms: number): string {
  return `not there at first, but ${Math.round(ms)} ms later`;
}

/** Adds to a finding that the change did not arrive as it was made within the time limit. */
export function unseen(finding: Finding, boundMs: number): Finding {
  const after = `${finding.verdict === 'lost' ? 'not within' : 'still so after'} ${boundMs / 1000} s`;
  return { ...finding, detail: `${finding.detail}; ${after}` };
}
