// Compares two matches: which rows became slower relative to their baseline, and whether that is a
// regression.
import { median } from 'simple-statistics';
import { CagematchError } from '../../errors.js';
import { type Gap, isGap, type Outcome } from '../../record/types.js';
import type { ModeReport, Report } from '../document.js';
import { pairUp, type Series, startup, withoutModel } from '../pairs.js';
import { measured, type Tally } from '../tally.js';
import type { ComparisonDocument, Control, Difference, Measure } from './comparison.js';
import { changeOf, type Evidence, judge, type Samples } from './judge.js';
import { concluded } from './sentence.js';
import { differences } from './surroundings.js';

/** A match, and the tallies that its rows' numbers are computed from. */
export interface Side {
  report: Report;
  tallyOf(entry: string): Tally | undefined;
}

export const SERIES: Record<Measure, Series> = { startup, total: withoutModel };

/**
 * @param failOver percentage by which a row may become slower
 * @throws `bad-input` if the two have different tasks, states or models, or no comparable row in
 *   common
 */
export function compare(base: Side, next: Side, failOver?: number): ComparisonDocument {
  for (const what of ['task', 'state', 'model'] as const) {
    const [a, b] = [base.report.match[what], next.report.match[what]];
    if (a !== b)
      throw refusal(
        `the two matches have different ${what}s: ${a} and ${b}`,
        `cagematch run --${what} ${a}`,
      );
  }
  const pairs = base.report.modes.flatMap((mode) => {
    const other = next.report.modes.find(({ entry }) => entry === mode.entry);
    return other ? [{ base: mode, next: other, why: whyNot(mode, other) }] : [];
  });
  const notCompared = pairs.flatMap(({ base: { entry }, why }) =>
    why === undefined ? [] : [{ entry, why }],
  );
  const compared = pairs.filter(({ why }) => why === undefined);
  if (compared.length === 0) {
    const why = notCompared.map((row) => `${row.entry}: ${row.why}`).join('; ');
    throw refusal(
      `the two matches have no row in common that could be compared${why === '' ? '' : ` (${why})`}`,
    );
  }
  const conditions = differences(
    base.report,
    next.report,
    compared.map((pair) => pair.base.entry),
  );
  const blocking = conditions.filter(({ of: subject, blocks }) => subject === 'match' && blocks);
  const rows = compared.map((pair) => evidenceOf(pair.base, pair.next, base, next, conditions));
  const judged = judge(rows, failOver);
  const same = base.report.match.id === next.report.match.id;
  const regressions = same || blocking.length > 0 ? [] : judged.regressions;
  const only = (own: Side, other: Side) =>
    own.report.modes.flatMap(({ entry }) =>
      other.report.modes.some((mode) => mode.entry === entry) ? [] : [entry],
    );
  const onlyIn = { base: only(base, next), new: only(next, base) };
  const baseline = baselineOf(base, next, (entry) =>
    compared.some((pair) => pair.base.entry === entry),
  );
  return {
    schemaVersion: 2,
    kind: 'matches',
    base: identityOf(base),
    new: identityOf(next),
    task: base.report.match.task,
    state: base.report.match.state,
    model: base.report.match.model,
    ...(baseline === undefined ? {} : { baseline, control: controlOf(baseline, base, next) }),
    differences: conditions,
    rows: judged.rows,
    notCompared,
    onlyIn,
    warnings: warningsOf(base.report, next.report),
    tests: judged.tests,
    ...(failOver === undefined ? {} : { failOver }),
    regressions,
    ...concluded({ rows: judged.rows, regressions, notCompared, onlyIn, failOver, blocking, same }),
  };
}

const refusal = (message: string, hint?: string) => new CagematchError('bad-input', message, hint);
export const identityOf = ({ report: { match } }: Side) => ({
  match: match.id,
  startedAt: match.startedAt,
  how: match.how,
});

/** Why two rows with the same name are not comparable; undefined if they are. */
function whyNot(base: ModeReport, next: ModeReport): string | undefined {
  const asked = ({ options }: ModeReport) =>
    JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (base.task !== next.task) return `task ${base.task} and ${next.task}`;
  const [a, b] = [base.taskDigest, next.taskDigest];
  if (a !== undefined && b !== undefined && a !== b)
    return `the task ${base.task} is not the same: its content is ${a} and ${b}`;
  if (base.state !== next.state) return `state ${base.state} and ${next.state}`;
  if (asked(base) !== asked(next))
    return `options ${JSON.stringify(base.options)} and ${JSON.stringify(next.options)}`;
  if (base.deliver !== undefined && next.deliver !== undefined && base.deliver !== next.deliver)
    return `the credential goes in by ${base.deliver} and ${next.deliver}`;
  return base.standIn === next.standIn ? undefined : 'one of them is of a stand-in';
}

