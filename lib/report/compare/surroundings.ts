// What two matches depend on besides the code that is compared: where it differs, a slow-down has another suspect.

import type { ModeReport, Report } from '../document.js';
import type { Difference } from './comparison.js';

/**
 * Shown, but no reason to hold back: cagematch and its commit are what one compares; the load is a snapshot that is never the
 * same twice, and what it does to the numbers is in their intervals.
 */
const SHOWN_ONLY = new Set(['cagematch', 'commit', 'load before', 'load after', 'warm-up rounds']);

/** @param entries the rows that are compared */
export function differences(base: Report, next: Report, entries: readonly string[]): Difference[] {
  const of = ({ match }: Report): Values => ({
    ...match.host,
    ...match.versions,
    'load before': match.load.before?.join(' '),
    'load after': match.load.after?.join(' '),
    'warm-up rounds': match.warmup,
  });
  return [
    ...between('match', of(base), of(next)),
    ...entries.flatMap((entry) => {
      const [a, b] = [base, next].map(({ modes }) => modes.find((mode) => mode.entry === entry));
      return a && b ? between(entry, rowValues(a), rowValues(b)) : [];
    }),
  ];
}

type Values = Record<string, string | number | boolean | undefined>;

function rowValues({ detection, image, state }: ModeReport): Values {
  const ready = detection.status === 'ready' ? { version: detection.version, ...detection.facts } : { detection: detection.status };
  // Cold, the image is made anew in every run, and its digest with it.
  return state === 'cold' ? ready : { ...ready, image };
}

function between(of: string, base: Values, next: Values): Difference[] {
  // What only one of them holds may be the same or not; nobody can say.
  const told = (value: Values[string]) => (value === undefined ? 'not recorded' : String(value));
  return [...new Set([...Object.keys(base), ...Object.keys(next)])].flatMap((what) => {
    const [a, b] = [told(base[what]), told(next[what])];
    return a === b ? [] : [{ of, what, base: a, new: b, blocks: !SHOWN_ONLY.has(what) }];
  });
}
