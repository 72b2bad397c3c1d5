// Two matches held against each other: which rows became slower, and whether that may be called a regression.
import { CagematchError } from '../../errors.js';
import { isGap } from '../../record.js';
import type { ModeReport, Report } from '../document.js';
import { pairUp, withoutModel, workWithoutModel } from '../pairs.js';
import { ratioOfMedians, separates, summarizePairs } from '../statistics.js';
import { measured, type Tally } from '../tally.js';
import { type ComparedRow, type ComparisonDocument, MEASURES, type Measure, type Measured } from './comparison.js';
import { differences } from './surroundings.js';

/** A match, and what its rows' numbers are made of. */
export interface Side {
  report: Report;
  tallyOf(entry: string): Tally | undefined;
}

/**
 * @param failOver percent by which a row may be slower
 * @throws `bad-input` where the two do not ask the same, or have no row in common that does
 */
export function compare(base: Side, next: Side, failOver?: number): ComparisonDocument {
  for (const what of ['task', 'state', 'model'] as const) {
    const [a, b] = [base.report.match[what], next.report.match[what]];
    if (a !== b) throw refusal(`the two matches have different ${what}s: ${a} and ${b}`, `cagematch run --${what} ${a}`);
  }
  const pairs = base.report.modes.flatMap((mode) => {
    const other = next.report.modes.find(({ entry }) => entry === mode.entry);
    return other ? [{ base: mode, next: other, why: whyNot(mode, other) }] : [];
  });
  const notCompared = pairs.flatMap(({ base: { entry }, why }) => (why === undefined ? [] : [{ entry, why }]));
  const compared = pairs.filter(({ why }) => why === undefined);
  if (compared.length === 0) {
    const why = notCompared.map((one) => `${one.entry}: ${one.why}`).join('; ');
    throw refusal(`the two matches have no row in common that could be compared${why === '' ? '' : ` (${why})`}`);
  }
  const rows = compared.map((pair) => rowOf(pair.base, pair.next, base, next));
  const around = differences(
    base.report,
    next.report,
    rows.map(({ entry }) => entry),
  );
  const blocking = around.filter(({ blocks }) => blocks);
  const regressions = blocking.length > 0 ? [] : rows.flatMap((row) => regressionsOf(row, failOver));
  const only = (own: Side, other: Side) =>
    own.report.modes.flatMap(({ entry }) => (other.report.modes.some((mode) => mode.entry === entry) ? [] : [entry]));
  const verdict = blocking.length > 0 ? 'withheld' : regressions.length > 0 ? 'regression' : 'none';
  return {
    schemaVersion: 1,
    base: identityOf(base),
    new: identityOf(next),
    task: base.report.match.task,
    state: base.report.match.state,
    model: base.report.match.model,
    differences: around,
    rows,
    notCompared,
    onlyIn: { base: only(base, next), new: only(next, base) },
    warnings: warningsOf(base.report, next.report),
    ...(failOver === undefined ? {} : { failOver }),
    regressions,
    verdict,
    sentence: {
      withheld: () => `not called a regression: ${namesOf(blocking)} differ`,
      regression: () => `regression${over(failOver)}: ${regressions.map((one) => `${one.entry} ${one.what}`).join(', ')}`,
      none: () => `no regression${over(failOver)}`,
    }[verdict](),
  };
}

const refusal = (message: string, hint?: string) => new CagematchError('bad-input', message, hint);
const over = (failOver: number | undefined) => (failOver === undefined ? '' : ` over ${failOver} %`);
const namesOf = (blocking: ComparisonDocument['differences']) =>
  blocking.map(({ of, what }) => (of === 'match' ? what : `${of} ${what}`)).join(', ');
const identityOf = ({ report: { match } }: Side) => ({ match: match.id, startedAt: match.startedAt, how: match.how });

/** Why two rows of one name are not the same thing; undefined where they are. */
function whyNot(base: ModeReport, next: ModeReport): string | undefined {
  const asked = ({ options }: ModeReport) => JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (base.task !== next.task) return `task ${base.task} and ${next.task}`;
  const [a, b] = [base.taskDigest, next.taskDigest];
  if (a !== undefined && b !== undefined && a !== b) return `the task ${base.task} is not the same: its content is ${a} and ${b}`;
  if (base.state !== next.state) return `state ${base.state} and ${next.state}`;
  if (asked(base) !== asked(next)) return `options ${JSON.stringify(base.options)} and ${JSON.stringify(next.options)}`;
  return base.standIn === next.standIn ? undefined : 'one of them is of a stand-in';
}

