// What two matches depend on besides the code that is compared: where it differs, a slow-down has another suspect.
import { type Guest, isGap } from '../../record/types.js';
import type { ModeReport, Report } from '../document.js';
import type { Difference } from './comparison.js';

/**
 * Shown, but no reason to withhold a judgement: cagematch and its commit are what is compared. Load is a snapshot that is never
 * the same twice; what it does to the numbers is in their intervals. Rounds enter a number through n alone.
 */
const SHOWN_ONLY = new Set(['cagematch', 'commit', 'load before', 'load after', 'rounds']);

/** @param entries the rows that are compared */
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
    // A second round of warm-up leaves out nothing that the first has not.
    'the first run of a row': match.warmup === 0 ? 'is counted' : 'is not counted',
    rounds: match.until === 'precise' ? 'auto' : 'fixed in advance',
    'load before': match.load.before?.join(' '),
    'load after': match.load.after?.join(' '),
  };
}

function rowValues(a: ModeReport, b: ModeReport): [Values, Values] {
  // Old records have no content, and a rebuilt image has another id: by that nobody can say whether it is the same.
  const byContent = a.content !== undefined && b.content !== undefined;
  // What each sandbox was from inside; records from before that was looked at are compared without.
  const bothLooked = [a, b].every(({ guest }) => guest !== undefined && !isGap(guest));
  const of = ({ detection, image, content, state, guest }: ModeReport): Values => {
    const found = detection.status === 'ready' ? { version: detection.version, ...detection.facts } : { detection: detection.status };
    const ready = bothLooked && guest !== undefined && !isGap(guest) ? { ...found, ...insideValues(guest) } : found;
    // Cold, the image is made anew in every run, and its id with it.
    if (byContent) return { ...ready, 'image content': content };
    return state === 'cold' ? ready : { ...ready, image };
  };
  return [of(a), of(b)];
}

/** Not its user: which account is free on a machine changes no number. */
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

function between(of: string, base: Values, next: Values): Difference[] {
  // What only one of them holds may be the same or not; nobody can say.
  const shown = (value: Values[string]) => (value === undefined ? 'not recorded' : String(value));
  return [...new Set([...Object.keys(base), ...Object.keys(next)])].flatMap((what) => {
    const [a, b] = [shown(base[what]), shown(next[what])];
    return a === b ? [] : [{ of, what, base: a, new: b, blocks: !SHOWN_ONLY.has(what) }];
  });
}
