// The rows that a recommendation chooses from, and why the others are left out.
import { isGap } from '../../record/types.js';
import { ENOUGH_TO_SEPARATE } from '../../statistics/summary.js';
import { called, listed, passedOf } from '../cells.js';
import type { ModeReport, Recommendation, Report } from '../document.js';
import type { ProbeDocument } from '../probe/document.js';
import { contextOf, createScale, type Scale } from './scale.js';

/** What the recommendations are made from. */
export interface Field {
  report: Omit<Report, 'recommendation'>;
  /** Probes of the same machine, with what they observed of this match's runtimes. */
  probes: readonly ProbeDocument[];
  scale: Scale;
  /**
   * Rows of the shortest task, in one state and with one set of options, without stand-ins. Only
   * these rows are compared.
   */
  compared: ModeReport[];
  /**
   * The compared rows that are isolated, passed in every run, and do not leave something behind in
   * every run.
   */
  candidates: ModeReport[];
  /** Isolated rows of the same task that are not candidates, each with the reason. */
  leftOut: string[];
}

/**
 * A sentence, the rows it rests on and the rows it names as best; or the reason why there is no
 * advice.
 */
export type Advice = { sentence: string; rows: string[]; best: string[] } | { why: string };

export type Profile = Recommendation['profiles'][number]['profile'];

export function fieldOf(
  report: Omit<Report, 'recommendation'>,
  probes: readonly ProbeDocument[],
): Field {
  const real = report.modes.filter((row) => !row.standIn);
  const task = shortestTask(real);
  const ofTask = real.filter((row) => row.task === task);
  const compared = largestContext(ofTask);
  const isolated = ofTask.filter((row) => row.isolation !== 'none');
  const reasons = isolated.map((row) => ({
    row,
    why: compared.includes(row) ? whyNoCandidate(row) : OTHER_CONDITIONS,
  }));
  return {
    report,
    probes,
    scale: createScale(report),
    compared,
    candidates: reasons.flatMap(({ row, why }) => (why === undefined ? [row] : [])),
    leftOut: reasons.flatMap(({ row, why }) =>
      why === undefined ? [] : [`${called(row, report)} (${why})`],
    ),
  };
}

const OTHER_CONDITIONS = 'another state or other options';

/**
 * Number of runs that were not interrupted. An interrupted run counts neither for its row nor
 * against it.
 */
export const completed = ({ n, interrupted }: Pick<ModeReport, 'n' | 'interrupted'>): number =>
  n - interrupted;

/** Why no recommendation may name the row; undefined if one may. */
export function whyNoCandidate(row: ModeReport): string | undefined {
  const n = completed(row);
  if (row.passed === 0) return 'no run passed';
  if (row.passed < n) return passedOf(row);
  if (row.leftoverRuns === n) return `every run leaves ${leftKinds(row)}`;
  return undefined;
}

function leftKinds({ leftovers }: ModeReport): string {
  return isGap(leftovers)
    ? 'something'
    : listed([...new Set(leftovers.map(({ kind }) => `a ${kind}`))]);
}

/** The task of the row with the shortest total. All rows of a match usually have the same task. */
function shortestTask(rows: readonly ModeReport[]): string | undefined {
  const timed = rows.flatMap(({ task, phasesMs: { total } }) =>
    total === undefined || isGap(total) ? [] : [{ task, ms: total.median }],
  );
  return (timed.toSorted((row, other) => row.ms - other.ms)[0] ?? rows[0])?.task;
}

/**
 * The rows with the most common combination of state and options; on a tie, the combination that
 * comes first in the table.
 */
function largestContext(rows: readonly ModeReport[]): ModeReport[] {
  const contexts = new Map<string, ModeReport[]>();
  for (const row of rows)
    contexts.set(contextOf(row), [...(contexts.get(contextOf(row)) ?? []), row]);
  return [...contexts.values()].reduce<ModeReport[]>(
    (most, some) => (some.length > most.length ? some : most),
    [],
  );
}

/** Why no choice among the rows is possible, whatever the use. */
export function whyNoChoice({ report, candidates, leftOut }: Field): string | undefined {
  const isolated = report.modes.filter((row) => row.isolation !== 'none');
  if (isolated.length === 0) return 'no row is isolated';
  if (isolated.every((row) => row.standIn)) return "a stand-in's numbers are no finding";
  const others = leftOut.length === 0 ? '' : `; left out: ${leftOut.join(', ')}`;
  const [only] = candidates;
  if (!only) return `no isolated row passed in every run${others}`;
  if (candidates.length === 1)
    return `${only.entry} is the only isolated row that can be chosen${others}`;
  const n = Math.min(...candidates.map(({ passed }) => passed));
  return n < ENOUGH_TO_SEPARATE
    ? `n=${n} is too few: at least n=${ENOUGH_TO_SEPARATE} is needed${others}`
    : undefined;
}

/** Why no difference in time can be significant, however large it is. */
export function whyNoDifference(
  rows: readonly ModeReport[],
  { scale }: Pick<Field, 'scale'>,
): string | undefined {
  const n = pairsInCommon(rows, scale);
  if (n >= scale.neededPairs) return undefined;
  return tooFewToDiffer(n, scale.neededPairs);
}

/**
 * Value for `--runs` that detects a 10 % difference between seven rows in nine of ten matches
 * (bench `findings`).
 */
const DECISIVE_RUNS = 12;

export function tooFewToDiffer(n: number, needed: number): string {
  return `n=${n}: no difference between this many rows can be significant below n=${needed}; rerun with --runs ${Math.max(needed, DECISIVE_RUNS)}`;
}

/**
 * The number of paired rounds of the two rows that share the fewest; Infinity for fewer than two
 * rows.
 */
export function pairsInCommon(rows: readonly ModeReport[], scale: Scale): number {
  return Math.min(
    ...rows.flatMap((a, index) => rows.slice(index + 1).map((b) => scale.pairs(a.entry, b.entry))),
  );
}

/** `docker and podman (no significant difference at n=12)` */
export function groupName(names: readonly string[], n: string): string {
  return names.length < 2 ? listed(names) : `${listed(names)} (no significant difference at ${n})`;
}

/** `; passed 12/12, 76–100 %; left out: fast (9/10, 60–98 %)` */
export function footing(rows: readonly ModeReport[], leftOut: readonly string[]): string {
  const passes = [...new Set(rows.map(passedOf))].join(', ');
  return `; passed ${passes}${leftOut.length === 0 ? '' : `; left out: ${leftOut.join(', ')}`}`;
}
