// Two versions of a setup that ran in the same rounds of one match: each row's NEW is compared with
// its BASE, round by round.
import type { Gap } from '../../record/types.js';
import type { ModeReport } from '../document.js';
import type { Series } from '../pairs.js';
import type { Tally } from '../tally.js';
import { identityOf, isInterrupted, passesOf, SERIES, type Side } from './compare.js';
import type { ComparisonDocument, Difference } from './comparison.js';
import { type Evidence, judge, type Samples } from './judge.js';
import { concluded } from './sentence.js';

/** One row of both versions: its name in them, and the labels under which it ran. */
export interface Twin {
  entry: string;
  base: string;
  next: string;
}

/** The versions and rows that were run interleaved. */
export interface Interleaving {
  /** The files that contain the versions. */
  from: { base: string; new: string };
  twins: readonly Twin[];
  onlyIn: ComparisonDocument['onlyIn'];
}

/** @param failOver percentage by which a row may become slower */
export function compareInterleaved(
  match: Side,
  { from, twins, onlyIn }: Interleaving,
  failOver?: number,
): ComparisonDocument {
  const rowOf = (entry: string) => match.report.modes.find((mode) => mode.entry === entry);
  const pairs = twins.map((twin) => ({ ...twin, a: rowOf(twin.base), b: rowOf(twin.next) }));
  const rows = pairs.flatMap(({ a, b, ...twin }) =>
    a && b ? [evidenceOf(twin, a, b, match)] : [],
  );
  const notCompared = pairs.flatMap(({ entry, a, b }) =>
    a && b ? [] : [{ entry, why: whyAbsent(entry, match) }],
  );
  const judged = judge(rows, failOver);
  const { report } = match;
  return {
    schemaVersion: 2,
    kind: 'interleaved',
    base: { ...identityOf(match), from: from.base },
    new: { ...identityOf(match), from: from.new },
    task: report.match.task,
    state: report.match.state,
    model: report.match.model,
    differences: pairs.flatMap(({ entry, a, b }) => (a && b ? settingsApart(entry, a, b) : [])),
    rows: judged.rows,
    notCompared,
    onlyIn,
    warnings:
      report.match.how === 'done'
        ? []
        : [`the match is ${report.match.how}: only what it had finished is compared`],
    tests: judged.tests,
    ...(failOver === undefined ? {} : { failOver }),
    regressions: judged.regressions,
    ...concluded({
      rows: judged.rows,
      regressions: judged.regressions,
      notCompared,
      onlyIn,
      failOver,
      blocking: [],
      same: false,
    }),
  };
}

function whyAbsent(entry: string, { report }: Side): string {
  const [name] = entry.split('@');
  return (
    report.absent.find((row) => row.entry.split('@')[0] === name)?.reason ??
    'it has no row in the match'
  );
}

function evidenceOf(twin: Twin, a: ModeReport, b: ModeReport, { tallyOf }: Side): Evidence {
  const speed = (series: Series): Samples | Gap => {
    const [base, next] = [tallyOf(twin.base), tallyOf(twin.next)];
    return base && next ? inTheSameRounds(base, next, series) : { gap: 'not-reached' };
  };
  return {
    entry: twin.entry,
    standIn: a.standIn || b.standIn,
    passes: { base: passesOf(a), new: passesOf(b) },
    speed: { startup: speed(SERIES.startup), total: speed(SERIES.total) },
    unprepared: b.n === 0 && a.n > 0 && b.failures.some(({ outcome }) => !isInterrupted(outcome)),
    blocked: undefined,
  };
}

/** Times of both versions in the rounds in which both passed. */
function inTheSameRounds(base: Tally, next: Tally, series: Series): Samples | Gap {
  const [before, after] = [series(base), series(next)];
  const samples = { paired: true, base: [] as number[], next: [] as number[] };
  for (const [place, round] of base.rounds.entries()) {
    const [own, other] = [before[place] as number, after[next.placeOf(round) ?? -1] ?? Number.NaN];
    if (!(own > 0 && other > 0)) continue;
    samples.base.push(own);
    samples.next.push(other);
  }
  return samples.base.length === 0 ? { gap: 'not-reached' } : samples;
}

/**
 * Settings that were requested differently. They are the subject of the comparison, so none of them
 * blocks.
 */
function settingsApart(entry: string, a: ModeReport, b: ModeReport): Difference[] {
  const settings = ({ state, deliver, options }: ModeReport): Record<string, unknown> => ({
    state,
    deliver,
    ...options,
  });
  const [base, next] = [settings(a), settings(b)];
  const shown = (value: unknown) => (value === undefined ? 'as usual' : String(value));
  return [...new Set([...Object.keys(base), ...Object.keys(next)])].flatMap((what) =>
    shown(base[what]) === shown(next[what])
      ? []
      : [{ of: entry, what, base: shown(base[what]), new: shown(next[what]), blocks: false }],
  );
}
