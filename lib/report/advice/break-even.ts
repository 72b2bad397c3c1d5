// From which length of work on a difference in startup no longer matters, or is made good.
import { isGap } from '../../record.js';
import type { ModeReport, Report } from '../document.js';
import type { Scale } from './standing.js';

type BreakEven = Report['recommendation']['breakEven'][number];

/** Work of this many times the extra startup makes it less than 5 % of the work. */
const WORK_PER_EXTRA = 20;

/**
 * Only between rows that can be told apart, in startup and, for `overtakes`, in work too.
 * @param rows those whose numbers are findings
 */
export function breakEvens(rows: readonly ModeReport[], report: Pick<Report, 'match' | 'comparisons'>, scale: Scale): BreakEven[] {
  const base = rows.find((row) => row.entry === report.match.baseline);
  if (!base) return [];
  return [
    ...rows.flatMap((row) => negligible(row, base, scale)),
    ...rows.flatMap((slow) => rows.flatMap((fast) => overtakes(slow, fast, base, report.comparisons, scale))),
  ];
}

function negligible(row: ModeReport, base: ModeReport, scale: Scale): BreakEven[] {
  const extra = row.startupDifferenceMs;
  if (row.isolation === 'none' || scale.startup(row.entry, base.entry) !== 'more') return [];
  if (isGap(extra) || isGap(extra.ci95) || extra.ci95[0] <= 0) return [];
  return [{ entry: row.entry, against: base.entry, kind: 'negligible', workMs: WORK_PER_EXTRA * extra.median }];
}

/**
 * Until the agent's result, both take their startup and, of every millisecond of the baseline's work, their own ratio; where
 * these are equal, the one that works faster has made good its slower start.
 */
function overtakes(slow: ModeReport, fast: ModeReport, base: ModeReport, comparisons: Report['comparisons'], scale: Scale): BreakEven[] {
  if (slow === fast || scale.startup(slow.entry, fast.entry) !== 'more' || !worksFaster(slow, fast, base, scale)) return [];
  const gained = rateOf(fast) - rateOf(slow);
  const late = differenceOf(slow.entry, fast.entry, comparisons);
  if (late === undefined || late <= 0 || gained <= 0) return [];
  return [{ entry: slow.entry, against: fast.entry, kind: 'overtakes', workMs: late / gained }];
}

/** Intervals of both ratios to the baseline that do not touch: stricter than a test of pairs, which the report does not hold. */
export function worksFaster(one: ModeReport, other: ModeReport, base: ModeReport, scale: Scale): boolean {
  for (const row of [one, other]) if (row !== base && scale.startup(row.entry, base.entry) === 'unknown') return false;
  if (isGap(one.workRatio) || isGap(other.workRatio) || isGap(one.workRatio.ci95) || isGap(other.workRatio.ci95)) return false;
  return one.workRatio.ci95[1] < other.workRatio.ci95[0];
}

const rateOf = ({ workRatio }: ModeReport) => (isGap(workRatio) ? Number.NaN : workRatio.median);

/** Paired by round: how much later `slow` was ready than `fast`. */
function differenceOf(slow: string, fast: string, comparisons: Report['comparisons']): number | undefined {
  for (const { a, b, differenceMs } of comparisons) {
    if (a === slow && b === fast) return differenceMs.median;
    if (a === fast && b === slow) return -differenceMs.median;
  }
  return undefined;
}
