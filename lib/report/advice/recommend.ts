// What a finished match speaks for: a fold of its rows, silent where they cannot say.
import { isGap } from '../../record.js';
import type { Recommendation, Report } from '../document.js';
import { breakEvens } from './break-even.js';
import { profilesOf } from './profiles.js';
import { createScale, paretoSet } from './standing.js';

/** Stand-ins stay out of it whole: they are not recommended, and nothing is held against them. */
export function recommend(report: Omit<Report, 'recommendation'>): Recommendation {
  const scale = createScale(report.comparisons);
  const real = report.modes.filter((row) => !row.standIn && row.passed > 0 && !isGap(row.startupMs));
  const told = real.some((row) => real.some((other) => row !== other && scale.startup(row.entry, other.entry) !== 'unknown'));
  const breakEven = breakEvens(real, report, scale);
  const candidates = real.filter((row) => row.isolation !== 'none' && row.passed === row.n);
  const base = real.find((row) => row.entry === report.match.baseline);
  const { profiles, silent } = profilesOf({ report, candidates, base, scale, breakEven });
  return {
    ...(told ? paretoSet(real, scale) : { pareto: [], dominated: [] }),
    breakEven,
    profiles,
    silent: told ? silent : [{ profile: 'pareto', why: whyUntold(real.length) }, ...silent],
  };
}

const whyUntold = (rows: number) =>
  rows < 2 ? 'fewer than two rows have numbers of their own' : 'no two rows were run in rounds enough to be told apart';
