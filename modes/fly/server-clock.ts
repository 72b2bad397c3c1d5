// How far a server's clock is from ours, as the Date headers of its answers tell it: each narrows it down a little more.
import { monotonic } from '../../lib/clock.js';

/** A Date header leaves out what is past the full second. */
const STEP_MS = 1000;

export interface ServerClock {
  /** @param date the header @param sentMs and @param receivedMs on the clock of `lib/clock.ts` */
  heard(date: string | null, sentMs: number, receivedMs: number): void;
  /** How far the server's clock is ahead of this machine's, and how exactly that is known; undefined before anything was heard. */
  ahead(): { ms: number; withinMs: number } | undefined;
  /** The latest moment, on the clock of `lib/clock.ts`, that one of the server's stamps (ms since 1970) can mean. */
  latest(stampMs: number): number | undefined;
}

export function createServerClock(wallMs: () => number = Date.now, clock = monotonic): ServerClock {
  /** Server's time less ours lies between these. */
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  return {
    heard(date, sentMs, receivedMs) {
      const toldMs = Date.parse(date ?? '');
      if (Number.isNaN(toldMs)) return;
      const [low, high] = [toldMs - receivedMs, toldMs + STEP_MS - sentMs];
      // What contradicts all before is a clock that was set anew.
      const anew = low > most || high < least;
      least = anew ? low : Math.max(least, low);
      most = anew ? high : Math.min(most, high);
    },
    ahead() {
      if (!Number.isFinite(least)) return undefined;
      return { ms: (least + most) / 2 - (wallMs() - clock()), withinMs: (most - least) / 2 };
    },
    latest: (stampMs) => (Number.isFinite(least) ? stampMs - least : undefined),
  };
}

/** A few words that stay the same while the clocks do. */
export function describeSkew(clock: ServerClock): string | undefined {
  const ahead = clock.ahead();
  if (ahead === undefined) return undefined;
  const beyond = Math.abs(ahead.ms) - ahead.withinMs;
  if (beyond < STEP_MS) return "as this machine's, to the second";
  return `${Math.round(Math.abs(ahead.ms) / STEP_MS)} s ${ahead.ms > 0 ? 'ahead of' : 'behind'} this machine's`;
}
