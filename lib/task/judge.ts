// The judge of every task folder: compares the expectations with the workspace that came back and
// with the agent's transcript.
import { runInNewContext } from 'node:vm';
import { oneLine } from '../os/printable.js';
import { isGap, type Outcome, type Sync } from '../record/types.js';
import { cameIn, isThere, lastWritten, printed, textOf } from './evidence.js';
import { type Expectations, NONCE, toPattern } from './schema.js';
import type { Task } from './task.js';
import type { Transcript } from './transcript.js';

/** Errors of a file system that accepts no files: the sandbox gives the agent no place to work. */
const NO_PLACE = /\b(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EIO)\b/;
/**
 * Timeout for matching one regular expression against one text, in ms. An agent that knows the
 * expression can write a text that takes years to match.
 */
const MATCH_MS = 1000;

interface Seen {
  workspace: string;
  nonce: string;
  transcript: Transcript;
}

type Cause = Extract<Outcome, { status: 'failed' }>['cause'];
const failed = (cause: Cause, message: string): Outcome => ({
  status: 'failed',
  cause,
  message: oneLine(message),
});

/**
 * The cause of a failure is the agent for a file that it never wrote, the sandbox if its disk
 * accepted no file, the sync for a file that did not come back as written, and otherwise the task's
 * own expectation (`verifier`).
 * @param seeded paths of the files in the seed
 */
export function createJudge(
  expected: Expectations,
  seeded: ReadonlySet<string>,
): Pick<Task, 'judge' | 'arrived'> {
  const fresh = [
    ...expected.written,
    ...expected.files.map(({ path }) => path).filter((path) => !seeded.has(path)),
  ];
  const printsNonce = expected.printed.some((expectation) =>
    (typeof expectation === 'string' ? expectation : expectation.matches).includes(NONCE),
  );
  return {
    judge(workspace, nonce, transcript) {
      const seen: Seen = { workspace, nonce, transcript };
      const [first] = faults(seen, expected, seeded);
      return {
        outcome: first ?? { status: 'passed' },
        sync: {
          in: printsNonce ? cameIn(transcript, nonce) : { gap: 'not-exercised' },
          out: cameOut(seen, expected, fresh),
        },
      };
    },
    ...(fresh.length > 0
      ? { arrived: (workspace) => fresh.every((path) => isThere(workspace, path)) }
      : {}),
  };
}

/** Every expectation that was not met, written files first. */
function* faults(
  seen: Seen,
  expected: Expectations,
  seeded: ReadonlySet<string>,
): Generator<Outcome> {
  yield* writtenFaults(seen, expected.written);
  yield* fileFaults(seen, expected.files, seeded);
  yield* printedFaults(seen, expected.printed);
}

function* writtenFaults(seen: Seen, paths: Expectations['written']): Generator<Outcome> {
  for (const path of paths) {
    const written = lastWritten(seen.transcript, path);
    if (!written) yield failed('agent', `the agent never wrote ${path}`);
    else if (textOf(seen.workspace, path) !== written.content)
      yield notAsWritten(seen, path, written);
  }
}

function* fileFaults(
  seen: Seen,
  files: Expectations['files'],
  seeded: ReadonlySet<string>,
): Generator<Outcome> {
  for (const { path, matches, not, otherwise } of files) {
    const text = textOf(seen.workspace, path);
    const written = lastWritten(seen.transcript, path);
    if (text === undefined && !written && !seeded.has(path))
      yield failed('agent', `the agent never wrote ${path}`);
    else if (text === undefined) yield notAsWritten(seen, path, written);
    else if (matches !== undefined && !fits(matches, text, seen))
      yield failed('verifier', otherwise ?? `${path} does not match ${matches}`);
    else if (not !== undefined && fits(not, text, seen, true))
      yield failed('verifier', otherwise ?? `${path} matches ${not}`);
  }
}

function* printedFaults(seen: Seen, expectations: Expectations['printed']): Generator<Outcome> {
  const outputs = printed(seen.transcript);
  for (const expectation of expectations) {
    if (typeof expectation === 'string') {
      const words = expectation === NONCE ? 'the nonce' : expectation;
      if (!outputs.some((text) => text.includes(expectation.replaceAll(NONCE, seen.nonce))))
        yield failed('verifier', `no tool output holds ${words}`);
      continue;
    }
    const { matches, times = 1, otherwise = `no tool output matches ${matches}` } = expectation;
    const found = outputs.filter((text) => fits(matches, text, seen)).length;
    if (found < times)
      yield failed(
        'verifier',
        times === 1 ? otherwise : `${otherwise}: seen ${found} of ${times} times`,
      );
  }
}

/**
 * The failure for a file that the agent wrote or was given, and that is not on the host as it
 * should be.
 */
function notAsWritten(
  { workspace }: Seen,
  path: string,
  written: Transcript['writes'][number] | undefined,
): Outcome {
  const { refusal } = written ?? {};
  if (refusal !== undefined)
    return failed(
      NO_PLACE.test(refusal) ? 'sandbox' : 'agent',
      `the Write of ${path} failed: ${refusal}`,
    );
  if (textOf(workspace, path) === undefined)
    return failed('sync', `${path} is not on the host after collect`);
  return failed('sync', `${path} on the host is not what the agent wrote`);
}

/**
 * Whether the files came back: those that only the agent creates, or, if there are none, those that
 * it was to change.
 */
function cameOut(
  { workspace, transcript }: Seen,
  expected: Expectations,
  fresh: readonly string[],
): Sync['out'] {
  const paths = fresh.length > 0 ? fresh : expected.files.map(({ path }) => path);
  const ways = paths.map((path): Sync['out'] => {
    const [text, written] = [textOf(workspace, path), lastWritten(transcript, path)];
    if (expected.written.includes(path))
      return written ? (text === written.content ? 'yes' : 'no') : { gap: 'not-reached' };
    if (text !== undefined) return 'yes';
    return written || !fresh.includes(path) ? 'no' : { gap: 'not-reached' };
  });
  if (ways.includes('no')) return 'no';
  return ways.find((way) => isGap(way)) ?? ways[0] ?? { gap: 'not-exercised' };
}

/** @param late the result if matching timed out or failed */
function fits(pattern: string, text: string, { nonce }: Seen, late = false): boolean {
  try {
    const { source, flags } = toPattern(pattern, nonce);
    // Only a script in its own context can have a timeout.
    return (
      runInNewContext(
        'new RegExp(source, flags).test(text)',
        { source, flags, text },
        { timeout: MATCH_MS },
      ) === true
    );
  } catch {
    return late;
  }
}
