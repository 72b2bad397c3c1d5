// Joint result of tasks of several lengths: for each sandbox a fixed cost and a cost per
// millisecond of work, fitted round by round.
import { mean } from 'simple-statistics';
import { type Entry, type Gap, isGap } from '../record/types.js';
import { ALPHA, canReject, differenceEstimate, type Family } from '../statistics/inference.js';
import { signedRank } from '../statistics/ranks.js';
import type { Paired, Report } from './document.js';
import { type Series, withoutModel, workWithoutModel } from './pairs.js';
import type { Tally } from './tally.js';

type Lengths = NonNullable<Report['lengths']>;

export interface LengthRow
  extends Pick<
    Entry,
    'entry' | 'mode' | 'variant' | 'label' | 'task' | 'state' | 'options' | 'deliver'
  > {
  tally: Tally;
}

/** One sandbox in which several tasks were run. */
interface Sandbox {
  name: string;
  state: Entry['state'];
  options: string;
  /** Keyed by task. */
  rows: ReadonlyMap<string, LengthRow>;
}

/** The line through the tasks of one round: total = intercept + slope × the baseline's work. */
interface Line {
  intercept: number;
  slope: number;
}

/**
 * @param baseline a row of the sandbox whose work measures a task's length
 * @param family the family that the tests of slopes and intercepts join
 * @returns undefined if fewer than two sandboxes, including the baseline, ran at least two tasks;
 *   otherwise a function that returns the result, to be called after every other test has joined
 *   the family
 */
export function testLengths(
  rows: readonly LengthRow[],
  baseline: string | undefined,
  family: Family,
): (() => Lengths) | undefined {
  const sandboxes = sandboxesOf(rows);
  const base = sandboxes.find((sandbox) =>
    [...sandbox.rows.values()].some(({ entry }) => entry === baseline),
  );
  if (!base) return undefined;
  const tasks = [...base.rows.keys()];
  const fitted = sandboxes
    .map((sandbox) => ({ sandbox, lines: linesOf(sandbox, base, tasks) }))
    .filter(({ lines }) => lines.size > 0);
  if (fitted.length < 2) return undefined;
  const comparisons = compareLines(fitted, base, family);
  return () => ({
    baseline: base.name,
    tasks,
    fits: fitted.map(({ sandbox, lines }) => ({
      sandbox: sandbox.name,
      entries: tasks.flatMap((task) => sandbox.rows.get(task)?.entry ?? []),
      n: lines.size,
      interceptMs: middleOf([...lines.values()].map(({ intercept }) => intercept)),
      slope: middleOf([...lines.values()].map(({ slope }) => slope)),
    })),
    comparisons: comparisons(),
  });
}

/**
 * Groups rows that differ in nothing but the task: same mode, variant, state, options and
 * credential delivery, and the same label apart from the task's.
 */
function sandboxesOf(rows: readonly LengthRow[]): Sandbox[] {
  const groups = new Map<string, Map<string, LengthRow[]>>();
  for (const row of rows) {
    const key = JSON.stringify([row.mode, row.variant, row.state, optionsOf(row), row.deliver]);
    const stem = stemOf(row);
    const stems = groups.get(key) ?? new Map<string, LengthRow[]>();
    groups.set(key, stems.set(stem, [...(stems.get(stem) ?? []), row]));
  }
  return [...groups.values()].flatMap((stems) => {
    const all = [...stems.values()].flat();
    // If each task was run once, the labels do not matter.
    const parts: [string, LengthRow[]][] = hasOneRowPerTask(all)
      ? [[[...stems.keys()][0] ?? '', all]]
      : [...stems];
    return parts.flatMap(([stem, some]) => {
      const [first] = some;
      if (!first || some.length < 2 || !hasOneRowPerTask(some)) return [];
      const { mode, variant } = first;
      const name = `${mode}${variant === undefined ? '' : `:${variant}`}${stem === '' ? '' : `@${stem}`}`;
      return [
        {
          name,
          state: first.state,
          options: optionsOf(first),
          rows: new Map(some.map((row) => [row.task, row])),
        },
      ];
    });
  });
}

const optionsOf = ({ options }: LengthRow) => JSON.stringify(Object.entries(options).toSorted());

const hasOneRowPerTask = (rows: readonly LengthRow[]) =>
  new Set(rows.map(({ task }) => task)).size === rows.length;

/** A label without the task name that it ends in. */
function stemOf({ label = '', task }: LengthRow): string {
  const end = task.replace(/[^a-zA-Z0-9]+/g, '-');
  if (label === end) return '';
  return label.endsWith(`-${end}`) ? label.slice(0, -end.length - 1) : label;
}

