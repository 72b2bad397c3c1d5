// CSV cells and lines (RFC 4180) that a spreadsheet displays but does not execute.
import { printable } from '../../os/printable.js';

export type Cell = string | number | boolean | undefined;

/** The column names, which contain nothing to escape. */
export const csvHead = (names: readonly string[]): string => `${names.join(',')}\r\n`;

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cell).join(',')}\r\n`;

/**
 * Positions at which a spreadsheet would begin a formula. If its list separator is a semicolon, it
 * ignores our quotes beyond the first cell, so a semicolon within a text may begin a cell too.
 */
const FORMULA = /(^|;)(?=[\s"']*[=+\-@＝＋－＠])/g;

/**
 * Quotes every text, makes it printable, and puts an apostrophe before anything that begins like a
 * formula. Numbers stay bare.
 */
function cell(value: Cell): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  return `"${printable(value).replace(FORMULA, "$1'").replaceAll('"', '""')}"`;
}