/** The row that both matches use as the baseline; undefined if it is not the same in both. */
function baselineOf(
  base: Side,
  next: Side,
  isCompared: (entry: string) => boolean,
): string | undefined {
  const entry = base.report.match.baseline;
  return entry !== undefined && entry === next.report.match.baseline && isCompared(entry)
    ? entry
    : undefined;
}

/**
 * The baseline's row. For a row with another task: the row of the baseline's mode and variant that
 * ran that task.
 */
function referenceOf(mode: ModeReport, { report }: Side): ModeReport | undefined {
  const baseline = report.modes.find(({ entry }) => entry === report.match.baseline);
  if (!baseline || baseline.task === mode.task) return baseline;
  return report.modes.find(
    (other) =>
      other.mode === baseline.mode &&
      other.variant === baseline.variant &&
      other.task === mode.task,
  );
}

function evidenceOf(
  base: ModeReport,
  next: ModeReport,
  baseSide: Side,
  nextSide: Side,
  conditions: readonly Difference[],
): Evidence {
  const { entry } = base;
  const [reference, other] = [referenceOf(base, baseSide), referenceOf(next, nextSide)];
  const speed = (name: Measure): Samples | Gap => {
    if (!reference || !other || reference.entry !== other.entry) return { gap: 'no-baseline' };
    // The row is the baseline itself: its own change is the machine's.
    if (reference.entry === entry) return { gap: 'not-applicable' };
    const ratios = (side: Side) =>
      ratiosOf(side.tallyOf(entry), side.tallyOf(reference.entry), SERIES[name]);
    return { paired: false, base: ratios(baseSide), next: ratios(nextSide) };
  };
  const differing = conditions.filter(
    ({ of: subject, blocks }) => blocks && (subject === entry || subject === reference?.entry),
  );
  return {
    entry,
    standIn: base.standIn,
    passes: { base: passesOf(base), new: passesOf(next) },
    speed: { startup: speed('startup'), total: speed('total') },
    unprepared:
      next.n === 0 && base.n > 0 && next.failures.some(({ outcome }) => !isInterrupted(outcome)),
    blocked:
      differing.length === 0
        ? undefined
        : differing
            .map(
              ({ of: subject, what }) =>
                `${subject === entry ? '' : `${subject}'s `}${what} differs`,
            )
            .join(', '),
  };
}

function ratiosOf(own: Tally | undefined, reference: Tally | undefined, series: Series): number[] {
  return own && reference ? pairUp(own, reference, series).ratios.filter((ratio) => ratio > 0) : [];
}

function controlOf(
  entry: string,
  base: Side,
  next: Side,
): NonNullable<ComparisonDocument['control']> {
  const change = (name: Measure): Control => {
    const times = (side: Side) => {
      const tally = side.tallyOf(entry);
      return tally ? Array.from(measured(SERIES[name](tally))).filter((ms) => ms > 0) : [];
    };
    const samples = { paired: false, base: times(base), next: times(next) };
    const found = changeOf(samples);
    if (isGap(found)) return found;
    const { change, ci95 } = found;
    const separable = isGap(ci95) ? ci95 : ci95[0] > 1 || ci95[1] < 1;
    return { base: median(samples.base), new: median(samples.next), change, ci95, separable };
  };
  return { entry, startup: change('startup'), total: change('total') };
}

/** Passes among the runs that were not interrupted. */
export function passesOf({ n, passed, failures }: ModeReport): Evidence['passes']['base'] {
  const cutShort = failures.filter(({ outcome }) => isInterrupted(outcome)).length;
  return { passed, n: Math.max(passed, n - cutShort) };
}

export const isInterrupted = (outcome: Outcome) =>
  outcome.status === 'failed' && outcome.cause === 'interrupted';

const CUT_SHORT = {
  done: '',
  interrupted: 'was interrupted',
  failed: 'was cut short',
  crashed: 'has crashed',
};

function warningsOf(base: Report, next: Report): string[] {
  const halves = [
    ['BASE', base],
    ['NEW', next],
  ] as const;
  return halves.flatMap(([side, { match }]) =>
    match.how === 'done'
      ? []
      : [`${side} (${match.id}) ${CUT_SHORT[match.how]}: only what it had finished is compared`],
  );
}
