// The image of a cold run: taken away untimed, then made again under the clock.
import { monotonic, roundMs } from '../clock.js';
import { CagematchError } from '../errors.js';
import type { Outcome } from '../record/types.js';
import { blamed, failureOf, INTERRUPTED } from '../sandbox/failure.js';
import { unlessAborted } from '../sandbox/time-limits.js';
import type { Moments } from './measure.js';
import type { RunSettings } from './run-settings.js';

/**
 * A mode that has no image to take away has no image clock either. Never throws.
 * @returns why there is no image, where there is none
 */
export async function imageAnew(
  settings: Pick<RunSettings, 'mode' | 'ctx' | 'signal' | 'clock' | 'onImage'>,
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
    // What fails from here on did not come to its end; that is not the same as not having one.
    at.imageCalled = clock();
    await unlessAborted(mode.evict(ctx), signal);
    at.imageCalled = clock();
    const made = await unlessAborted(mode.prepare(ctx, { rebuild: true }), signal);
    at.imageMade = clock();
    settings.onImage?.({ imageMs: roundMs(at.imageMade - at.imageCalled), ...made });
    return undefined;
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    // Whatever went wrong with it, it is the image that is missing.
    return error instanceof CagematchError ? blamed('image', error.message, error.hint) : failureOf(error);
  }
}
