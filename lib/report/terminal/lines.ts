// Elements of terminal output: the width, the styles, tables without borders, wrapped text.
import CliTable from 'cli-table3';
import stringWidth from 'string-width';
import { printable, STYLES } from '../../os/printable.js';

export const WIDTH = 100;

export interface Style {
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
}

export const plain: Style = { bold: printable, good: printable, bad: printable, faint: printable };

/**
 * All styled texts made here. A table accepts them unchanged and makes everything else printable.
 */
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

/**
 * A table without borders, with two blanks between columns. Its cells are made printable, except
 * for the styled texts above.
 */
class Table {
  readonly rows: string[][];
  constructor(
    head: string[],
    readonly aligned: ('left' | 'right')[],
  ) {
    this.rows = [head.map(cellText)];
  }

  push(...rows: string[][]): void {
    this.rows.push(...rows.map((cells) => cells.map(cellText)));
  }

  /** Widths in screen columns, before anything wraps. */
  widths(): number[] {
    return this.aligned.map((_, column) =>
      this.rows.reduce((most, cells) => Math.max(most, longestLine(cells[column] ?? '')), 0),
    );
  }

  /**
   * Only draws with cli-table3. The cells have already been wrapped, and every line of a cell
   * becomes a row of its own, because cli-table3 takes quadratic time to wrap a cell and to draw
   * one of several lines.
   */
  toString(): string {
    const drawn = new CliTable({ chars: BORDERLESS, style: STYLELESS, colAligns: this.aligned });
    for (const cells of this.rows) drawn.push(...rowsOf(cells));
    const lines = drawn.toString().split('\n');
    return lines.map((line) => line.trimEnd()).join('\n');
  }
}

/** One row for each line of the cells. */
function rowsOf(cells: string[]): string[][] {
  const columns = cells.map((cell) => cell.split('\n'));
  const height = Math.max(...columns.map((lines) => lines.length));
  return Array.from({ length: height }, (_, at) => columns.map((lines) => lines[at] ?? ''));
}

const BORDERS = ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) => [
  side,
  ...['mid', 'left', 'right'].map((at) => `${side}-${at}`),
]);
const BORDERLESS = { ...Object.fromEntries(BORDERS.map((name) => [name, ''])), middle: '  ' };
const STYLELESS = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };

export type { Table };

export const borderless = (head: string[], aligned: ('left' | 'right')[]): Table =>
  new Table(head, aligned);

/** The table's text; its last column is not padded with blanks. */
export const trimmed = (table: Table): string => table.toString();

/** Width of the printed table in columns of the terminal. */
export function widthOf(table: Table): number {
  const widths = table.widths();
  return sum(widths) + 2 * (widths.length - 1);
}

export const fits = (table: Table) => widthOf(table) <= WIDTH;

/**
 * Fits the table into the page width: if it is too wide, its widest columns wrap. Nothing is cut
 * off.
 */
export function fitted(table: Table): Table {
  if (fits(table)) return table;
  const widths = narrowed(table.widths());
  const room = (column: number) => widths[column] ?? 0;
  // Break between words if every word fits into its column, otherwise anywhere.
  const roomy = table.rows.every((cells) =>
    cells.every((cell, column) => longestWord(cell) <= room(column)),
  );
  for (const [at, cells] of table.rows.entries())
    table.rows[at] = cells.map((cell, column) => inLines(cell, room(column), roomy));
  return table;
}

/** Narrows the widest columns together until all columns fit. */
function narrowed(widths: number[]): number[] {
  const room = WIDTH - 2 * (widths.length - 1);
  // No single column may be wider than the whole room.
  const narrow = widths.map((width) => Math.min(width, room));
  while (sum(narrow) > room) {
    const widest = Math.max(...narrow);
    if (widest <= 1) break;
    narrow[narrow.indexOf(widest)] = widest - 1;
  }
  return narrow;
}

/** Splits a cell into as many lines as necessary, each with the complete style. */
function inLines(cell: string, width: number, betweenWords: boolean): string {
  const [, on = '', text = cell, off = ''] = styled.has(cell) ? (STYLED.exec(cell) ?? []) : [];
  const lines = betweenWords ? wordsIn(text, width) : piecesIn(text, width);
  return lines.map((line) => `${on}${line}${off}`).join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a style is made of
const STYLED = /^(\u001b\[\d+m)(.*)(\u001b\[\d+m)$/s;

/** Pieces that are at most so many columns wide; a character of two columns is never cut. */
function piecesIn(text: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const character of text) {
    if (piece !== '' && stringWidth(piece + character) > width) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return piece === '' ? pieces : [...pieces, piece];
}

function wordsIn(text: string, width: number): string[] {
  const lines = [''];
  for (const [at, word] of text.split(/\s+/).entries()) {
    const last = lines.at(-1) ?? '';
    if (at > 0 && stringWidth(last) + 1 + stringWidth(word) > width) lines.push(word);
    else lines[lines.length - 1] = at === 0 ? word : `${last} ${word}`;
  }
  return lines;
}

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
const longestWord = (cell: string) =>
  printable(cell)
    .split(/\s+/)
    .reduce((most, word) => Math.max(most, stringWidth(word)), 0);
const longestLine = (cell: string) =>
  cell.split('\n').reduce((most, line) => Math.max(most, stringWidth(printable(line))), 0);

/** Breaks a text into lines of at most 100 columns; a longer word gets a line of its own. */
export function wrap(text: string, first: string, rest: string): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of printable(text).split(/\s+/)) {
    if (!empty && stringWidth(line) + 1 + stringWidth(word) > WIDTH) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
