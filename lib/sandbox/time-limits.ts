// Time limits for operations of a runtime: a run's own limit, the user's Ctrl-C, and a limit for a
// single call.
import { setTimeout as pause } from 'node:timers/promises';
import { CagematchError } from '../errors.js';
import type { Outcome } from '../record/types.js';
import { blamed, INTERRUPTED } from './failure.js';

/** How long a step that was cut short may take to end by itself. */
export const GRACE_MS = 5000;
/** How long a runtime may take to remove a sandbox before it counts as left over. */
export const DESTROY_MS = 30_000;

export type Stopper = ReturnType<typeof stopper>;

/** Lets the user or the time limit cut a run short. */
export function stopper(signal: AbortSignal, timeoutMs: number) {
  let why: Outcome | undefined;
  let cut: (reason: Outcome) => void = () => {};
  const cutShort = new Promise<never>((_, reject) => {
    cut = (reason) => {
      why ??= reason;
      reject(new Error('cut short'));
    };
  });
  cutShort.catch(() => {});
  const interrupted = () => cut(INTERRUPTED);
  if (signal.aborted) interrupted();
  signal.addEventListener('abort', interrupted, { once: true });
  const timer = setTimeout(
    () => cut(blamed('timeout', `no end within ${timeoutMs / 1000} s`, '--timeout S')),
    timeoutMs,
  );
  return {
    /** @throws what `work` throws, or that it was cut short */
    race<T>(work: Promise<T>): Promise<T> {
      work.catch(() => {});
      return Promise.race([work, cutShort]);
    },
    reason: () => why,
    clear() {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupted);
    },
  };
}

/** @throws `destroy-failed` when the time limit is exceeded; the work itself continues */
export function within<T>(work: Promise<T>, boundMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new CagematchError(
            'destroy-failed',
            `the runtime did not answer within ${boundMs / 1000} s`,
          ),
        ),
      boundMs,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * A mode that hangs must not keep the user from exiting, but a mode that does not hang should be
 * allowed to finish, so that what it created can be undone.
 * @param undo called with a result that arrives after the abort
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  undo?: (result: T) => Promise<void>,
): Promise<T> {
  let stop: () => void = () => {};
  const aborted = new Promise<'aborted'>((resolve) => {
    stop = () => resolve('aborted');
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    const first = await Promise.race([work.then((result) => ({ result })), aborted]);
    if (first !== 'aborted') return first.result;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const late = await Promise.race([
    work.then((result) => ({ result })).catch(() => undefined),
    pause(GRACE_MS, undefined, { ref: false }),
  ]);
  if (late && undo) await undo(late.result);
  throw signal.reason;
}
