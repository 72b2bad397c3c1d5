// Cells and lines of CSV (RFC 4180) that a spreadsheet shows and does not run.
import { printable } from '../../printable.js';

export type Cell = string | number | boolean | undefined;

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cell).join(',')}\r\n`;

/**
 * Words are an agent's or a runtime's: a spreadsheet would run those that begin as a formula does, so an apostrophe goes
 * before them; and they bring no control characters.
 */
function cell(value: Cell): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const text = printable(value);
  const tame = /^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",]|^\s|\s$/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}
