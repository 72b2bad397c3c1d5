// What the bursts of a match show about many sandboxes at once: which rows complete the most runs
// per minute, at which level, and what fails there.
import { isGap } from '../../record/types.js';
import { ALPHA, holm } from '../../statistics/inference.js';
import { rankSum } from '../../statistics/ranks.js';
import { ENOUGH_TO_SEPARATE } from '../../statistics/summary.js';
import { bytes, called, listed, middle, rate } from '../cells.js';
import type { ModeReport, Report, Summary } from '../document.js';
import { type Advice, type Field, groupName } from './field.js';
import { bestOf } from './scale.js';

type Level = Report['burst'][number]['levels'][number];

/** A row at the level with its highest throughput. */
interface Peak {
  row: ModeReport;
  level: Level;
  perMinute: Summary;
}

export function parallel({ report, candidates }: Pick<Field, 'report' | 'candidates'>): Advice {
  if (report.burst.length === 0) return { why: 'rerun with --concurrency N' };
  const peaks = candidates.flatMap((row) => peakOf(row, report.burst));
  if (peaks.length < 2) return { why: 'runs a minute are known of fewer than two isolated rows' };
  const waves = Math.min(...peaks.map(({ perMinute }) => perMinute.samples.length));
  if (waves < ENOUGH_TO_SEPARATE)
    return {
      why: `n=${waves} waves a level is too few: at least n=${ENOUGH_TO_SEPARATE} is needed`,
    };
  const best = bestOf(peaks, comparison(peaks));
  const names = (some: readonly Peak[]) => some.map(({ row }) => called(row, report));
  if (best.length === peaks.length)
    return { why: `no significant difference between ${listed(names(peaks))} at n=${waves} waves` };
  return {
    sentence: `Many in parallel: ${groupName(names(best), `n=${waves} waves`)}: ${listed(best.map(inWords))}.`,
    rows: peaks.map(({ row }) => row.entry),
    best: best.map(({ row }) => row.entry),
  };
}

function inWords({ row, level, perMinute }: Peak): string {
  const failed = level.n - level.passed;
  const memory = isGap(row.cost.memoryPeakBytes)
    ? ''
    : `, ${bytes(row.cost.memoryPeakBytes.median)} of memory a run`;
  return `${middle(perMinute, rate)} runs a minute with ${level.level} at once (${failed === 0 ? 'none' : failed} of ${level.n} failed${memory})`;
}

function peakOf(row: ModeReport, burst: Report['burst']): Peak[] {
  const levels = burst.find((candidate) => candidate.entry === row.entry)?.levels ?? [];
  const known = levels.flatMap((level) =>
    isGap(level.runsPerMinute) ? [] : [{ row, level, perMinute: level.runsPerMinute }],
  );
  const [best] = known.sort((level, other) => other.perMinute.median - level.perMinute.median);
  return best ? [best] : [];
}

/**
 * Whether the first row's throughput is significantly higher. Waves of two rows are not paired, so
 * their ranks are compared.
 */
function comparison(peaks: readonly Peak[]): (peak: Peak, other: Peak) => boolean {
  const pairs = peaks.flatMap((a, index) => peaks.slice(index + 1).map((b) => ({ a, b })));
  const adjusted = holm(pairs.map(({ a, b }) => rankSum(a.perMinute.samples, b.perMinute.samples)));
  const differing = pairs.filter((_, index) => (adjusted[index] as number) < ALPHA);
  return (peak, other) =>
    peak.perMinute.median > other.perMinute.median &&
    differing.some(({ a, b }) => (a === peak && b === other) || (a === other && b === peak));
}
