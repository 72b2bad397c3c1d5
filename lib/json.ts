// Parses JSON printed by other programs, and writes JSON for other programs.
import { printableJson } from './os/printable.js';

/**
 * Undefined if the text is not JSON. The type is what the caller expects; the shape is not checked.
 */
export function parseJson<T = unknown>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** A whole JSON document with its final newline; safe to show on a terminal. */
export const jsonDocument = (value: unknown): string =>
  `${printableJson(JSON.stringify(value, null, 2))}\n`;
