// From the moments of a run to its clocks. Pure.
import { roundMs } from '../clock.js';
import type { Clocks, Ms, State } from '../record/types.js';

/** Moments on the match's clock, in ms; absent: never seen. */
export interface Moments {
  /** Only where the image was absent. */
  imageCalled?: number;
  imageMade?: number;
  /** Of a sandbox that idles: when `exec` was called. */
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

/** What a run in its state does not have is not applicable; what it has and did not come to is not reached. */
export function measure(at: Moments, state: State): Clocks {
  const never = { gap: 'not-applicable' } as const;
  const warm = state === 'warm';
  return {
    image: at.imageCalled === undefined ? never : between(at.imageCalled, at.imageMade),
    launch: warm ? never : between(at.launchCalled, at.running),
    firstProcess: between(at.launchCalled, at.firstProcess),
    startup: between(at.launchCalled, at.firstRequest),
    work: between(at.firstRequest, at.result),
    model: at.modelMs === undefined ? { gap: 'not-reached' } : roundMs(at.modelMs),
    exit: between(at.result, at.ended),
    collect: between(at.collectCalled, at.collected),
    teardown: warm ? never : teardownOf(at),
    total: between(at.launchCalled, warm ? at.collected : at.gone),
  };
}

function between(from: number | undefined, to: number | undefined): Ms {
  if (from === undefined || to === undefined) return { gap: 'not-reached' };
  // The two moments may be seen through different pipes: a line can arrive before the event that caused it. Then it is below zero.
  return roundMs(to - from);
}

/** A container that removes itself was gone before its removal was asked for: that took no time, and is not measured as none. */
function teardownOf(at: Moments): Ms {
  const early = at.gone !== undefined && at.destroyCalled !== undefined && at.gone < at.destroyCalled;
  return early ? { gap: 'in-exit' } : between(at.destroyCalled, at.gone);
}
