// Assigns the cause of a failure.
import { statfsSync } from 'node:fs';
import type { Tap } from '../model/gateway.js';
import type { Outcome } from '../record/types.js';
import { blamed, type Cause } from '../sandbox/failure.js';

/**
 * Finds the cause of a run that hit its time limit: the runtime if it was still launching, the file
 * sync if it was still collecting, or the model if it answered with errors or took more than half
 * of the time. Otherwise the cause is unknown and stays `timeout`.
 * @param cut the outcome as reported by the time limit
 */
export function atBound(
  cut: Outcome,
  run: { phase: 'launch' | 'work' | 'collect'; tap: Tap; boundMs: number; nowMs: number },
): Outcome {
  if (cut.status === 'passed' || cut.cause !== 'timeout') return cut;
  const { phase, tap, boundMs, nowMs } = run;
  if (phase === 'launch')
    return blamed('sandbox', `${cut.message}: the runtime had not launched it`, cut.hint);
  if (phase === 'collect')
    return blamed('sync', `${cut.message}: the workspace was not back`, cut.hint);
  if (tap.trouble) return troubled(cut.message, tap.trouble, cut.hint);
  const waitedMs =
    tap.modelMs + (tap.waitingSinceMs === undefined ? 0 : nowMs - tap.waitingSinceMs);
  if (waitedMs <= boundMs / 2) return cut;
  return blamed(
    'model',
    `${cut.message}: the agent waited for the model for ${(waitedMs / 1000).toFixed(1)} s of it`,
    cut.hint,
  );
}

/**
 * An agent that gave up because the model only returned errors did not itself fail. Where the model
 * is the cause, the message includes its last answer.
 */
export function unlessModel(failure: Outcome | undefined, { trouble }: Tap): Outcome | undefined {
  if (failure?.status !== 'failed' || !['agent', 'model'].includes(failure.cause) || !trouble)
    return failure;
  if (
    failure.cause === 'model' &&
    (trouble.status !== undefined || failure.message.includes(trouble.what))
  )
    return failure;
  return troubled(failure.message, trouble, failure.hint);
}

/**
 * If the agent diverged from its cassette, the divergence is the cause of the failure, whatever the
 * agent itself reports. The verdict takes precedence if it explains why a tool behaved differently
 * (for example, the disk accepted no file).
 */
export function unlessDiverged(
  failure: Outcome | undefined,
  verdict: Outcome,
  { diverged }: Tap,
): Outcome | undefined {
  if (diverged === undefined) return failure;
  if (failure?.status === 'failed' && !['agent', 'model', 'timeout'].includes(failure.cause))
    return failure;
  if (verdict.status === 'failed' && verdict.cause === 'sandbox') return verdict;
  return blamed('cassette', `the replay ended: ${diverged}`);
}

function troubled(
  message: string,
  { status, what }: NonNullable<Tap['trouble']>,
  hint: string | undefined,
): Outcome {
  const words = `${message}; the model's last answer: ${what}`;
  if (status === 401 || status === 403) return blamed('auth', words, 'cagematch token show');
  return blamed(status === 429 ? 'rate-limit' : 'model', words, hint);
}

/** A runtime that fails to destroy the sandbox is also the cause of the run's timeout. */
export function undestroyed(failure: Outcome | undefined, why: Outcome): Outcome {
  if (failure?.status !== 'failed' || why.status !== 'failed') return why;
  if (failure.cause !== 'timeout') return failure;
  // A longer time limit would not fix the runtime.
  return blamed(
    'sandbox',
    `${failure.message}, and then: ${why.message}`,
    why.hint ?? failure.hint,
  );
}

/** Causes that a full disk on this host can be mistaken for. */
const SAID_BY_A_FULL_DISK: readonly Cause[] = [
  'agent',
  'cassette',
  'sandbox',
  'sync',
  'verifier',
  'harness',
  'timeout',
];
const FULL_BYTES = 64 * 1024;

/**
 * If the disk that contains the run's folder is full, that is the cause of the failure, whatever
 * else was blamed.
 */
export function unlessDiskFull(outcome: Outcome, folder: string): Outcome {
  if (
    outcome.status === 'passed' ||
    !SAID_BY_A_FULL_DISK.includes(outcome.cause) ||
    !isFull(folder)
  )
    return outcome;
  return blamed(
    'harness',
    `the disk with the runs' folders is full: ${outcome.message}`,
    'free space, or set TMPDIR to a folder that has some',
  );
}

function isFull(folder: string): boolean {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(folder);
    return bavail * bsize < FULL_BYTES || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}
