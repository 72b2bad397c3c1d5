// The conditions under which a match was measured: the last lines of its table.
import { isGap } from '../../record/types.js';
import { driftLine } from '../apart.js';
import { bundleLines } from '../bundles.js';
import { baselineName, tasksOf } from '../cells.js';
import { insideAlike, loadWords } from '../circumstances.js';
import type { Report } from '../document.js';
import { plantedSentences } from '../planted.js';
import { type Style, wrap } from './lines.js';

/**
 * `--runs auto` continues until the interval of every startup ratio is within this share of the
 * ratio.
 */
const PRECISE = 0.05;

/**
 * Optional columns that fitted into the table: the cost of a whole run, the interval of startup in
 * ms, and the isolation, which a row's letter suggests. The interval of the ratio is always shown.
 */
export interface Shown {
  taxed: boolean;
  interval: boolean;
  isolation: boolean;
}

/** @param shown the optional columns that the table has */
export function renderNotes(report: Report, style: Style, shown: Shown): string {
  const { match } = report;
  const warnings = report.warnings.flatMap((warning) =>
    wrap(`warning: ${warning.message}`, '', '  '),
  );
  const drift = [driftLine(report) ?? []]
    .flat()
    .flatMap((line) => wrap(`warning: ${line}`, '', '  '));
  const planted = plantedSentences(report).flatMap((line) => wrap(line, '', '  ').map(style.bad));
  const standIns = report.modes.some((mode) => mode.standIn)
    ? ["(stand-in): a program that enforces a runtime's contract; its numbers are no finding"]
    : [];
  const how =
    match.how === 'done'
      ? []
      : [
          `this match was ${match.how === 'interrupted' ? 'interrupted' : `cut short (${match.how})`}; the rows hold what was finished`,
        ];
  const bundles = bundleLines(report).flatMap((line) => wrap(line, '', '  '));
  return [
    ...warnings,
    ...drift,
    ...planted,
    ...bundles,
    ...standIns,
    ...how,
    ...[conditions(report, shown), `model: ${match.model} (${match.modelWhy})`].flatMap((line) =>
      wrap(line, '', '  ').map(style.faint),
    ),
  ].join('\n');
}

/** Describes the column about whole runs. */
export const totalHead = (report: Report) =>
  `overhead: launch to gone${report.match.model === 'live' ? ' without model time' : ''}, against ${baselineName(report)} in the same round`;

function conditions(report: Report, { taxed, interval: inMs }: Shown): string {
  const { match } = report;
  const from = match.state === 'warm' ? 'exec into the idle sandbox' : 'launch';
  const total = taxed ? [totalHead(report)] : [];
  const warmup = match.warmup === 0 ? [] : [`${match.warmup} warm-up`];
  const load = loadWords(match) ?? [];
  const inside = insideAlike(report) ?? [];
  return [
    `startup: ${from} to the agent's first model request, median${inMs ? interval(report) : ''}`,
    ...(match.baseline === undefined || interval(report) === ''
      ? []
      : [`× ${baselineName(report)}: paired by round${interval(report)}`]),
    ...total,
    "sync: of the agent's own file; all kinds: cagematch probe --only sync",
    [
      roundsOf(report),
      ...warmup,
      `task ${tasksOf(report).join(' and ')}`,
      `state ${match.state}`,
      `seed ${match.seed}`,
    ]
      .concat(load)
      .join(', '),
  ]
    .concat(inside)
    .join('; ');
}

/**
 * Describes the content of the brackets; '' with fewer than six samples, for which there are no
 * brackets.
 */
export function interval({ modes }: Report): string {
  const shown = modes.filter((mode) => !isGap(mode.startupMs) && !isGap(mode.startupMs.ci95));
  if (shown.length === 0) return '';
  return ' [95 % interval]';
}

export function roundsOf({ match, modes }: Report): string {
  const rounds = `${match.rounds} round${match.rounds === 1 ? '' : 's'}`;
  if (match.until === 'count')
    return match.rounds === match.runs ? rounds : `${match.rounds} of ${match.runs} rounds`;
  const wide = modes.flatMap(({ entry, startupMs, startupRatio }) => {
    const known = isGap(startupRatio) ? startupMs : startupRatio;
    if (isGap(known)) return [];
    const { median, ci95 } = known;
    return isGap(ci95) || Math.max(ci95[1] - median, median - ci95[0]) > PRECISE * median
      ? [entry]
      : [];
  });
  return `${rounds} (auto, at most ${match.runs}; ${wide.length === 0 ? 'every ratio of startups is known to ±5 %' : `wider than ±5 %: ${wide.join(' ')}`})`;
}
