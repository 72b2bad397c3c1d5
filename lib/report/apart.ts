// Which rows cannot be told apart, in few lines; how far a few runs can be trusted; and what lies far out.
import { isGap } from '../record.js';
import { duration, listed, nameOf, namesOf } from './cells.js';
import type { Report } from './document.js';
import { ENOUGH_TO_SEPARATE, mostCoverage } from './statistics.js';
import { type Style, wrap } from './terminal/lines.js';

interface Apart {
  what: 'startup' | 'total';
  /** Rows of which no two could be told apart; a row may stand in several groups. */
  groups: string[][];
  /** Rounds in which both of a pair passed, least and most: of the pairs in the groups; of all pairs, where there is no group. */
  n: [number, number];
}

/** @returns what was compared often enough to say, startup and total each; nothing where nothing was */
function apartOf({ comparisons }: Pick<Report, 'comparisons'>): Apart[] {
  return (['startup', 'total'] as const).flatMap((what) => {
    const pairs = comparisons.flatMap(({ a, b, n, separable, total }) => {
      const told = what === 'startup' ? separable : isGap(total) ? total : total.separable;
      return isGap(told) ? [] : [{ a, b, n, told }];
    });
    if (pairs.length === 0) return [];
    const alike = pairs.filter(({ told }) => !told);
    const counts = (alike.length > 0 ? alike : pairs).map(({ n }) => n);
    return [{ what, groups: cliques(alike.map(({ a, b }) => [a, b])), n: [Math.min(...counts), Math.max(...counts)] }];
  });
}

/** Every largest group in which each is paired with each (Bron and Kerbosch): "not told apart" need not carry over from pair to pair. */
function cliques(pairs: [string, string][]): string[][] {
  const near = new Map<string, Set<string>>();
  for (const [a, b] of [...pairs, ...pairs.map(([a, b]): [string, string] => [b, a])]) near.set(a, (near.get(a) ?? new Set()).add(b));
  const found: string[][] = [];
  const grow = (group: string[], candidates: string[], done: string[]) => {
    if (candidates.length === 0 && done.length === 0) found.push(group);
    for (const [at, next] of candidates.entries()) {
      const isNear = (other: string) => near.get(next)?.has(other) === true;
      grow([...group, next], candidates.slice(at + 1).filter(isNear), [...done, ...candidates.slice(0, at)].filter(isNear));
    }
  };
  grow([], [...near.keys()], []);
  return found.filter((group) => group.length > 1);
}

const countOf = ([least, most]: Apart['n']) => (least === most ? `n=${least}` : `n=${least} to ${most}`);

/** One line each for startup and total. */
export function apartLines(report: Pick<Report, 'comparisons' | 'modes'>): string[] {
  const name = namesOf(report);
  return apartOf(report).map(({ what, groups, n }) =>
    groups.length === 0
      ? `${what}: none; every two rows are separable at ${countOf(n)}`
      : `${what}: not separable at ${countOf(n)}: ${groups.map((group) => group.map(name).join(' = ')).join('; ')}`,
  );
}

export function renderApart(report: Report, style: Style): string {
  const lines = apartLines(report);
  return lines.length === 0 ? '' : [style.bold('cannot be told apart'), ...lines.flatMap((line) => wrap(line, '  ', '    '))].join('\n');
}

/** Said where no row has runs enough; a row that lacks them alone is seen in its `passed`. */
export function coverage({ modes }: Pick<Report, 'modes'>): string | undefined {
  const n = Math.max(0, ...modes.map((mode) => mode.passed));
  if (n === 0 || n >= ENOUGH_TO_SEPARATE) return undefined;
  const held = n < 3 ? 'there is no interval' : `an interval covers ${Math.floor(100 * mostCoverage(n))} % at best`;
  return `at n=${n} ${held}${modes.length > 1 ? ', and no two rows can be told apart' : ''}; --runs 10, or --runs auto`;
}

/** So many outliers of a row are named; the rest are counted, and whole in the JSON. */
const NAMED = 5;

export function outlierLines({ modes }: Pick<Report, 'modes'>): string[] {
  return modes.flatMap((mode) => {
    const { outliers, passed } = mode;
    if (outliers.length === 0) return [];
    const named = outliers.slice(0, NAMED).map(({ run, ms }) => `${run} ${duration(ms)}`);
    const more = outliers.length - named.length;
    return [`${nameOf(mode)}: ${outliers.length} of ${passed}: ${listed([...named, ...(more > 0 ? [`${more} more`] : [])])}`];
  });
}

export function renderOutliers(report: Report, style: Style): string {
  const lines = outlierLines(report);
  return lines.length === 0
    ? ''
    : [style.bold('startups far out, kept in every number'), ...lines.flatMap((line) => wrap(line, '  ', '    '))].join('\n');
}
