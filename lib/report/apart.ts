// Rows without a significant difference, condensed; rows shown to be equal; how far a few runs can
// be trusted; outliers.
import { isGap } from '../record/types.js';
import { ENOUGH_TO_SEPARATE } from '../statistics/summary.js';
import { duration, listed, nameOf, namesOf } from './cells.js';
import type { Report } from './document.js';
import { type Style, wrap } from './terminal/lines.js';

const MEASURES = ['startup', 'total'] as const;
type Pair = { a: string; b: string; n: number; separable: boolean; equal: boolean };

/** Pairs with enough passed rounds to be judged. */
function pairsOf(
  { comparisons }: Pick<Report, 'comparisons'>,
  what: (typeof MEASURES)[number],
): Pair[] {
  return comparisons.flatMap(({ a, b, n, total, ...ofStartup }) => {
    const comparison = what === 'startup' ? ofStartup : total;
    if (isGap(comparison) || isGap(comparison.separable)) return [];
    return [{ a, b, n, separable: comparison.separable, equal: comparison.equal === true }];
  });
}

/**
 * Groups rows, in the order of the table, so that no two rows of a group differ. "No difference" is
 * not transitive: a row may be in two groups, and two rows that fit into no larger group form a
 * group of their own.
 */
function groupsOf(rows: readonly string[], alike: (a: string, b: string) => boolean): string[][] {
  const groups: string[][] = [];
  const together = (a: string, b: string) =>
    groups.some((group) => group.includes(a) && group.includes(b));
  for (const [at, first] of rows.entries())
    for (const second of rows.slice(at + 1)) {
      if (!alike(first, second) || together(first, second)) continue;
      const group = [first, second];
      for (const other of rows)
        if (!group.includes(other) && group.every((member) => alike(member, other)))
          group.push(other);
      groups.push(rows.filter((row) => group.includes(row)));
    }
  return groups;
}

function grouped(report: Pick<Report, 'modes'>, pairs: readonly Pair[]): string {
  const keys = new Set(
    pairs.flatMap(({ a, b }) => [JSON.stringify([a, b]), JSON.stringify([b, a])]),
  );
  const rows = report.modes.map(({ entry }) => entry);
  const name = namesOf(report);
  return groupsOf(rows, (a, b) => keys.has(JSON.stringify([a, b])))
    .map((group) => listed(group.map(name)))
    .join('; ');
}

/**
 * For startup and total: the groups without a significant difference, and the groups shown to be
 * equal.
 */
export function apartLines(report: Pick<Report, 'comparisons' | 'modes'>): string[] {
  return MEASURES.flatMap((what) => {
    const pairs = pairsOf(report, what);
    if (pairs.length === 0) return [];
    const alike = pairs.filter(({ separable }) => !separable);
    const equal = pairs.filter(({ equal }) => equal);
    const counts = (alike.length > 0 ? alike : pairs).map(({ n }) => n);
    const [least, most] = [Math.min(...counts), Math.max(...counts)];
    const n = least === most ? `n=${least}` : `n=${least} to ${most}`;
    return [
      alike.length === 0
        ? `${what}, ${n}: none; every two rows differ`
        : `${what}, ${n}: ${grouped(report, alike)}`,
      ...(equal.length === 0
        ? []
        : [`${what}, shown to be within ±5 % of each other: ${grouped(report, equal)}`]),
    ];
  });
}

/** The smallest difference this match could have detected, and how many rounds would detect 5 %. */
export function resolutionLines({ resolution }: Pick<Report, 'resolution'>): string[] {
  return MEASURES.flatMap((what) => {
    const known = resolution[what];
    if (isGap(known)) return [];
    const { detectable, runsForFivePercent, n } = known;
    const needed = `for 5 % n≈${runsForFivePercent} is needed`;
    return [
      isGap(detectable)
        ? `${what}: n=${n} can show no difference between so many rows (n=${resolution.fewestPairs} is the least); ${needed}`
        : `${what}: n=${n} would have shown a difference of ${percent(detectable - 1)} in 9 of 10 matches; ${needed}`,
    ];
  });
}

const percent = (share: number) =>
  `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;

/**
 * Warning if the machine's pace changed during the match: a row's ms then depend on when it ran,
 * and only ratios are valid.
 */
export function driftLine({ drift }: Pick<Report, 'drift'>): string | undefined {
  if (isGap(drift) || !drift.drifted) return undefined;
  const change = (drift.secondHalf - 1) * 100;
  const halves = `the second half of the rounds was ${Math.abs(change).toFixed(1)} % ${change > 0 ? 'slower' : 'faster'} than the first`;
  return `the machine drifted: ${halves}, the correlation of a round with the one before is ${drift.lag1.toFixed(2)}; trust the ratios, the intervals of ms are too narrow`;
}

export function renderApart(report: Report, style: Style): string {
  const block = (title: string, lines: string[]) =>
    lines.length === 0
      ? []
      : [[style.bold(title), ...lines.flatMap((line) => wrap(line, '  ', '    '))].join('\n')];
  return [
    ...block('no significant difference', apartLines(report)),
    ...block('what this match could have seen', resolutionLines(report)),
  ].join('\n\n');
}

/**
 * Warning if no row has enough runs. If only some rows lack runs, their `passed` column shows it.
 */
export function coverage({
  modes,
  resolution,
}: Pick<Report, 'modes' | 'resolution'>): string | undefined {
  const n = Math.max(0, ...modes.map((mode) => mode.passed));
  if (n === 0 || n >= ENOUGH_TO_SEPARATE) return undefined;
  const rows = modes.length > 1 ? ', and no two rows can be told apart' : '';
  return `at n=${n} there is no 95 % interval${rows}; --runs ${Math.max(12, resolution.fewestPairs)}, or --runs auto`;
}

/**
 * How many outliers of a row are named; the rest are counted here and listed in full in the JSON.
 */
const NAMED = 5;

export function outlierLines({ modes }: Pick<Report, 'modes'>): string[] {
  return modes.flatMap((mode) => {
    const { outliers, passed } = mode;
    if (outliers.length === 0) return [];
    const named = outliers.slice(0, NAMED).map(({ run, ms }) => `${run} ${duration(ms)}`);
    const more = outliers.length - named.length;
    return [
      `${nameOf(mode)}: ${outliers.length} of ${passed}: ${listed([...named, ...(more > 0 ? [`${more} more`] : [])])}`,
    ];
  });
}

export function renderOutliers(report: Report, style: Style): string {
  const lines = outlierLines(report);
  return lines.length === 0
    ? ''
    : [
        style.bold('startup outliers (included in all statistics)'),
        ...lines.flatMap((line) => wrap(line, '  ', '    ')),
      ].join('\n');
}
