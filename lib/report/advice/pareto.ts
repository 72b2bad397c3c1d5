// Pareto dominance: a row dominates another if it is better in at least one respect and shown to be
// no worse in every other.
import type { Isolation } from '../../contract.js';
import { isGap } from '../../record/types.js';
import { ALPHA, fisher, holm } from '../../statistics/inference.js';
import type { ModeReport, Recommendation } from '../document.js';
import { completed } from './field.js';
import { type Scale, TIMES } from './scale.js';

/**
 * What separates the agent from this machine's kernel, as declared by the runtimes: nothing; a
 * filter on its system calls; namespaces, whose processes still call this kernel; a kernel in user
 * space; a kernel of its own. A system container shares this kernel as any container does, and a
 * remote VM ranks as a VM.
 */
const STRENGTH: Record<Isolation, number> = {
  none: 0,
  'os-sandbox': 1,
  container: 2,
  'system-container': 2,
  'user-kernel': 3,
  microvm: 4,
  'remote-vm': 4,
};

/** The criteria of the comparison, as shown to a reader. */
export const CRITERIA = 'declared isolation, startup, total, success, sync, leftovers';

type ParetoSet = Pick<Recommendation, 'pareto' | 'dominated'> & { undecided: string[] };

/** @param rows rows with the same task, state and options */
export function paretoSet(rows: readonly ModeReport[], scale: Scale): ParetoSet {
  const decided = comparable(rows, scale);
  const passesMore = successes(decided);
  const dominators = new Map(
    decided.map((row) => [
      row,
      decided.filter((other) => other !== row && dominates(other, row, scale, passesMore)),
    ]),
  );
  const isOptimal = (row: ModeReport) => dominators.get(row)?.length === 0;
  return {
    pareto: decided.filter(isOptimal).map(({ entry }) => entry),
    dominated: decided.flatMap((row) => {
      const others = dominators.get(row) ?? [];
      // Prefer a Pareto-optimal row as the one we name.
      const by = others.find(isOptimal) ?? others[0];
      return by ? [{ entry: row.entry, by: by.entry }] : [];
    }),
    undecided: rows.filter((row) => !decided.includes(row)).map(({ entry }) => entry),
  };
}

/**
 * Drops rows that have too few rounds in common with the others, starting with those that have the
 * most unknown comparisons.
 */
function comparable(rows: readonly ModeReport[], scale: Scale): readonly ModeReport[] {
  const unknowns = (row: ModeReport) =>
    rows.filter(
      (other) =>
        other !== row &&
        TIMES.some((time) => scale.verdict(time, row.entry, other.entry) === 'unknown'),
    ).length;
  const most = Math.max(0, ...rows.map(unknowns));
  return most === 0
    ? rows
    : comparable(
        rows.filter((row) => unknowns(row) < most),
        scale,
      );
}

type PassesMore = (row: ModeReport, other: ModeReport) => boolean;

function dominates(
  row: ModeReport,
  other: ModeReport,
  scale: Scale,
  passesMore: PassesMore,
): boolean {
  const times = TIMES.map((time) => scale.verdict(time, row.entry, other.entry));
  const [sync, otherSync] = [syncRank(row), syncRank(other)];
  if (
    times.some((time) => time !== 'less' && time !== 'same') ||
    sync === undefined ||
    otherSync === undefined
  )
    return false;
  const isolation = STRENGTH[row.isolation] - STRENGTH[other.isolation];
  const isNowhereWorse =
    isolation >= 0 &&
    sync >= otherSync &&
    shareOf(row) >= shareOf(other) &&
    leftoverShare(row) <= leftoverShare(other);
  const isSomewhereBetter =
    isolation > 0 ||
    sync > otherSync ||
    times.includes('less') ||
    passesMore(row, other) ||
    (leftoverShare(row) === 0 && leftoverShare(other) === 1);
  return isNowhereWorse && isSomewhereBetter;
}

const shareOf = (row: ModeReport) => row.passed / completed(row);
const leftoverShare = (row: ModeReport) => row.leftoverRuns / completed(row);

/** Fisher's exact test for every pair of rows, with Holm's correction over all pairs. */
function successes(rows: readonly ModeReport[]): PassesMore {
  const pairs = rows.flatMap((a, index) => rows.slice(index + 1).map((b) => ({ a, b })));
  const share = (row: ModeReport) => ({ passed: row.passed, n: completed(row) });
  const adjusted = holm(pairs.map(({ a, b }) => fisher(share(a), share(b))));
  const differing = pairs.filter((_, index) => (adjusted[index] as number) < ALPHA);
  return (row, other) =>
    shareOf(row) > shareOf(other) &&
    differing.some(({ a, b }) => (a === row && b === other) || (a === other && b === row));
}

/**
 * 2 if files appear at once (live), 1 if they appear later, 0 if they do not get in or out.
 * Undefined if not observed.
 */
function syncRank({ sync }: ModeReport): number | undefined {
  if (isGap(sync) || isGap(sync.in) || isGap(sync.out)) return undefined;
  if (sync.in === 'no' || sync.out === 'no') return 0;
  return sync.live === 'yes' ? 2 : 1;
}
