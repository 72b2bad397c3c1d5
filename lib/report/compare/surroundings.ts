// What two matches depend on besides the compared code: a difference here is another possible cause
// of a slowdown.
import { type Guest, isGap } from '../../record/types.js';
import type { ModeReport, Report } from '../document.js';
import type { Difference } from './comparison.js';

/**
 * Differences that are shown but do not prevent a verdict. cagematch and its commit are what is
 * compared. Load is a snapshot that never repeats; its effect on the numbers is contained in their
 * intervals. Rounds affect a number through n alone.
 */
const SHOWN_ONLY = new Set(['cagematch', 'commit', 'load before', 'load after', 'rounds']);

/** @param entries the compared rows */
export function differences(base: Report, next: Report, entries: readonly string[]): Difference[] {
  return [
    ...between('match', matchValues(base), matchValues(next)),
    ...entries.flatMap((entry) => {
      const [a, b] = [base, next].map(({ modes }) => modes.find((mode) => mode.entry === entry));
      return a && b ? between(entry, ...rowValues(a, b)) : [];
    }),
  ];
}

type Values = Record<string, string | number | boolean | undefined>;

function matchValues({ match }: Report): Values {
  return {
    ...match.host,
    ...match.versions,
    concurrency: match.concurrency,
    // Whether a row's first run is counted depends on whether there was a warm-up round, not on how
    // many there were.
    'the first run of a row': match.warmup === 0 ? 'is counted' : 'is not counted',
    rounds: match.until === 'precise' ? 'auto' : 'fixed in advance',
    'load before': match.load.before?.join(' '),
    'load after': match.load.after?.join(' '),
  };
}

function rowValues(a: ModeReport, b: ModeReport): [Values, Values] {
  // Old records have no content digest, and a rebuilt image has another id, so the id cannot show
  // whether the image is the same.
  const byContent = a.content !== undefined && b.content !== undefined;
  // Properties of each sandbox from inside. Records from before these were captured are compared
  // without them.
  const bothLooked = [a, b].every(({ guest }) => guest !== undefined && !isGap(guest));
  const valuesOf = ({ detection, image, content, state, guest }: ModeReport): Values => {
    const found =
      detection.status === 'ready'
        ? { version: detection.version, ...detection.facts }
        : { detection: detection.status };
    const ready =
      bothLooked && guest !== undefined && !isGap(guest)
        ? { ...found, ...insideValues(guest) }
        : found;
    // In the cold state the image is rebuilt in every run, and its id changes each time.
    if (byContent) return { ...ready, 'image content': content };
    return state === 'cold' ? ready : { ...ready, image };
  };
  return [valuesOf(a), valuesOf(b)];
}

/** The user is left out: which account is free on a machine does not affect any number. */
const insideValues = ({ nodeVersion, gitVersion, libc, os, memoryBytes, pids }: Guest): Values =>
  Object.fromEntries(
    Object.entries({
      'Node inside': nodeVersion,
      'Git inside': gitVersion,
      libc,
      os,
      'memory limit': memoryBytes,
      'process limit': pids,
    }).map(([what, value]) => [what, isGap(value) ? undefined : value]),
  );

function between(subject: string, base: Values, next: Values): Difference[] {
  // A value that only one of the two records contains may or may not be the same; this cannot be
  // decided.
  const shown = (value: Values[string]) => (value === undefined ? 'not recorded' : String(value));
  return [...new Set([...Object.keys(base), ...Object.keys(next)])].flatMap((what) => {
    const [a, b] = [shown(base[what]), shown(next[what])];
    return a === b ? [] : [{ of: subject, what, base: a, new: b, blocks: !SHOWN_ONLY.has(what) }];
  });
}
