// Which sandboxes slow long tasks down least, judged by the slope fitted to tasks of different
// lengths, never by a single length.
import { isGap } from '../../record/types.js';
import { listed, middle } from '../cells.js';
import type { Report } from '../document.js';
import {
  type Advice,
  completed,
  type Field,
  groupName,
  tooFewToDiffer,
  whyNoCandidate,
} from './field.js';
import { bestOf } from './scale.js';

type Lengths = NonNullable<Report['lengths']>;
type Fit = Lengths['fits'][number];

const RERUN = 'rerun with --task hello --task refactor';

export function longTasks({ report }: Pick<Field, 'report'>): Advice {
  const { lengths } = report;
  if (!lengths) return { why: `one task length says nothing about another: ${RERUN}` };
  const isolated = lengths.fits.flatMap((fit) => {
    const rows = fit.entries.flatMap(
      (entry) => report.modes.find((mode) => mode.entry === entry) ?? [],
    );
    return rows.some((row) => row.isolation === 'none' || row.standIn)
      ? []
      : [{ fit, why: rows.map(whyNoCandidate).find(Boolean), rows }];
  });
  const candidates = isolated.filter(({ why }) => why === undefined).map(({ fit }) => fit);
  const leftOut = isolated.flatMap(({ fit, why }) =>
    why === undefined ? [] : [`${fit.sandbox} (${why})`],
  );
  if (candidates.length < 2)
    return { why: 'fewer than two isolated sandboxes passed in every run of every task' };
  const pairs = pairsAmong(candidates, lengths);
  if (pairs.length === 0) return { why: 'the sandboxes have no state and options in common' };
  const n = Math.min(...pairs.map((pair) => pair.n));
  const needed = report.resolution.fewestPairs;
  if (n < needed) return { why: tooFewToDiffer(n, needed) };
  const best = bestOf(candidates, (row, other) => hasLowerSlope(row, other, pairs));
  if (best.length === candidates.length)
    return {
      why: `no significant difference in slope between ${listed(candidates.map(({ sandbox }) => sandbox))} at n=${n}`,
    };
  const fewest = Math.min(...isolated.flatMap(({ rows }) => rows.map(completed)));
  const group = groupName(
    best.map(({ sandbox }) => sandbox),
    `n=${n}`,
  );
  const left = leftOut.length === 0 ? '' : `; left out: ${leftOut.join(', ')}`;
  return {
    sentence: `Long tasks: ${group}: ${listed(best.map(inWords))} (fitted to ${listed(lengths.tasks)}, n=${fewest})${left}.`,
    rows: [...best, ...lengths.fits.filter(({ sandbox }) => sandbox === lengths.baseline)].flatMap(
      ({ entries }) => entries,
    ),
    best: best.map(({ sandbox }) => sandbox),
  };
}

const inWords = ({ interceptMs, slope }: Fit) =>
  `${middle(interceptMs)} ms + ${middle(slope, (value) => value.toFixed(2))} × host's work`;

function pairsAmong(fits: readonly Fit[], { comparisons }: Lengths) {
  const names = new Set(fits.map(({ sandbox }) => sandbox));
  return comparisons.filter(({ a, b }) => names.has(a) && names.has(b));
}

function hasLowerSlope(row: Fit, other: Fit, pairs: Lengths['comparisons']): boolean {
  return pairs.some(({ a, b, slope }) => {
    if (isGap(slope.separable) || !slope.separable) return false;
    if (a === row.sandbox && b === other.sandbox) return slope.difference.median < 0;
    return a === other.sandbox && b === row.sandbox && slope.difference.median > 0;
  });
}
