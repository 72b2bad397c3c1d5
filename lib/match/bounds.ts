// Bounds in time for what a runtime does: a run's own, the user's Ctrl-C, and a limit for a single answer.
import { CagematchError } from '../errors.js';
import type { Outcome } from '../record.js';
import { blamed } from './blame.js';

/** Lets a run be cut short by the user or by its bound. */
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
  const interrupted = () => cut(blamed('interrupted', 'interrupted by the user'));
  if (signal.aborted) interrupted();
  signal.addEventListener('abort', interrupted, { once: true });
  const timer = setTimeout(() => cut(blamed('timeout', `no end within ${timeoutMs / 1000} s`, '--timeout S')), timeoutMs);
  return {
    /** `otherwise` is awaited before the cut is passed on. */
    async race<T>(work: Promise<T>, otherwise: () => Promise<void>): Promise<T> {
      work.catch(() => {});
      try {
        return await Promise.race([work, cutShort]);
      } catch (error) {
        if (why) await otherwise();
        throw error;
      }
    },
    reason: () => why,
    clear() {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupted);
    },
  };
}

/** @throws `destroy-failed` when the bound is over; the work itself goes on */
export function within<T>(work: Promise<T>, boundMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CagematchError('destroy-failed', `the runtime did not answer within ${boundMs / 1000} s`)),
      boundMs,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
