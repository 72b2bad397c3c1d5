// Are the statements of a report justified? Simulated matches, folded by the product's own code:
// the rate of false findings among equal rows, and the detection of a true difference.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../lib/package.js';
import { isGap } from '../lib/record/types.js';
import type { Report } from '../lib/report/document.js';
import { type Noise, simulateMatch, type TrueRow } from './known-truth.js';
import { type Benchmark, type Options, samples, type Verdict } from './verdict.js';

/** Numbers of rounds for the matches of equal rows. */
const ROUNDS = [6, 7, 8, 10, 12, 15, 20, 30, 50];
/** The number of rounds that `run --help` recommends for a decision. */
const RECOMMENDED = 12;
const OF_LENGTHS = [12, 20, 50];
const AMONG_OTHERS = [10, RECOMMENDED, 15, 20];
const MATCHES = 400;
/** Seeds below this one were used to choose the recommended number of rounds. */
const FIRST_SEED = 1001;
const QUICK = 10;

const MOST_FALSE = 0.05;
const LEAST_SEEN = 0.9;

/** As measured in an audit of recorded matches. */
const EQUAL_NOISE: Noise = { run: 0.05, round: 0.03 };
const APART_NOISE: Noise = { run: 0.045, round: 0.03 };

const EQUAL: TrueRow = { isolation: 'container', startup: 500, work: 190, end: 60 };
export const EQUAL_ROWS = Object.fromEntries(
  [...'abcdefg'].map((label) => [`row@${label}`, EQUAL]),
);

/**
 * Startup, work and end differ as much as in a recorded match of seven rows; `@slower` is `@same`
 * plus 10 %.
 */
const DISTANT_ROWS: Record<string, TrueRow> = {
  bare: { isolation: 'none', startup: 452, work: 187, end: 42 },
  jail: { isolation: 'os-sandbox', startup: 763, work: 265, end: 37 },
  box: { isolation: 'container', startup: 684, work: 189, end: 119 },
  sentry: { isolation: 'user-kernel', startup: 1594, work: 729, end: 134 },
  'pod@same': { isolation: 'container', startup: 572, work: 192, end: 101 },
  system: { isolation: 'system-container', startup: 1014, work: 262, end: 793 },
};
const SAME = DISTANT_ROWS['pod@same'] as TrueRow;
const slowerBy = (factor: number): Record<string, TrueRow> => ({
  ...DISTANT_ROWS,
  'pod@slower': {
    ...SAME,
    startup: SAME.startup * factor,
    work: SAME.work * factor,
    end: SAME.end * factor,
  },
});

/** Seven sandboxes with equal costs, each with a short and a long task. */
const TWO_LENGTHS = Object.fromEntries(
  [...'abcdefg'].flatMap((name, at) =>
    [
      { task: 'short', work: 190 },
      { task: 'long', work: 1900 },
    ].map(({ task, work }): [string, TrueRow] => [
      `${name}@${task}`,
      { isolation: at === 0 ? 'none' : 'container', startup: 500, work, end: 60, task },
    ]),
  ),
);

/**
 * False statements in a report on sandboxes with equal costs, about either task and about tasks of
 * other lengths.
 */
export function falseOfLengths({ comparisons, lengths, recommendation }: Report): string[] {
  return [
    ...falsePairs(comparisons),
    ...(lengths?.comparisons ?? []).flatMap(({ a, b, intercept, slope }) => [
      ...(intercept.separable === true ? [`intercepts of ${a} and ${b} differ`] : []),
      ...(slope.separable === true ? [`slopes of ${a} and ${b} differ`] : []),
    ]),
    ...recommendation.profiles.flatMap(({ profile, best }) =>
      profile === 'long tasks' ? [`long tasks: only ${best.join(', ')}`] : [],
    ),
  ];
}

/** The false statements in a report on equal rows. */
export function falseStatements({ comparisons, recommendation, modes }: Report): string[] {
  const { pareto, dominated, profiles } = recommendation;
  return [
    ...falsePairs(comparisons),
    ...dominated.map(({ entry, by }) => `${by} dominates ${entry}`),
    ...profiles.flatMap(({ profile, best }) =>
      best.length < modes.length ? [`${profile}: only ${best.join(', ')}`] : [],
    ),
    ...(pareto.length > 0 && pareto.length < modes.length
      ? [`Pareto-optimal: only ${pareto.join(', ')}`]
      : []),
  ];
}

function falsePairs(comparisons: Report['comparisons']): string[] {
  return comparisons.flatMap(({ a, b, separable, total }) => [
    ...(separable === true ? [`startup of ${a} and ${b} differs`] : []),
    ...(!isGap(total) && total.separable === true ? [`total of ${a} and ${b} differs`] : []),
  ]);
}

export function pairOf({ comparisons }: Pick<Report, 'comparisons'>, row: string, other: string) {
  return comparisons.find(({ a, b }) => (a === row && b === other) || (a === other && b === row));
}

/**
 * `equal`: seven equal rows. `two lengths`: seven equal sandboxes with two tasks each. `two equal`:
 * two equal rows among seven. `slower`: like `two equal`, but one of the two is a tenth slower.
 */
type Scenario = 'equal' | 'two lengths' | 'two equal' | 'slower';

interface Sample {
  scenario: Scenario;
  rounds: number;
  matches: number;
  /** The first and the last seed of the matches; all integers in between are used. */
  seeds: [first: number, last: number];
  /**
   * Numbers of matches with a false statement, and of those that call the pair, or any two equal
   * rows, different in startup or total.
   */
  false: number;
  startup: number;
  total: number;
}

