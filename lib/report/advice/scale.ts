// How two rows compare in startup and total, as far as the match can resolve it. All
// recommendations about time are based on this alone.
import { isGap } from '../../record/types.js';
import type { ModeReport, Report } from '../document.js';

type Comparison = Report['comparisons'][number];

/**
 * `less`, `more`: significantly different after Holm's correction over the whole report. `same`:
 * shown to be equal within the equivalence margin. `unresolved`: neither was shown. `unknown`: too
 * few rounds in common, or different task, state or options.
 */
type Verdict = 'less' | 'more' | 'same' | 'unresolved' | 'unknown';

export const TIMES = ['startup', 'total'] as const;
type Time = (typeof TIMES)[number];

export interface Scale {
  verdict(time: Time, a: string, b: string): Verdict;
  /** Number of rounds that two rows have in common; 0 if they were not compared. */
  pairs(a: string, b: string): number;
  /** The fewest common rounds with which a single difference in this report can be significant. */
  neededPairs: number;
}

export function createScale({
  comparisons,
  resolution,
}: Pick<Report, 'comparisons' | 'resolution'>): Scale {
  const known = new Map<string, { n: number } & Record<Time, Verdict>>();
  for (const { a, b, n, total, standIn, ...startup } of comparisons) {
    if (standIn) continue;
    const verdicts = {
      startup: verdictOf(startup),
      total: isGap(total) ? ('unknown' as const) : verdictOf(total),
    };
    known.set(keyOf(a, b), { n, ...verdicts });
    known.set(keyOf(b, a), { n, startup: turned(verdicts.startup), total: turned(verdicts.total) });
  }
  return {
    verdict: (time, a, b) => known.get(keyOf(a, b))?.[time] ?? 'unknown',
    pairs: (a, b) => known.get(keyOf(a, b))?.n ?? 0,
    neededPairs: resolution.fewestPairs,
  };
}

const keyOf = (a: string, b: string) => JSON.stringify([a, b]);

function verdictOf({
  ratio,
  separable,
  equal,
}: Pick<Comparison, 'ratio' | 'separable' | 'equal'>): Verdict {
  if (isGap(separable)) return 'unknown';
  if (separable) return ratio < 1 ? 'less' : 'more';
  return equal === true ? 'same' : 'unresolved';
}

const turned = (verdict: Verdict): Verdict =>
  verdict === 'less' ? 'more' : verdict === 'more' ? 'less' : verdict;

/**
 * Rows that no other row is significantly below, in input order. The true best is among them unless
 * a difference is a false positive.
 */
export function bestOf<T>(rows: readonly T[], isLess: (row: T, other: T) => boolean): T[] {
  return rows.filter((row) => !rows.some((other) => other !== row && isLess(other, row)));
}

/** Times are compared only between rows of one task, state and options. */
export const contextOf = ({
  task,
  state,
  options,
}: Pick<ModeReport, 'task' | 'state' | 'options'>): string =>
  JSON.stringify([task, state, Object.entries(options).toSorted()]);
