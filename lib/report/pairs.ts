// Compares two rows round by round: only rounds in which both passed form a pair.
import { type Entry, type Gap, isGap } from '../record/types.js';
import {
  ALPHA,
  canReject,
  createFamily,
  differenceEstimate,
  equivalence,
  type Family,
  holm,
  noiseOf,
  ratioEstimate,
} from '../statistics/inference.js';
import { signedRank } from '../statistics/ranks.js';
import type { Paired, Report } from './document.js';
import { combined, type Tally } from './tally.js';

type Comparison = Report['comparisons'][number];
type TestResult = Exclude<Comparison['total'], Gap>;

/** One number for each passed run of a row, NaN if it has none. */
export type Series = (tally: Tally) => Float64Array;

export const startup: Series = (tally) => tally.quantity('startup');
/** Total and work of a run, minus the time spent on requests to a live model. */
export const withoutModel: Series = (tally) => lessModel(tally, 'total');
export const workWithoutModel: Series = (tally) => lessModel(tally, 'work');

function lessModel(tally: Tally, name: 'total' | 'work'): Float64Array {
  if (!tally.modelIsApart) return tally.quantity(name);
  return combined(tally.quantity(name), tally.quantity('model'), (whole, model) => whole - model);
}

interface Pairs {
  ratios: number[];
  differences: number[];
}

/**
 * Ratios and differences of a to b in the rounds for which both have a number; a ratio requires two
 * times above zero.
 */
export function pairUp(a: Tally, b: Tally, series: Series): Pairs {
  const others = series(b);
  const pairs: Pairs = { ratios: [], differences: [] };
  const own = series(a);
  for (const [place, round] of a.rounds.entries()) {
    const other = others[b.placeOf(round) ?? -1] ?? Number.NaN;
    const value = own[place] as number;
    if (Number.isNaN(value) || Number.isNaN(other)) continue;
    pairs.differences.push(value - other);
    if (other > 0 && value > 0) pairs.ratios.push(value / other);
  }
  return pairs;
}

const logs = (ratios: readonly number[]) => new Float64Array(ratios).map(Math.log);

/**
 * The centre of paired ratios and its interval.
 * @param why the gap to return if there are no ratios
 */
export function pairedRatio(
  ratios: readonly number[],
  why: Gap = { gap: 'not-reached' },
): Paired | Gap {
  if (ratios.length === 0) return why;
  const { estimate, ci95 } = ratioEstimate(logs(ratios));
  return { median: estimate, ci95 };
}

/**
 * Median of the differences (ms) with its interval.
 * @param why the result if there are no differences
 */
export function pairedDifference(
  differences: readonly number[],
  why: Gap = { gap: 'not-reached' },
): Paired | Gap {
  if (differences.length === 0) return why;
  const { estimate, ci95 } = differenceEstimate(differences);
  return { median: estimate, ci95 };
}

/** A row with the times of its runs. */
export interface PairedRow
  extends Pick<Entry, 'entry' | 'mode' | 'variant' | 'task' | 'state' | 'options' | 'standIn'> {
  tally: Tally;
}

/** One test of two rows, before the family's adjustment. */
interface Test {
  n: number;
  ratio: Paired;
  differenceMs: Paired;
  /** p of the test for a difference; `pEqual` is that of the equivalence test. */
  p: number;
  pEqual: number;
  noise: number | Gap;
}

function test(a: Tally, b: Tally, series: Series): Test | Gap {
  const { ratios, differences } = pairUp(a, b, series);
  const ratio = pairedRatio(ratios);
  const differenceMs = pairedDifference(differences);
  if (isGap(ratio)) return ratio;
  if (isGap(differenceMs)) return differenceMs;
  const logRatios = logs(ratios);
  return {
    n: ratios.length,
    ratio,
    differenceMs,
    p: signedRank(logRatios),
    pEqual: equivalence(logRatios),
    noise: noiseOf(logRatios),
  };
}

/**
 * Compares every two comparable rows that passed in the same round at least once.
 *
 * The tests of all pairs, startup and total, join the report's family, over which Holm's procedure
 * keeps the chance of any false statement below 5 %. The equivalence tests are a family of their
 * own, and so are pairs with a stand-in, because they are not findings.
 * @returns a function for the comparisons, to be called after every other test has joined the
 *   family
 */
export function testPairs(rows: readonly PairedRow[], report: Family): () => Comparison[] {
  const tested = rows.flatMap((a, index) =>
    rows.slice(index + 1).flatMap((b) => {
      const ofStartup = comparable(a, b)
        ? test(a.tally, b.tally, startup)
        : ({ gap: 'not-applicable' } as const);
      if (isGap(ofStartup)) return [];
      return [
        {
          a,
          b,
          standIn: a.standIn || b.standIn,
          startup: ofStartup,
          total: test(a.tally, b.tally, withoutModel),
        },
      ];
    }),
  );
  const judges = [false, true].map((standIn) => {
    const tests = tested
      .filter((pair) => pair.standIn === standIn)
      .flatMap((pair) => [pair.startup, pair.total]);
    const measured = tests.filter((test): test is Test => !isGap(test));
    return judgeIn(measured, standIn ? createFamily() : report);
  });
  return () => {
    const families = judges.map((judge) => judge());
    const heldOf = (test: Test) =>
      families
        .map((family) => family.get(test))
        .find((result) => result !== undefined) as TestResult;
    return tested.map(({ a, b, standIn, startup: ofStartup, total }) => ({
      a: a.entry,
      b: b.entry,
      ...(standIn ? { standIn: true as const } : {}),
      n: ofStartup.n,
      ...heldOf(ofStartup),
      total: isGap(total) ? total : heldOf(total),
    }));
  };
}

function judgeIn(tests: readonly Test[], family: Family): () => Map<Test, TestResult> {
  const adjusted = family.add(tests.map(({ p }) => p));
  const equal = holm(tests.map(({ pEqual }) => pEqual));
  return () => {
    const different = adjusted();
    const entries = tests.map((test, place): [Test, TestResult] => {
      const { n, ratio, differenceMs, noise } = test;
      const known = canReject(n, family.tests);
      const decided = (p: number) => (known ? p < ALPHA : ({ gap: 'too-few-runs' } as const));
      const p = different[place] as number;
      return [
        test,
        {
          ratio: ratio.median,
          ci95: ratio.ci95,
          differenceMs,
          p,
          separable: decided(p),
          equal: decided(equal[place] as number),
          noise,
        },
      ];
    });
    return new Map(entries);
  };
}

/**
 * Rows with the same mode and variant exist to show an option's effect; other rows are compared
 * only if their options are equal.
 */
function comparable(a: PairedRow, b: PairedRow): boolean {
  if (a.task !== b.task || a.state !== b.state) return false;
  return (a.mode === b.mode && a.variant === b.variant) || sameOptions(a.options, b.options);
}

const sameOptions = (a: Entry['options'], b: Entry['options']) => asText(a) === asText(b);
const asText = (options: Entry['options']) =>
  JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
