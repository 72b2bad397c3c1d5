// Turns a failure into an outcome: the error that was thrown, and the cause that its kind is
// attributed to.
import { CagematchError, type ErrorCode, messageOf } from '../errors.js';
import type { Outcome } from '../record/types.js';

export type Cause = Extract<Outcome, { status: 'failed' }>['cause'];

const BLAME: Record<ErrorCode, Cause> = {
  'launch-failed': 'sandbox',
  'destroy-failed': 'sandbox',
  'collect-failed': 'sync',
  'image-unavailable': 'image',
  'not-ready': 'sandbox',
  'bad-input': 'harness',
  'port-taken': 'harness',
  'record-failed': 'harness',
};

export function blamed(cause: Cause, message: string, hint?: string): Outcome {
  return { status: 'failed', cause, message, ...(hint === undefined ? {} : { hint }) };
}

export const INTERRUPTED = blamed('interrupted', 'interrupted by the user');

/** A thrown error as an outcome; an unexpected error is attributed to the harness. */
export function failureOf(error: unknown): Outcome {
  if (!(error instanceof CagematchError)) return blamed('harness', messageOf(error));
  return blamed(BLAME[error.code], messageOf(error), error.hint);
}
