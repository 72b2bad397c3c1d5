// The match for a person at a terminal of 100 columns.
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { isGap, type Leftover } from '../record.js';
import type { ModeReport, Report } from './document.js';

export const WIDTH = 100;

export interface Style {
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
}

const asIs = (text: string) => text;
export const plain: Style = { bold: asIs, good: asIs, bad: asIs, faint: asIs };

const sgr = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`;
export const coloured: Style = { bold: sgr(1, 22), good: sgr(32, 39), bad: sgr(31, 39), faint: sgr(2, 22) };

/** The table, and below it what failed, what is missing and why, and under which conditions it all was measured. */
export function renderTable(report: Report, style: Style = plain): string {
  const parts = [renderRows(report, style), renderFailures(report, style), renderAbsent(report, style), renderNotes(report, style)];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** Over the ratio's column: what the ratio is to. */
export const ratioHead = ({ match }: Report) => `× ${match.baseline ?? 'base'}`;

function renderRows(report: Report, style: Style): string {
  if (report.modes.length === 0) return 'nothing was run';
  const head = ['mode', 'isolation', 'startup ms', ratioHead(report), 'passed', 'sync', 'auth', 'leftovers'];
  const table = borderless(head.map(style.bold), ['left', 'left', 'right', 'right', 'right', 'left', 'left', 'left']);
  for (const mode of report.modes) {
    const all = mode.n > 0 && mode.passed === mode.n;
    table.push([
      `${mode.letter} ${nameOf(mode)}`,
      mode.isolation,
      startup(mode),
      isGap(mode.startupRatio) ? '–' : mode.startupRatio.toFixed(2),
      (all ? style.good : style.bad)(`${mode.passed}/${mode.n}`),
      syncShort(mode.sync),
      authShort(mode),
      leftoversCell(mode, style),
    ]);
  }
  return trimmed(fitted(table));
}

function leftoversCell({ leftovers }: ModeReport, style: Style): string {
  if (isGap(leftovers)) return '–';
  return leftovers.length === 0 ? 'none' : style.bad(leftoversShort(leftovers));
}

export function borderless(head: string[], aligned: ('left' | 'right')[]): InstanceType<typeof Table> {
  const none = Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ].map((name) => [name, '']),
  );
  return new Table({
    head,
    chars: { ...none, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: aligned,
  });
}

/** The table's text without the blanks that fill its last column. */
export function trimmed(table: { toString(): string }): string {
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The table within the width of a page: where it is wider, its widest columns wrap; nothing is cut off. */
export function fitted(table: InstanceType<typeof Table>): InstanceType<typeof Table> {
  const rows = [table.options.head, ...(table as unknown as string[][])];
  const widths = table.options.head.map((_, column) => Math.max(...rows.map((cells) => longestLine(cells[column] ?? ''))));
  const gaps = 2 * (widths.length - 1);
  if (sum(widths) + gaps <= WIDTH) return table;
  while (sum(widths) + gaps > WIDTH) {
    const widest = Math.max(...widths);
    widths[widths.indexOf(widest)] = widest - 1;
  }
  // Between words where every word has room; a word that has none would be cut short, so then anywhere.
  const roomy = rows.every((cells) => cells.every((cell, column) => longestWord(cell) <= (widths[column] ?? 0)));
  Object.assign(table.options, { colWidths: widths, wordWrap: true, wrapOnWordBoundary: roomy });
  return table;
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
const longestWord = (cell: string) =>
  Math.max(
    ...stripVTControlCharacters(cell)
      .split(/\s+/)
      .map((word) => word.length),
  );
const longestLine = (cell: string) => stripVTControlCharacters(cell).length;

export function nameOf(mode: ModeReport): string {
  return mode.standIn ? `${mode.entry} (stand-in)` : mode.entry;
}

function startup(mode: ModeReport): string {
  if (isGap(mode.startupMs)) return '–';
  const { median, ci95 } = mode.startupMs;
  const middle = String(Math.round(median));
  return isGap(ci95) ? middle : `${middle} [${Math.round(ci95[0])}–${Math.round(ci95[1])}]`;
}

/** `live`: files are seen on the host at once. `at collect`: only after the agent has ended. */
export function syncShort(sync: ModeReport['sync']): string {
  if (isGap(sync)) return '–';
  if (sync.in === 'no') return 'not in';
  if (sync.out === 'no') return 'lost';
  if (isGap(sync.out)) return '–';
  return sync.live === 'yes' ? 'live' : 'at collect';
}

export function authShort(mode: ModeReport): string {
  if (isGap(mode.auth)) return '–';
  return isGap(mode.auth.delivered) ? `${mode.auth.path} ?` : mode.auth.path;
}

function leftoversShort(leftovers: Leftover[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of leftovers) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

function renderFailures(report: Report, style: Style): string {
  const lines = report.modes.flatMap((mode) =>
    mode.failures.flatMap(({ run, outcome }) => {
      if (outcome.status === 'passed') return [];
      const line = wrap(`${run}: ${outcome.cause}: ${outcome.message}`, '  ', '    ');
      return [...line.map(style.bad), ...(outcome.hint === undefined ? [] : wrap(`hint: ${outcome.hint}`, '    ', '      '))];
    }),
  );
  return lines.length === 0 ? '' : [style.bold('failed'), ...lines].join('\n');
}

function renderAbsent(report: Report, style: Style): string {
  if (report.absent.length === 0) return '';
  const lines = report.absent.flatMap((one) => [
    ...wrap(`${one.letter} ${one.entry}: ${one.reason}`, '  ', '      '),
    ...wrap(one.hint, '      → ', '        '),
  ]);
  return [style.bold('not here, and what would change that'), ...lines].join('\n');
}

function renderNotes(report: Report, style: Style): string {
  const { match } = report;
  const warnings = report.warnings.flatMap((warning) => wrap(`warning: ${warning.message}`, '', '  '));
  const standIns = report.modes.some((mode) => mode.standIn)
    ? ["(stand-in): a program that enforces a runtime's contract; its numbers are no finding"]
    : [];
  const how =
    match.how === 'done'
      ? []
      : [`this match was ${match.how === 'interrupted' ? 'interrupted' : `cut short (${match.how})`}; the rows hold what was finished`];
  const conditions = `startup: launch to the agent's first model request, median${report.modes.some((mode) => !isGap(mode.startupMs) && !isGap(mode.startupMs.ci95)) ? ' [95 % interval]' : ''}; ${match.runs} round${match.runs === 1 ? '' : 's'}, state ${match.state}, seed ${match.seed}`;
  const model = `model: ${match.model} (${match.modelWhy})`;
  return [...warnings, ...standIns, ...how, ...[conditions, model].flatMap((line) => wrap(line, '', '  ').map(style.faint))].join('\n');
}

/** What a runtime or an agent said may hold control sequences; a report holds none but its own. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}+/gu, ' ');
}

/** Breaks a text into lines of at most 100 columns; a word that is longer stands alone. */
export function wrap(text: string, first: string, rest: string): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of printable(text).split(/\s+/)) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
