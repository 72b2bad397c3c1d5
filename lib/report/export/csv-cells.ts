// Cells and lines of CSV (RFC 4180) that a spreadsheet shows and does not run.
import { printable } from '../../os/printable.js';

export type Cell = string | number | boolean | undefined;

/** The names of the columns, which are ours. */
export const csvHead = (names: readonly string[]): string => `${names.join(',')}\r\n`;

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cell).join(',')}\r\n`;

/**
 * Where a spreadsheet would begin a cell with a formula. Where its list separator is a semicolon, it takes no notice of our quotes
 * beyond the first cell, so a semicolon within a text may begin one too.
 */
const FORMULA = /(^|;)(?=[\s"']*[=+\-@＝＋－＠])/g;

/** Every text is quoted and printable, and an apostrophe goes before whatever begins as a formula does. Numbers are ours, and bare. */
function cell(value: Cell): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  return `"${printable(value).replace(FORMULA, "$1'").replaceAll('"', '""')}"`;
}
