// The match for a person at a terminal of 100 columns: the answer first, then its basis.
import { isGap } from '../../record/types.js';
import { coverage, renderApart, renderOutliers } from '../apart.js';
import {
  authShort,
  failuresOf,
  isTaxed,
  leftoversShort,
  middle,
  nameOf,
  pairedRatio,
  ratio,
  ratioHead,
  settingsOf,
  syncShort,
  whole,
} from '../cells.js';
import { doubts, firstRunLine } from '../circumstances.js';
import type { ModeReport, Report } from '../document.js';
import type { ProbeDocument } from '../probe/document.js';
import { whereProbed } from '../probe/words.js';
import { renderBurst } from './burst-block.js';
import { renderCost } from './cost-block.js';
import { renderLengths } from './lengths-block.js';
import { borderless, fits, fitted, plain, type Style, trimmed, wrap } from './lines.js';
import { renderNotes, type Shown } from './notes.js';
import { renderPlaces } from './places-block.js';
import { renderRecommendation } from './recommendation-block.js';
import { renderTime } from './time-block.js';

// Re-exported for callers that choose the table's style.
export { coloured, plain, WIDTH } from './lines.js';

/**
 * One block per topic that has content.
 * @param probes probes of the same machine, cited for files, walls and overhead
 */
export function renderTable(
  report: Report,
  style: Style = plain,
  probes: readonly ProbeDocument[] = [],
): string {
  const table = rowsOf(report, style);
  const parts = [
    doubts(report)
      .flatMap((line) => wrap(`warning: ${line}`, '', '  '))
      .map(style.bad)
      .join('\n'),
    [table.text, ...settings(report), ...coverageLines(report)].join('\n'),
    renderFailures(report, style),
    renderRecommendation(report, style),
    renderTime(report, style),
    wrap(firstRunLine(report) ?? '', '', '  ')
      .map(style.faint)
      .join('\n'),
    renderLengths(report, style),
    renderCost(report, style),
    renderBurst(report, style),
    renderPlaces(report, style),
    renderApart(report, style),
    renderOutliers(report, style),
    renderAbsent(report, style),
    probes.flatMap((probe) => wrap(whereProbed(probe), '', '  ')).join('\n'),
    renderNotes(report, style, table),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function rowsOf(report: Report, style: Style): Shown & { text: string } {
  if (report.modes.length === 0)
    return { text: 'nothing was run', taxed: false, interval: false, isolation: false };
  const wishes: Shown[] = [
    { taxed: true, interval: true, isolation: true },
    { taxed: true, interval: false, isolation: true },
    { taxed: false, interval: true, isolation: true },
    { taxed: false, interval: false, isolation: true },
  ];
  for (const shown of wishes) {
    const table = shown.taxed && !isTaxed(report) ? undefined : rows(report, style, shown);
    if (table && fits(table)) return { text: trimmed(table), ...shown };
  }
  const last: Shown = { taxed: false, interval: false, isolation: false };
  return { text: trimmed(fitted(rows(report, style, last))), ...last };
}

function coverageLines(report: Report): string[] {
  const few = coverage(report);
  return few === undefined ? [] : ['', ...wrap(few, '', '  ')];
}

function rows(
  report: Report,
  style: Style,
  { taxed, interval, isolation }: Shown,
): ReturnType<typeof borderless> {
  const head = [
    'mode',
    ...(isolation ? ['isolation'] : []),
    'startup ms',
    ratioHead(report),
    ...(taxed ? ['overhead ×'] : []),
    ...['passed', 'sync', 'auth', 'leftovers'],
  ];
  const table = borderless(head.map(style.bold), [
    ...(['left', ...(isolation ? (['left'] as const) : []), 'right', 'right'] as const),
    ...(taxed ? (['right'] as const) : []),
    ...(['right', 'left', 'left', 'left'] as const),
  ]);
  for (const mode of report.modes) {
    const all = mode.n > 0 && mode.passed === mode.n;
    table.push([
      `${mode.letter} ${nameOf(mode)}`,
      ...(isolation ? [mode.isolation] : []),
      interval ? middle(mode.startupMs) : whole(mode.startupMs),
      pairedRatio(mode.startupRatio),
      ...(taxed ? [ratio(mode.taxRatio)] : []),
      (all ? style.good : style.bad)(`${mode.passed}/${mode.n}`),
      syncShort(mode.sync),
      authShort(mode),
      leftoversCell(mode, style),
    ]);
  }
  return table;
}

function leftoversCell({ leftovers }: ModeReport, style: Style): string {
  if (isGap(leftovers)) return '–';
  return leftovers.length === 0 ? 'none' : style.bad(leftoversShort(leftovers));
}

function settings(report: Report): string[] {
  return report.modes.flatMap((mode) => {
    const own = settingsOf(mode, report);
    return own === '' ? [] : wrap(`${nameOf(mode)}: ${own}`, '  ', '    ');
  });
}

function renderFailures(report: Report, style: Style): string {
  const lines = report.modes
    .flatMap(failuresOf)
    .flatMap(({ runs, cause, message, hint }) => [
      ...wrap(`${runs}: ${cause}: ${message}`, '  ', '    ').map(style.bad),
      ...(hint === undefined ? [] : wrap(`hint: ${hint}`, '    ', '      ')),
    ]);
  return lines.length === 0 ? '' : [style.bold('failed'), ...lines].join('\n');
}

export function renderAbsent(report: Pick<Report, 'absent'>, style: Style): string {
  if (report.absent.length === 0) return '';
  const lines = report.absent.flatMap((row) => [
    ...wrap(`${row.letter} ${row.entry}: ${row.reason}`, '  ', '      '),
    ...wrap(row.hint, '      → ', '        '),
  ]);
  return [style.bold('unavailable runtimes, and how to enable them'), ...lines].join('\n');
}
