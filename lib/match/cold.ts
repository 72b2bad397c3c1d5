// The image of a cold run: removed without timing it, then rebuilt under the clock.
import { monotonic, roundMs } from '../clock.js';
import { CagematchError } from '../errors.js';
import type { Outcome } from '../record/types.js';
import { blamed, failureOf, INTERRUPTED } from '../sandbox/failure.js';
import { unlessAborted } from '../sandbox/time-limits.js';
import type { Moments } from './measure.js';
import type { RunRequest } from './run-settings.js';

/**
 * Removes and rebuilds the image. A mode that cannot evict an image gets no `image` clock either.
 * Never throws.
 * @returns the failure, if there is no image afterwards
 */
export async function imageAnew(
  settings: Pick<RunRequest, 'mode' | 'ctx' | 'signal' | 'clock' | 'onImage'>,
  at: Moments,
): Promise<Outcome | undefined> {
  const { mode, ctx, signal } = settings;
  const clock = settings.clock ?? monotonic;
  try {
    if (signal.aborted) return INTERRUPTED;
    if (!mode.evict) {
      await unlessAborted(mode.prepare(ctx), signal);
      return undefined;
    }
    // Set already before `evict`, so that a failure from here on makes the `image` clock
    // `not-reached` rather than `not-applicable`.
    at.imageCalled = clock();
    await unlessAborted(mode.evict(ctx), signal);
    at.imageCalled = clock();
    const made = await unlessAborted(mode.prepare(ctx, { rebuild: true }), signal);
    at.imageMade = clock();
    settings.onImage?.({ imageMs: roundMs(at.imageMade - at.imageCalled), ...made });
    return undefined;
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    // Whatever went wrong, the result is a missing image.
    return error instanceof CagematchError
      ? blamed('image', error.message, error.hint)
      : failureOf(error);
  }
}
