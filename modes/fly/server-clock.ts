// The offset between a server's clock and ours, estimated from the Date headers of its responses:
// each narrows it down further.
import { monotonic } from '../../lib/clock.js';

/** A Date header has a resolution of one second. */
const STEP_MS = 1000;

export interface ServerClock {
  /** @param date the header @param sentMs and @param receivedMs on the clock of `lib/clock.ts` */
  observe(date: string | null, sentMs: number, receivedMs: number): void;
  /**
   * How far the server's clock is ahead of this machine's, and the uncertainty of that value;
   * undefined before the first response.
   */
  ahead(): { ms: number; withinMs: number } | undefined;
  /**
   * The latest moment, on the clock of `lib/clock.ts`, that a timestamp of the server (ms since
   * 1970) can mean.
   */
  latest(stampMs: number): number | undefined;
}

export function createServerClock(wallMs: () => number = Date.now, clock = monotonic): ServerClock {
  /** The server's time minus ours is between `least` and `most`. */
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  return {
    observe(date, sentMs, receivedMs) {
      const serverMs = Date.parse(date ?? '');
      if (Number.isNaN(serverMs)) return;
      const [low, high] = [serverMs - receivedMs, serverMs + STEP_MS - sentMs];
      // A value that contradicts all earlier ones means that a clock was set.
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

/** A short description that stays the same as long as the offset does. */
export function describeSkew(clock: ServerClock): string | undefined {
  const ahead = clock.ahead();
  if (ahead === undefined) return undefined;
  const beyond = Math.abs(ahead.ms) - ahead.withinMs;
  if (beyond < STEP_MS) return "as this machine's, to the second";
  return `${Math.round(Math.abs(ahead.ms) / STEP_MS)} s ${ahead.ms > 0 ? 'ahead of' : 'behind'} this machine's`;
}
