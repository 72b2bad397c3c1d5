// What became worse in a row: tests over its rounds and passes, corrected together, and which
// findings count as a regression.
import { median } from 'simple-statistics';
import { type Gap, isGap } from '../../record/types.js';
import { ALPHA, canReject, fewestPairs, fisher, holm } from '../../statistics/inference.js';
import { hodgesLehmann, rankSum, shift, signedRank } from '../../statistics/ranks.js';
import type { ComparedRow, ComparisonDocument, Measure, Measured } from './comparison.js';

/** Positive numbers. `paired`: numbers at the same index are from the same round. */
export interface Samples {
  paired: boolean;
  base: readonly number[];
  next: readonly number[];
}

interface Passes {
  passed: number;
  n: number;
}

/** What is known about a row before it is judged. */
export interface Evidence {
  entry: string;
  standIn: boolean;
  passes: { base: Passes; new: Passes };
  speed: Record<Measure, Samples | Gap>;
  /** The row could be prepared in BASE only. */
  unprepared: boolean;
  /** Why the row's numbers cannot be compared. */
  blocked: string | undefined;
}

type Judgement = Pick<ComparisonDocument, 'rows' | 'tests' | 'regressions'>;

/** Values of a measure before the correction. */
interface Measurement extends Omit<Extract<Measured, { p: number }>, 'direction'> {
  /** Whether this many rounds could reject anything, with that many tests in the family. */
  couldReject(tests: number): boolean;
}

const SPEEDS = ['startup', 'total'] as const satisfies Measure[];

/** @param failOver percentage that the whole interval of a slowdown has to exceed */
export function judge(rows: readonly Evidence[], failOver: number | undefined): Judgement {
  const measured = rows.map((row) => ({
    row,
    startup: measure(row.speed.startup),
    total: measure(row.speed.total),
    passes: passesTest(row.passes),
  }));
  const tested = measured.flatMap(({ startup, total, passes }) => [
    ...(isGap(startup) ? [] : [startup]),
    ...(isGap(total) ? [] : [total]),
    ...(passes ? [passes] : []),
  ]);
  const corrected = new Map(
    holm(tested.map(({ p }) => p)).map((p, index): [{ p: number } | undefined, number] => [
      tested[index],
      p,
    ]),
  );
  const judged = measured.map(({ row, startup, total, passes }): ComparedRow => {
    const measures = {
      startup: conclude(
        startup,
        corrected.get(isGap(startup) ? undefined : startup),
        tested.length,
      ),
      total: conclude(total, corrected.get(isGap(total) ? undefined : total), tested.length),
    };
    const p = corrected.get(passes) ?? 1;
    const { base, new: next } = row.passes;
    const cannotSay =
      row.blocked ?? (row.unprepared ? undefined : unmeasured(measures, row, tested.length));
    return {
      entry: row.entry,
      standIn: row.standIn,
      passes: { base, new: next, p, fewer: p <= ALPHA && share(next) < share(base) },
      measures,
      ...(cannotSay === undefined ? {} : { cannotSay }),
    };
  });
  const regressions = judged.flatMap((row, index): Judgement['regressions'] => {
    const evidence = rows[index];
    if (!evidence || evidence.blocked !== undefined) return [];
    const slower = SPEEDS.filter((name) => isSlower(row.measures[name], failOver ?? 0));
    const whats = [
      ...slower,
      ...(row.passes.fewer ? (['passes'] as const) : []),
      ...(evidence.unprepared ? (['preparation'] as const) : []),
    ];
    return whats.map((what) => ({ entry: row.entry, what }));
  });
  return { rows: judged, tests: tested.length, regressions };
}

const share = ({ passed, n }: Passes) => (n === 0 ? 0 : passed / n);

/** True if the slowdown is significant and its whole interval is above the limit. */
function isSlower(measure: Measured, failOver: number): boolean {
  if (isGap(measure) || isGap(measure.ci95)) return false;
  return measure.direction === 'slower' && measure.ci95[0] > 1 + failOver / 100;
}

