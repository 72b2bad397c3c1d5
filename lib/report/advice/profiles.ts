// One sentence for each kind of use, where the rows can bear it; else why there is none.

import { isGap } from '../../record.js';
import { called, duration, listed, middle, ratio, roughly } from '../cells.js';
import type { ModeReport, Recommendation, Report } from '../document.js';
import { segmentsOf } from '../segments.js';
import { ENOUGH_TO_SEPARATE } from '../statistics.js';
import { worksFaster } from './break-even.js';
import { parallel } from './parallel.js';
import { type Scale, STRENGTH } from './standing.js';

type Profile = Recommendation['profiles'][number]['profile'];

/** What is said and the rows that it rests on; or why nothing is. */
export type Said = { sentence: string; rows: string[] } | { why: string };

/** What the profiles choose from. */
export interface Field {
  report: Omit<Report, 'recommendation'>;
  /** Isolated, no stand-ins, passed in every run. */
  candidates: ModeReport[];
  base: ModeReport | undefined;
  scale: Scale;
  breakEven: Recommendation['breakEven'];
}

const PROFILES: Record<Profile, (field: Field) => Said> = {
  'short tasks': shortTasks,
  'long tasks': longTasks,
  'hostile code': hostileCode,
  'many in parallel': parallel,
};

export function profilesOf(field: Field): Pick<Recommendation, 'profiles' | 'silent'> {
  const none = noChoice(field);
  const profiles: Recommendation['profiles'] = [];
  const silent: Recommendation['silent'] = [];
  for (const [profile, say] of Object.entries(PROFILES) as [Profile, (field: Field) => Said][]) {
    const said = none === undefined ? say(field) : { why: none };
    if ('why' in said) silent.push({ profile, why: said.why });
    else profiles.push({ profile, sentence: `${profile.charAt(0).toUpperCase()}${profile.slice(1)}: ${said.sentence}.`, rows: said.rows });
  }
  return { profiles, silent };
}

/** Why no profile can choose, where that is so. */
function noChoice({ report, candidates }: Field): string | undefined {
  const isolated = report.modes.filter((row) => row.isolation !== 'none');
  if (new Set(report.modes.map((row) => row.task)).size > 1) return 'the rows do different tasks';
  if (isolated.length === 0) return 'no row is isolated';
  if (isolated.every((row) => row.standIn)) return "a stand-in's numbers are no finding";
  const [only] = candidates;
  if (!only) return 'no isolated row passed in every run';
  return candidates.length === 1 ? `only ${only.entry} is isolated and passed in every run: there is nothing to choose from` : undefined;
}

/** Of few pairs nothing can be told, however far apart they seem. */
function tooFew(rows: readonly ModeReport[]): string | undefined {
  const n = Math.min(...rows.map((row) => row.passed));
  return n < ENOUGH_TO_SEPARATE ? `n=${n}: below n=${ENOUGH_TO_SEPARATE} no two rows can be told apart` : undefined;
}

/** The lowest of start and end; what it is paid for, on a short task. */
function shortTasks({ report, candidates, base, scale }: Field): Said {
  const few = tooFew(candidates);
  if (few !== undefined) return { why: few };
  const known = candidates.flatMap((row) => {
    const { end } = segmentsOf(row);
    return isGap(row.startupMs) || isGap(end) ? [] : [{ row, end, around: row.startupMs.median + end }];
  });
  const [best, ...others] = known.sort((one, other) => one.around - other.around);
  if (!best || others.length === 0) return { why: 'start and end are known of fewer than two isolated rows' };
  const alike = others
    .map(({ row }) => row)
    .filter((row) => scale.startup(best.row.entry, row.entry) !== 'less' && scale.total(best.row.entry, row.entry) !== 'less');
  if (alike.length === others.length) return { why: `${called(best.row, report)} is ahead, but cannot be told apart from any other row` };
  return {
    sentence: `${called(best.row, report)} starts in ${startOf(best.row, base)}, and is gone ${duration(best.end)} after the result${notTold(alike, best.row, report)}`,
    rows: rowsOf([best.row, ...alike], base),
  };
}