/** One line per round in which this sandbox and the baseline passed every task. */
function linesOf(sandbox: Sandbox, base: Sandbox, tasks: readonly string[]): Map<number, Line> {
  const lines = new Map<number, Line>();
  const first = tasks[0] === undefined ? undefined : sandbox.rows.get(tasks[0]);
  for (const round of first?.tally.rounds ?? []) {
    const points = tasks.map((task) => ({
      x: valueIn(base.rows.get(task), round, workWithoutModel),
      y: valueIn(sandbox.rows.get(task), round, withoutModel),
    }));
    const line = points.some(({ x, y }) => Number.isNaN(x) || Number.isNaN(y))
      ? undefined
      : lineThrough(points);
    if (line) lines.set(round, line);
  }
  return lines;
}

function valueIn(row: LengthRow | undefined, round: number, series: Series): number {
  const place = row?.tally.placeOf(round);
  return row === undefined || place === undefined
    ? Number.NaN
    : (series(row.tally)[place] ?? Number.NaN);
}

/**
 * Least squares; for two points the line through both. Undefined if all tasks took equally long.
 */
function lineThrough(points: readonly { x: number; y: number }[]): Line | undefined {
  const [x, y] = [mean(points.map((point) => point.x)), mean(points.map((point) => point.y))];
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  if (spread === 0) return undefined;
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
  return { intercept: y - slope * x, slope };
}

interface Fitted {
  sandbox: Sandbox;
  lines: Map<number, Line>;
}

/**
 * Compares every two sandboxes with the same state and options, in the rounds they have in common.
 */
function compareLines(
  fitted: readonly Fitted[],
  base: Sandbox,
  family: Family,
): () => Lengths['comparisons'] {
  const pairs = fitted.flatMap((a, index) =>
    fitted.slice(index + 1).flatMap((b) => {
      // The baseline has no options, and its extra cost is the reference for sandboxes with any
      // options.
      const isWithBase = a.sandbox === base || b.sandbox === base;
      if (
        a.sandbox.state !== b.sandbox.state ||
        (a.sandbox.options !== b.sandbox.options && !isWithBase)
      )
        return [];
      const both = [...a.lines].flatMap(([round, line]) => {
        const other = b.lines.get(round);
        return other
          ? [{ intercept: line.intercept - other.intercept, slope: line.slope - other.slope }]
          : [];
      });
      return both.length === 0 ? [] : [{ a: a.sandbox.name, b: b.sandbox.name, both }];
    }),
  );
  const adjusted = family.add(
    pairs.flatMap(({ both }) => [
      signedRank(both.map(({ intercept }) => intercept)),
      signedRank(both.map(({ slope }) => slope)),
    ]),
  );
  return () => {
    const ps = adjusted();
    return pairs.map(({ a, b, both }, index) => {
      const separable = (p: number) => (canReject(both.length, family.tests) ? p < ALPHA : TOO_FEW);
      const compare = (values: number[], p: number) => ({
        difference: middleOf(values),
        p,
        separable: separable(p),
      });
      const intercept = compare(
        both.map((fit) => fit.intercept),
        ps[2 * index] as number,
      );
      const slope = compare(
        both.map((fit) => fit.slope),
        ps[2 * index + 1] as number,
      );
      const areOpposed = intercept.difference.median * slope.difference.median < 0;
      const crosses = areOpposed && intercept.separable === true && slope.separable === true;
      return {
        a,
        b,
        n: both.length,
        intercept,
        slope,
        equalAtMs: crosses ? crossing(both) : NO_CROSSING,
      };
    });
  };
}

const NO_CROSSING: Gap = { gap: 'not-applicable' };
const TOO_FEW: Gap = { gap: 'too-few-runs' };

/** The Hodges–Lehmann estimate, with its interval. */
function middleOf(values: readonly number[]): Paired {
  const { estimate, ci95 } = differenceEstimate(values);
  return { median: estimate, ci95 };
}

/** Far above any task: an interval that reaches this value has no upper end. */
const LONGEST_MS = 1e9;

/**
 * The baseline's work at which both take equally long. The interval contains every length at which
 * the paired differences of the totals could be 0, according to the interval of their centre.
 */
function crossing(both: readonly Line[]): Paired | Gap {
  const at = (work: number) =>
    middleOf(both.map(({ intercept, slope }) => intercept + slope * work));
  const sign = Math.sign(at(0).median);
  const rootOf = (value: (paired: Paired) => number) =>
    bisect((work) => sign * value(at(work)) > 0);
  const bound = (end: 0 | 1) =>
    rootOf(({ median, ci95 }) => (isGap(ci95) ? median : (ci95[end] as number)));
  const median = rootOf((paired) => paired.median);
  const [first, other] = [bound(0), bound(1)];
  if (median === undefined) return NO_CROSSING;
  return {
    median,
    ci95:
      first === undefined || other === undefined
        ? { gap: 'not-applicable' }
        : [Math.min(first, other), Math.max(first, other)],
  };
}

/**
 * The length up to which the condition holds; undefined if it never holds or never stops holding.
 */
function bisect(holds: (work: number) => boolean): number | undefined {
  if (!holds(0) || holds(LONGEST_MS)) return undefined;
  let [low, high] = [0, LONGEST_MS];
  while (high - low > 0.5) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
