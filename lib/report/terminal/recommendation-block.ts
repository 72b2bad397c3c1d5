// The recommendations of a match for a terminal: a sentence for each use, what dominates what, and
// why some sentences are missing.
import { CRITERIA } from '../advice/pareto.js';
import { coverage } from '../apart.js';
import { listed, middle, roughly } from '../cells.js';
import type { Report } from '../document.js';
import { type Style, wrap } from './lines.js';

type BreakEven = Report['recommendation']['breakEven'][number];

/**
 * A match of one row has nothing to compare: there is no recommendation, and no reason is given.
 */
export function recommendationLines(report: Report): string[] {
  const { pareto, dominated, breakEven, profiles, silent } = report.recommendation;
  if (report.modes.length < 2) return [];
  const byDominator = new Map<string, string[]>();
  for (const { entry, by } of dominated)
    byDominator.set(by, [...(byDominator.get(by) ?? []), entry]);
  return [
    ...profiles.map(({ sentence }) => sentence),
    ...(pareto.length === 0 ? [] : [`Pareto-optimal (${CRITERIA}): ${listed(pareto)}.`]),
    ...[...byDominator].map(([by, entries]) => `Dominated by ${by}: ${listed(entries)}.`),
    ...negligible(breakEven.filter(({ kind }) => kind === 'negligible')),
    ...breakEven
      .filter(({ kind }) => kind === 'overtakes')
      .map(
        (breakEven) =>
          `${breakEven.entry} overtakes ${breakEven.against} on tasks longer than ${lengthOf(breakEven)}.`,
      ),
    // If every row has too few runs, one line below the table states it for all of them.
    ...(coverage(report) === undefined ? silence(silent) : []),
  ];
}

/** An interrupted or crashed match may lack whole rows. */
export function recommendationTitle({ match }: Pick<Report, 'match'>): string {
  return match.how === 'done'
    ? 'recommendations'
    : `recommendations (from a match that ${CUT_SHORT[match.how]})`;
}

const CUT_SHORT = {
  interrupted: 'was interrupted',
  failed: 'failed before its end',
  crashed: 'crashed before its end',
};

function negligible(lengths: readonly BreakEven[]): string[] {
  if (lengths.length === 0) return [];
  return [
    `Task length at which extra start and end drop below 5 %: ${lengths.map((length) => `${length.entry} ${lengthOf(length)}`).join(', ')}.`,
  ];
}

const lengthOf = ({ workMs, ci95 }: BreakEven) => middle({ median: workMs, ci95 }, roughly);

/** Uses that have no sentence for the same reason share a line. */
function silence(silent: Report['recommendation']['silent']): string[] {
  const reasons = new Map<string, string[]>();
  for (const { profile, why } of silent)
    reasons.set(why, [...(reasons.get(why) ?? []), USES[profile] ?? profile]);
  return [...reasons].map(([why, uses]) => `No recommendation for ${listed(uses, 'or')}: ${why}.`);
}

const USES: Record<string, string> = {
  'many in parallel': 'parallel use',
  pareto: 'the Pareto set',
};

export function renderRecommendation(report: Report, style: Style): string {
  const lines = recommendationLines(report);
  return lines.length === 0
    ? ''
    : [
        style.bold(recommendationTitle(report)),
        ...lines.flatMap((line) => wrap(line, '  ', '    ')),
      ].join('\n');
}
