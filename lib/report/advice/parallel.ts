// What a match's bursts say of many sandboxes at once: which row gets most done a minute, at which level, and what fails then.
import { isGap } from '../../record.js';
import { bytes, called, listed, middle, rate } from '../cells.js';
import type { ModeReport, Report, Summary } from '../document.js';
import { ENOUGH_TO_SEPARATE } from '../statistics.js';
import type { Field, Said } from './profiles.js';

type Level = Report['burst'][number]['levels'][number];

/** A row at the level at which it gets most done. */
interface Peak {
  row: ModeReport;
  level: Level;
  perMinute: Summary;
}

export function parallel({ report, candidates }: Pick<Field, 'report' | 'candidates'>): Said {
  if (report.burst.length === 0) return { why: 'nothing was run in parallel; --concurrency N would' };
  const peaks = candidates.flatMap((row) => peakOf(row, report.burst)).sort((one, other) => other.perMinute.median - one.perMinute.median);
  const [best, ...others] = peaks;
  if (!best || others.length === 0) return { why: 'runs a minute are known of fewer than two isolated rows' };
  const waves = Math.min(...peaks.map(({ perMinute }) => perMinute.samples.length));
  if (waves < ENOUGH_TO_SEPARATE) return { why: `n=${waves} waves a level: below n=${ENOUGH_TO_SEPARATE} no two rows can be told apart` };
  const alike = others.filter((other) => !below(other, best)).map(({ row }) => row);
  if (alike.length === others.length)
    return { why: `${called(best.row, report)} is ahead, but its interval overlaps with that of every other row` };
  const { level, perMinute, row } = best;
  const failed = level.n - level.passed;
  const memory = isGap(row.cost.memoryPeakBytes) ? '' : `, ${bytes(row.cost.memoryPeakBytes.median)} of memory a run`;
  const overlap =
    alike.length === 0 ? '' : `; ${listed(alike.map((one) => called(one, report)))} cannot be told apart from it at n=${waves} waves`;
  return {
    sentence: `${called(row, report)} gets most done, ${middle(perMinute, rate)} runs a minute with ${level.level} at once, ${failed === 0 ? 'none' : failed} of ${level.n} failed${memory}${overlap}`,
    rows: [row, ...alike].map(({ entry }) => entry),
  };
}

function peakOf(row: ModeReport, burst: Report['burst']): Peak[] {
  const levels = burst.find((one) => one.entry === row.entry)?.levels ?? [];
  const known = levels.flatMap((level) => (isGap(level.runsPerMinute) ? [] : [{ row, level, perMinute: level.runsPerMinute }]));
  const [best] = known.sort((one, other) => other.perMinute.median - one.perMinute.median);
  return best ? [best] : [];
}

/** The intervals do not touch: waves of two rows are no pairs. */
function below({ perMinute: low }: Peak, { perMinute: high }: Peak): boolean {
  return !isGap(low.ci95) && !isGap(high.ci95) && low.ci95[1] < high.ci95[0];
}
