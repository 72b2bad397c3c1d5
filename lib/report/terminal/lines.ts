// What lines at a terminal are made of: its width, its styles, tables without borders, words that wrap.
import Table from 'cli-table3';
import { printable, STYLES, terminalText } from '../../printable.js';

export const WIDTH = 100;

export interface Style {
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
}

export const plain: Style = { bold: printable, good: printable, bad: printable, faint: printable };

/** All that was given a style here: a table takes it as it is, and makes everything else printable. */
const styled = new Set<string>();

const sgr =
  ([on, off]: readonly [number, number]) =>
  (text: string) => {
    const made = `\u001b[${on}m${printable(text)}\u001b[${off}m`;
    styled.add(made);
    return made;
  };
export const coloured: Style = {
  bold: sgr(STYLES.bold),
  good: sgr(STYLES.good),
  bad: sgr(STYLES.bad),
  faint: sgr(STYLES.faint),
};

const cellText = (cell: string) => (styled.has(cell) ? cell : printable(cell));

/** A table without borders. What its cells contain is made printable, but for the styles above. */
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
  const table = new Table({
    head: head.map(cellText),
    chars: { ...none, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: aligned,
  });
  const push = table.push.bind(table) as (...rows: string[][]) => number;
  table.push = (...rows) => push(...(rows as string[][]).map((cells) => cells.map(cellText)));
  return table;
}

/** The table's text without the blanks that fill its last column. */
export function trimmed(table: { toString(): string }): string {
  return terminalText(table.toString())
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
  const room = (column: number) => widths[column] ?? 0;
  const broken = (cells: string[]) => cells.map((cell, column) => inLines(cell, room(column), roomy));
  table.options.head = broken(table.options.head);
  for (const [at, cells] of (table as unknown as string[][]).entries()) table[at] = broken(cells);
  Object.assign(table.options, { colWidths: widths });
  return table;
}

/** A cell over as many lines as it takes, each with the whole of its style: the table's own wrapping may cut through a style. */
function inLines(cell: string, width: number, betweenWords: boolean): string {
  const [, on = '', text = cell, off = ''] = styled.has(cell) ? (STYLED.exec(cell) ?? []) : [];
  const lines = betweenWords ? wordsIn(text, width) : (text.match(new RegExp(`.{1,${width}}`, 'gs')) ?? []);
  return lines.map((line) => `${on}${line}${off}`).join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a style is made of
const STYLED = /^(\u001b\[\d+m)(.*)(\u001b\[\d+m)$/s;

function wordsIn(text: string, width: number): string[] {
  const lines = [''];
  for (const [at, word] of text.split(/\s+/).entries()) {
    const last = lines.at(-1) ?? '';
    if (at > 0 && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = at === 0 ? word : `${last} ${word}`;
  }
  return lines;
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
const longestWord = (cell: string) =>
  printable(cell)
    .split(/\s+/)
    .reduce((most, word) => Math.max(most, word.length), 0);
const longestLine = (cell: string) => printable(cell).length;

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