/** The lowest ratio of work; how it starts is by then no matter. */
function longTasks({ report, candidates, base, scale, breakEven }: Field): Said {
  if (!base) return { why: 'no baseline to hold the work against' };
  const few = tooFew([...candidates, base]);
  if (few !== undefined) return { why: few };
  const known = candidates.flatMap((row) => (isGap(row.workRatio) ? [] : [{ row, rate: row.workRatio.median }]));
  const [best, ...others] = known.sort((one, other) => one.rate - other.rate);
  if (!best || others.length === 0) return { why: 'work is known of fewer than two isolated rows' };
  const alike = others.map(({ row }) => row).filter((row) => !worksFaster(best.row, row, base, scale));
  if (alike.length === others.length)
    return { why: `${called(best.row, report)} is ahead, but its work cannot be told apart from any other row's` };
  const after = breakEven.find((one) => one.kind === 'negligible' && one.entry === best.row.entry);
  const start = after ? `; from ${roughly(after.workMs)} of work on, its extra start-up is under 5 %` : '';
  return {
    sentence: `${called(best.row, report)} works at ${middle(best.row.workRatio, (value) => value.toFixed(2))} × ${base.entry}, the least${start}${notTold(alike, best.row, report)}`,
    rows: rowsOf([best.row, ...alike], base),
  };
}

/** The strongest isolation, which is declared and so known at any n; within it the fastest, which is not. */
function hostileCode({ report, candidates, base, scale }: Field): Said {
  const strongest = Math.max(...candidates.map((row) => STRENGTH[row.isolation]));
  const [best, ...others] = candidates
    .filter((row) => STRENGTH[row.isolation] === strongest && !isGap(row.startupMs))
    .sort((one, other) => startupOf(one) - startupOf(other));
  if (!best) return { why: 'no startup is known of the rows with the strongest isolation' };
  const few = others.length > 0 ? tooFew([best, ...others]) : undefined;
  if (few !== undefined) return { why: `${listed([best, ...others].map((row) => row.entry))} are as strong, and ${few}` };
  const alike = others.filter((row) => scale.startup(best.entry, row.entry) !== 'less');
  const kernel = strongest <= STRENGTH.container ? "; it shares this machine's kernel" : '';
  const among = others.length > 0 ? 'the fastest of the strongest isolation' : 'the strongest isolation';
  return {
    sentence: `${called(best, report)} is ${among} that passed in every run (${best.isolation}, ${best.passed}/${best.n}), and starts in ${startOf(best, base)}${notTold(alike, best, report)}${kernel}; isolation is what the runtime declares: cagematch probe tries it from inside`,
    rows: rowsOf([best, ...alike], base),
  };
}

const startupOf = ({ startupMs }: ModeReport) => (isGap(startupMs) ? Number.POSITIVE_INFINITY : startupMs.median);

/** `520 ms [501–542], 1.28 × host` */
function startOf({ startupMs, startupRatio }: ModeReport, base: ModeReport | undefined): string {
  if (isGap(startupMs)) return '–';
  const interval = isGap(startupMs.ci95) ? '' : ` [${startupMs.ci95.map((end) => Math.round(end)).join('–')}]`;
  return `${duration(startupMs.median)}${interval}${base && !isGap(startupRatio) ? `, ${ratio(startupRatio)} × ${base.entry}` : ''}`;
}

/** @param of n is its own count of runs: all of them passed */
function notTold(alike: readonly ModeReport[], of: ModeReport, report: Pick<Report, 'match'>): string {
  return alike.length === 0 ? '' : `; ${listed(alike.map((row) => called(row, report)))} cannot be told apart from it at n=${of.passed}`;
}

const rowsOf = (rows: readonly ModeReport[], base: ModeReport | undefined) => [
  ...new Set([...rows.map((row) => row.entry), ...(base ? [base.entry] : [])]),
];
