// Computes a run's clocks from its moments. Pure.
import { roundMs } from '../clock.js';
import type { Clocks, Ms, State } from '../record/types.js';

/** Moments on the match's clock, in ms; absent if never seen. */
export interface Moments {
  /** Set only in a run that removes and rebuilds the image. */
  imageCalled?: number;
  imageMade?: number;
  /** For an idle sandbox: when `exec` was called. */
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
  /** Not a moment but a duration: the total time in which requests were in progress. */
  modelMs?: number;
}

/**
 * A clock that does not exist in the run's state is `not-applicable`; one that exists but was not
 * reached is `not-reached`.
 */
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
  // The two moments may come through different pipes, and a line can arrive before the event that
  // caused it. The difference is then negative.
  return roundMs(to - from);
}

/**
 * A container that removes itself may be gone before `destroy` is called. Its teardown then took no
 * time of its own, and is a gap rather than 0.
 */
function teardownOf(at: Moments): Ms {
  const early =
    at.gone !== undefined && at.destroyCalled !== undefined && at.gone < at.destroyCalled;
  return early ? { gap: 'in-exit' } : between(at.destroyCalled, at.gone);
}
