// JSON that another program printed, and JSON for other programs.
import { printableJson } from './os/printable.js';

/** Undefined where it is no JSON. The shape is what the caller expects, not what was checked. */
export function parseJson<T = unknown>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** A whole document, line end included; a terminal may show it. */
export const jsonDocument = (value: unknown): string => `${printableJson(JSON.stringify(value, null, 2))}\n`;
