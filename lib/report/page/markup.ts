// Markup in which every value is escaped: the only place where foreign text becomes HTML.
import { printable } from '../../os/printable.js';

/** HTML made by this module. No other module can make any, and nothing else is accepted as HTML. */
class Markup {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}

export type { Markup };

type Part = Markup | string | number | undefined | readonly Part[];

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(words: string): string {
  return printable(words).replace(/[&<>"']/g, (sign) => ENTITIES[sign] as string);
}

function written(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.toString();
  if (typeof part === 'object') return part.map(written).join('');
  return escaped(String(part));
}

/**
 * Template tag: the template's text is HTML, its values are escaped. Attributes have to be in
 * double quotes.
 */
export function markup(text: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(text.map((piece, index) => piece + written(parts[index])).join(''));
}