function rowOf(base: ModeReport, next: ModeReport, baseSide: Side, nextSide: Side): ComparedRow {
  const seed = nextSide.report.match.seed;
  const measureOf = (name: Measure): Measured => {
    if (name === 'tax' && baseSide.report.match.baseline !== nextSide.report.match.baseline) return { gap: 'no-baseline' };
    const [a, b] = [samplesOf(name, base, baseSide), samplesOf(name, next, nextSide)];
    const ratio = ratioOfMedians(b, a, seed);
    const [before, after] = [summarizePairs(a, seed), summarizePairs(b, seed)];
    if (isGap(ratio)) return ratio;
    if (isGap(before) || isGap(after)) return { gap: 'not-reached' };
    const apart = separates(ratio.ci95, Math.min(a.length, b.length));
    const direction = apart === false ? 'not separable' : apart === true ? (ratio.median > 1 ? 'slower' : 'faster') : apart;
    return {
      base: before.median,
      new: after.median,
      n: { base: a.length, new: b.length },
      ratio: ratio.median,
      ci95: ratio.ci95,
      direction,
    };
  };
  const passes = { base: passesOf(base), new: passesOf(next) };
  return {
    entry: base.entry,
    standIn: base.standIn,
    passes: { ...passes, lost: lostPasses(passes.base, passes.new, next) },
    measures: { startup: measureOf('startup'), total: measureOf('total'), tax: measureOf('tax'), work: measureOf('work') },
  };
}

function samplesOf(name: Measure, mode: ModeReport, { report, tallyOf }: Side): ArrayLike<number> {
  if (name === 'startup' || name === 'total') {
    const summary = mode.phasesMs[name];
    return summary === undefined || isGap(summary) ? [] : summary.samples;
  }
  const tally = tallyOf(mode.entry);
  if (!tally) return [];
  if (name === 'work') return measured(workWithoutModel(tally));
  const baseline = report.modes.find(({ entry }) => entry === report.match.baseline);
  const held = baseline?.task === mode.task && baseline.entry !== mode.entry ? tallyOf(baseline.entry) : undefined;
  return held ? pairUp(tally, held, withoutModel).ratios : [];
}

type Passes = ComparedRow['passes']['base'];

function passesOf({ n, passed, failures }: ModeReport): Passes {
  const cutShort = failures.filter(({ outcome }) => outcome.status === 'failed' && outcome.cause === 'interrupted').length;
  return { passed, n: Math.max(passed, n - cutShort) };
}

/** All had passed, and now some fail; or nothing was run at all, because the row could not be prepared. */
function lostPasses(base: Passes, next: Passes, { failures }: ModeReport): boolean {
  if (base.n === 0 || base.passed < base.n) return false;
  return next.passed < next.n || (next.n === 0 && failures.length > 0);
}

/** A row that no longer passes whole is one whatever the limit; one that never did, when its share fell by more than that. */
function regressionsOf(row: ComparedRow, failOver: number | undefined): ComparisonDocument['regressions'] {
  const { base, new: next, lost } = row.passes;
  const share = ({ passed, n }: Passes) => (n === 0 ? Number.NaN : passed / n);
  const fell = failOver !== undefined && (share(base) - share(next)) * 100 > failOver;
  const slower = MEASURES.filter((name) => {
    const measure = row.measures[name];
    return !isGap(measure) && measure.direction === 'slower' && measure.ratio > 1 + (failOver ?? 0) / 100;
  });
  return [...slower, ...(lost || fell ? (['passed'] as const) : [])].map((what) => ({ entry: row.entry, what }));
}

const CUT_SHORT = { done: '', interrupted: 'was interrupted', failed: 'was cut short', crashed: 'has crashed' };

function warningsOf(base: Report, next: Report): string[] {
  const halves = [
    ['BASE', base],
    ['NEW', next],
  ] as const;
  return [
    ...halves.flatMap(([side, { match }]) =>
      match.how === 'done' ? [] : [`${side} (${match.id}) ${CUT_SHORT[match.how]}: only what it had finished is compared`],
    ),
    ...(base.match.id === next.match.id ? ['both are the same match'] : []),
    ...(base.match.baseline === next.match.baseline
      ? []
      : [
          `tax is held against ${base.match.baseline ?? 'nothing'} in BASE and ${next.match.baseline ?? 'nothing'} in NEW: it is not compared`,
        ]),
  ];
}
