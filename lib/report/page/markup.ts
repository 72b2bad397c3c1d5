// Markup in which every value is escaped: the one place where words of others become HTML.
import { printable } from '../../os/printable.js';

/** HTML that was made here; nobody else can make any, and nothing else counts as HTML. */
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

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escaped(words: string): string {
  return printable(words).replace(/[&<>"']/g, (sign) => ENTITIES[sign] as string);
}

function written(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.toString();
  if (typeof part === 'object') return part.map(written).join('');
  return escaped(String(part));
}

/** A template whose text is HTML and whose values are not; attributes stand in double quotes. */
export function markup(text: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(text.map((piece, index) => piece + written(parts[index])).join(''));
}
