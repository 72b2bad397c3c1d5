// What a match speaks for, for a terminal: a sentence for each use, what it rests on, and why some are missing.
import { coverage } from '../apart.js';
import { listed, roughly } from '../cells.js';
import type { Report } from '../document.js';
import { type Style, wrap } from './lines.js';

/** A match of one row was no comparison: of it nothing is said, not even that nothing can be. */
export function recommendationLines(report: Report): string[] {
  const { pareto, dominated, breakEven, profiles, silent } = report.recommendation;
  if (report.modes.length < 2) return [];
  const beaten = new Map<string, string[]>();
  for (const { entry, by } of dominated) beaten.set(by, [...(beaten.get(by) ?? []), entry]);
  return [
    ...profiles.map(({ sentence }) => sentence),
    ...(pareto.length === 0 ? [] : [`Beaten by no other row in isolation, startup, tax, success and sync at once: ${listed(pareto)}.`]),
    ...(beaten.size === 0 ? [] : [`Beaten: ${[...beaten].map(([by, entries]) => `${listed(entries)} by ${by}`).join('; ')}.`]),
    ...negligible(breakEven),
    ...breakEven
      .filter(({ kind }) => kind === 'overtakes')
      .map(
        ({ entry, against, workMs }) =>
          `${entry} starts later than ${against} but works faster: ahead of it from ${roughly(workMs)} of work on.`,
      ),
    // Where every row has too few runs, one line says that for them all.
    ...(coverage(report) === undefined ? silence(silent) : []),
  ];
}

function negligible(breakEven: Report['recommendation']['breakEven']): string[] {
  const lengths = breakEven.filter(({ kind }) => kind === 'negligible').sort((a, b) => a.workMs - b.workMs);
  const against = [...new Set(lengths.map((one) => one.against))];
  if (lengths.length === 0) return [];
  const each = lengths.map(({ entry, workMs }) => `${entry} ${roughly(workMs)}`);
  return [`Work after which the start-up beyond ${listed(against)}'s is less than 5 % of it: ${each.join(', ')}.`];
}

const nameOf = (profile: string) => (profile === 'pareto' ? 'rows that beat others' : `“${profile}”`);

/** Profiles that are silent for one reason share a line. */
function silence(silent: Report['recommendation']['silent']): string[] {
  const reasons = new Map<string, string[]>();
  for (const { profile, why } of silent) reasons.set(why, [...(reasons.get(why) ?? []), profile]);
  return [...reasons].map(([why, profiles]) => `Nothing is said of ${listed(profiles.map(nameOf))}: ${why}.`);
}

export function renderRecommendation(report: Report, style: Style): string {
  const lines = recommendationLines(report);
  return lines.length === 0
    ? ''
    : [style.bold('what this match speaks for'), ...lines.flatMap((line) => wrap(line, '  ', '    '))].join('\n');
}
