// What a finished match speaks for: a fold of its rows, silent where they cannot say.
import type { Recommendation, Report } from './document.js';

export function recommend(_report: Omit<Report, 'recommendation'>): Recommendation {
  return { pareto: [], dominated: [], breakEven: [], profiles: [], silent: [] };
}
