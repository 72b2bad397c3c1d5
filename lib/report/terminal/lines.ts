// What lines at a terminal are made of: its width, its styles, tables without borders, words that wrap.
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';

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

const rowsOf = (table: InstanceType<typeof Table>) => [table.options.head, ...(table as unknown as string[][])];

function columnWidths(table: InstanceType<typeof Table>): number[] {
  const rows = rowsOf(table);
  return table.options.head.map((_, column) => Math.max(...rows.map((cells) => longestLine(cells[column] ?? ''))));
}

/** In columns, before anything wraps. */
export function widthOf(table: InstanceType<typeof Table>): number {
  const widths = columnWidths(table);
  return sum(widths) + 2 * (widths.length - 1);
}

export const fits = (table: InstanceType<typeof Table>) => widthOf(table) <= WIDTH;

/** The table within the width of a page: where it is wider, its widest columns wrap; nothing is cut off. */
export function fitted(table: InstanceType<typeof Table>): InstanceType<typeof Table> {
  if (fits(table)) return table;
  const rows = rowsOf(table);
  const widths = columnWidths(table);
  const gaps = 2 * (widths.length - 1);
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