/** The change of a quantity from one sample to the other, as a ratio. */
export function changeOf({
  paired,
  base,
  next,
}: Samples): { change: number; ci95: [number, number] | Gap; p: number } | Gap {
  if (base.length === 0 || next.length === 0) return { gap: 'not-reached' };
  const [before, after] = [base.map(Math.log), next.map(Math.log)];
  const differences = after.map((value, at) => value - (before[at] as number));
  const { estimate, ci95 } = paired ? hodgesLehmann(differences) : shift(after, before);
  return {
    change: Math.exp(estimate),
    ci95: isGap(ci95) ? ci95 : [Math.exp(ci95[0]), Math.exp(ci95[1])],
    p: paired ? signedRank(differences) : rankSum(after, before),
  };
}

function measure(samples: Samples | Gap): Measurement | Gap {
  if (isGap(samples)) return samples;
  const change = changeOf(samples);
  if (isGap(change)) return change;
  const { base, next, paired } = samples;
  return {
    base: median(base),
    new: median(next),
    n: { base: base.length, new: next.length },
    ...change,
    couldReject: (tests) =>
      paired ? canReject(base.length, tests) : canRejectOfTwo(base.length, next.length, tests),
  };
}

function conclude(measurement: Measurement | Gap, p: number | undefined, tests: number): Measured {
  if (isGap(measurement) || p === undefined)
    return isGap(measurement) ? measurement : { gap: 'not-reached' };
  const { couldReject, ...values } = measurement;
  const direction = p > ALPHA ? 'not separable' : values.change > 1 ? 'slower' : 'faster';
  return { ...values, p, direction: couldReject(tests) ? direction : { gap: 'too-few-runs' } };
}

/** Undefined if no run failed: there is nothing to test then. */
function passesTest({ base, new: next }: Evidence['passes']): { p: number } | undefined {
  if (base.n === 0 || next.n === 0 || (base.passed === base.n && next.passed === next.n))
    return undefined;
  return { p: fisher(base, next) };
}

function unmeasured(
  measures: ComparedRow['measures'],
  row: Evidence,
  tests: number,
): string | undefined {
  for (const name of SPEEDS) {
    const measure = measures[name];
    if (isGap(measure)) {
      if (measure.gap === 'not-applicable') continue;
      return whyAbsent(name, measure, row.passes);
    }
    if (isGap(measure.direction)) return tooFewRounds(measure.n, row.speed[name], tests);
  }
  return undefined;
}

function whyAbsent(name: Measure, { gap }: Gap, passes: Evidence['passes']): string {
  if (gap === 'no-baseline') return 'no baseline row in both matches to hold its speed against';
  const missing = passes.new.passed === 0 ? 'NEW' : passes.base.passed === 0 ? 'BASE' : undefined;
  return missing === undefined
    ? `no ${name} in the rounds of both`
    : `no run of it passed in ${missing}`;
}

function tooFewRounds(
  n: { base: number; new: number },
  samples: Samples | Gap,
  tests: number,
): string {
  const rounds = n.base === n.new ? `${n.base}` : `${n.base} and ${n.new}`;
  const paired = !isGap(samples) && samples.paired;
  return `${rounds} rounds are too few, at least ${enoughFor(tests, paired)}${paired ? '' : ' in each'} are needed`;
}

/**
 * True if the smallest possible two-sided p of two samples, which occurs when they do not overlap,
 * is below its bound.
 */
function canRejectOfTwo(n: number, m: number, tests: number): boolean {
  let orders = 1;
  for (let k = 1; k <= n; k += 1) orders *= (m + k) / k;
  return 2 / orders < ALPHA / Math.max(1, tests);
}

/** The fewest rounds with which that many tests could reject anything. */
function enoughFor(tests: number, paired: boolean): number {
  if (paired) return fewestPairs(tests);
  let rounds = 1;
  while (!canRejectOfTwo(rounds, rounds, tests)) rounds += 1;
  return rounds;
}