export const SCENARIOS: [Scenario, number][] = [
  ...ROUNDS.map((rounds): [Scenario, number] => ['equal', rounds]),
  ...OF_LENGTHS.map((rounds): [Scenario, number] => ['two lengths', rounds]),
  ...AMONG_OTHERS.map((rounds): [Scenario, number] => ['two equal', rounds]),
  ...AMONG_OTHERS.map((rounds): [Scenario, number] => ['slower', rounds]),
];

export const benchmark: Benchmark = {
  about: `${MATCHES} simulated matches of equal rows at each of ${ROUNDS.length} lengths: at most 5 % state a difference; a true 10 % is seen; minutes`,
  async run(options) {
    const all = SCENARIOS.map(([scenario, rounds]) => sampleOf(scenario, rounds, options));
    if (!options.quick && options.count === undefined && options.seed === undefined)
      keep(all, options);
    return all.map(verdictOf);
  },
};

export function sampleOf(scenario: Scenario, rounds: number, options: Options): Sample {
  const sample =
    scenario === 'equal' || scenario === 'two lengths'
      ? equalRows(scenario, rounds, options)
      : pairAmongOthers(scenario, rounds, options);
  options.say(JSON.stringify(sample));
  return sample;
}

function seedsOf(options: Options): { first: number; count: number } {
  return { first: options.seed ?? FIRST_SEED, count: samples(options, MATCHES, QUICK) };
}

function equalRows(scenario: 'equal' | 'two lengths', rounds: number, options: Options): Sample {
  const [rows, wrongIn] =
    scenario === 'equal' ? [EQUAL_ROWS, falseStatements] : [TWO_LENGTHS, falseOfLengths];
  const { first, count } = seedsOf(options);
  const sample: Sample = {
    scenario,
    rounds,
    matches: count,
    seeds: [first, first + count - 1],
    false: 0,
    startup: 0,
    total: 0,
  };
  for (let seed = first; seed < first + count; seed += 1) {
    const report = simulateMatch(rows, rounds, EQUAL_NOISE, seed);
    if (wrongIn(report).length > 0) sample.false += 1;
    if (report.comparisons.some(({ separable }) => separable === true)) sample.startup += 1;
    if (report.comparisons.some(({ total }) => !isGap(total) && total.separable === true))
      sample.total += 1;
  }
  return sample;
}

function pairAmongOthers(scenario: Scenario, rounds: number, options: Options): Sample {
  const factor = scenario === 'slower' ? 1.1 : 1;
  const { first, count } = seedsOf(options);
  const sample: Sample = {
    scenario,
    rounds,
    matches: count,
    seeds: [first, first + count - 1],
    false: 0,
    startup: 0,
    total: 0,
  };
  for (let seed = first; seed < first + count; seed += 1) {
    const report = simulateMatch(slowerBy(factor), rounds, APART_NOISE, seed);
    const pair = pairOf(report, 'pod@same', 'pod@slower');
    const startup = pair?.separable === true;
    const total = pair !== undefined && !isGap(pair.total) && pair.total.separable === true;
    if (startup) sample.startup += 1;
    if (total) sample.total += 1;
    if (factor === 1 ? startup || total : prefersSlower(report)) sample.false += 1;
  }
  return sample;
}

/** True if a statement prefers the truly slower row of the two. */
function prefersSlower({ recommendation: { dominated, profiles } }: Report): boolean {
  return (
    dominated.some(({ entry, by }) => entry === 'pod@same' && by === 'pod@slower') ||
    profiles.some(({ best }) => best.includes('pod@slower') && !best.includes('pod@same'))
  );
}

function verdictOf({ scenario, rounds, matches, false: wrong, startup, total }: Sample): Verdict {
  const common = { n: matches, unit: '' };
  const share = (count: number) => count / matches;
  if (scenario === 'slower') {
    const limit = rounds === RECOMMENDED ? { limit: LEAST_SEEN, sense: 'least' as const } : {};
    const note = `by total ${share(total)}; the slower preferred in ${share(wrong)}`;
    return {
      ...common,
      name: `a true 10 % seen in startup at n=${rounds}`,
      value: share(startup),
      ...limit,
      note,
    };
  }
  const name = {
    equal: 'matches of seven equal rows',
    'two lengths': 'matches of seven equal sandboxes with two tasks',
    'two equal': 'matches with two equal rows among seven',
  }[scenario];
  return {
    ...common,
    name: `${name} that state a difference at n=${rounds}`,
    value: share(wrong),
    limit: MOST_FALSE,
  };
}

/** Saves the counts beside the source, if it is present, with the seeds that reproduce them. */
function keep(all: Sample[], options: Options): void {
  const file = join(packageRoot, 'bench/samples/findings.csv');
  if (!existsSync(join(packageRoot, 'bench/findings.ts'))) return;
  mkdirSync(dirname(file), { recursive: true });
  const lines = all.map(({ seeds: [first, last], ...view }) =>
    [
      view.scenario,
      view.rounds,
      view.matches,
      first,
      last,
      view.false,
      view.startup,
      view.total,
    ].join(','),
  );
  writeFileSync(
    file,
    `scenario,rounds,matches,first_seed,last_seed,false,startup,total\n${lines.join('\n')}\n`,
  );
  options.say(`samples: ${file}`);
}
