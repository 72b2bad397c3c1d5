// Waiting for the other side to see something, within a bound.
import { monotonic } from '../../clock.js';
import type { Finding } from './grid.js';

/** A look that begins this much later than the change, in ms, and does not see it: stale, once another one does. */
export const STALE_MS = 100;

/** How often one looks, in ms. */
const EVERY_MS = 2;

/** Looks until there is an answer. A look is always the last thing: a loop that stalled is not taken for an answer that did not come. */
export async function until<T>(look: () => T | undefined, boundMs: number): Promise<T | undefined> {
  const endMs = monotonic() + boundMs;
  for (;;) {
    const late = monotonic() >= endMs;
    const found = look();
    if (found !== undefined || late) return found;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** Looks at one change. A look that sees it may take long, on a busy machine: only looks in vain make the change stale. */
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

/** A finding of something that did not come as it was made in the time that it was given. */
export function unseen(finding: Finding, boundMs: number): Finding {
  const after = `${finding.verdict === 'lost' ? 'not within' : 'still so after'} ${boundMs / 1000} s`;
  return { ...finding, detail: `${finding.detail}; ${after}` };
}
