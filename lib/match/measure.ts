// From the moments of a run to its clocks. Pure.
import { roundMs } from '../clock.js';
import type { Clocks, Ms } from '../record.js';

/** Moments on the match's clock, in ms; absent: never seen. */
export interface Moments {
  launchCalled?: number;
  running?: number;
  firstProcess?: number;
  firstRequest?: number;
  result?: number;
  ended?: number;
  collectCalled?: number;
  collected?: number;
  destroyCalled?: number;
  gone?: number;
  /** Not a moment: how long requests were under way, in sum. */
  modelMs?: number;
}

export function measure(at: Moments): Clocks {
  return {
    image: { gap: 'not-applicable' },
    launch: between(at.launchCalled, at.running),
    firstProcess: between(at.launchCalled, at.firstProcess),
    startup: between(at.launchCalled, at.firstRequest),
    work: between(at.firstRequest, at.result),
    model: at.modelMs === undefined ? { gap: 'not-reached' } : roundMs(at.modelMs),
    exit: between(at.result, at.ended),
    collect: between(at.collectCalled, at.collected),
    teardown: between(at.destroyCalled, at.gone),
    total: between(at.launchCalled, at.gone),
  };
}

function between(from: number | undefined, to: number | undefined): Ms {
  if (from === undefined || to === undefined) return { gap: 'not-reached' };
  // The two moments may be seen through different pipes: a line can arrive before the event that caused it.
  return roundMs(Math.max(0, to - from));
}
