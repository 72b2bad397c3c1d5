// Markdown in which every value is escaped: the only place where foreign text becomes Markdown.
// Like `page/markup.ts` for HTML.
import { printable } from '../../os/printable.js';

/**
 * Markdown made by this module. No other module can make any, and nothing else is accepted as
 * Markdown.
 */
class Markdown {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}

export type { Markdown };

/** Everything that is not `Markdown` is foreign text and gets escaped. */
export type Words = Markdown | string | number;

/** Template tag: the template's text is Markdown, its values are escaped. */
export function markdown(text: TemplateStringsArray, ...parts: Words[]): Markdown {
  const escaped = (part: Words | undefined) =>
    part === undefined ? '' : part instanceof Markdown ? part.toString() : inline(part, BRACKETS);
  return new Markdown(text.map((piece, at) => `${piece}${escaped(parts[at])}`).join(''));
}

/**
 * A code span. If the text contains backticks, the span is delimited by more of them, and by
 * blanks.
 */
export function code(words: string): Markdown {
  return new Markdown(codeText(words));
}

function codeText(words: string): string {
  const plain = printable(words).trim().replaceAll('<!--', '< !--') || ' ';
  const longest = (plain.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 0);
  const fence = '`'.repeat(longest + 1);
  return longest > 0 ? `${fence} ${plain} ${fence}` : `${fence}${plain}${fence}`;
}

export const joined = (parts: readonly Words[], between: string): Markdown =>
  new Markdown(
    parts.map((part) => (part instanceof Markdown ? part.toString() : inline(part))).join(between),
  );

/** Markdown from a file of this repository. */
export const ofThisRepository = (text: string): Markdown =>
  new Markdown(text.replaceAll('<', '&lt;'));

/**
 * A list with one entry per item. No item can begin a list, a heading or a quotation of its own.
 */
export const bullets = (items: readonly Words[]): Markdown[] =>
  items.map((item) => new Markdown(`- ${atBegin(item)}`));

/** A title and the lines under it; empty if there are no lines. */
export function section(title: string, lines: readonly Words[]): Words[] {
  return lines.length === 0 ? [] : ['', ...(title === '' ? [] : [title, '']), ...lines];
}

/** The lines of a document, joined by newlines. */
export const document = (lines: readonly Words[]): string =>
  lines.map((line) => (line instanceof Markdown ? line.toString() : inline(line))).join('\n');

const atBegin = (words: Words) =>
  (words instanceof Markdown ? words.toString() : inline(words))
    .replace(/^(?=[-+=#>[])/, '\\')
    .replace(/^(\d{1,9})(?=[.)](\s|$))/, '$1\\');

/** A table with one line per row and every cell in its column. */
export function table(head: readonly Words[], rows: readonly (readonly Words[])[]): Markdown {
  const line = (cells: readonly Words[]) => `| ${cells.map(cellText).join(' | ')} |`;
  return new Markdown(
    [line(head), line(head.map(() => new Markdown('---'))), ...rows.map(line)].join('\n'),
  );
}

/** Escapes bars: a bar does not end the cell if an odd number of backslashes precedes it. */
function cellText(words: Words): string {
  const [first = '', ...rest] = (
    words instanceof Markdown ? words.toString() : inline(words)
  ).split('|');
  return rest.reduce((text, piece) => {
    let slashes = 0;
    while (text.at(-1 - slashes) === '\\') slashes += 1;
    return `${text}${slashes % 2 === 0 ? '\\' : '\\\\'}|${piece}`;
  }, first);
}

/** A bracket at the end of a value could form a link with what follows in the template. */
const BRACKETS = /\]$/;

/** @param active words that match this also have their brackets escaped everywhere */
function inline(words: string | number, active?: RegExp): string {
  return printable(String(words))
    .trim()
    .split(' ')
    .map((piece) => (active?.test(piece) ? word(piece, '[]') : word(piece)))
    .join(' ');
}

/**
 * A word that GitHub would turn into a link, a mention, a reference or a formula becomes code,
 * because a backslash does not prevent that. A glob pattern becomes code too.
 * @param always characters that are escaped wherever they are
 */
function word(text: string, always = ''): string {
  if (isActive(text)) {
    let end = text.length;
    while (end > 1 && '.,;:'.includes(text.charAt(end - 1))) end -= 1;
    return `${codeText(text.slice(0, end))}${text.slice(end)}`;
  }
  return text.replace(/[\\`*<~&[\]]|_+/g, (sign, at: number) => {
    if (sign === '<') return '&lt;';
    if (sign === '&') return /^&#?\w{1,32};/.test(text.slice(at, at + 36)) ? '&amp;' : sign;
    return !always.includes(sign) && isHarmless(sign, text, at) ? sign : sign.replace(/./g, '\\$&');
  });
}

/** Whether a sign of Markdown has no meaning at this place of a word. */
function isHarmless(sign: string, text: string, at: number): boolean {
  const isLetter = (character: string) => /[\p{L}\p{N}]/u.test(character);
  const after = text[at + sign.length] ?? '';
  // `~/.ssh`: a tilde here cannot open a strikethrough.
  if (sign === '~') return at === 0 && after === '/';
  // An interval, `[5–7]`: brackets become a link only through what follows them immediately.
  if (sign === '[') return at === 0 && isLetter(after);
  if (sign === ']') return /^[.,;)]?$/.test(text.slice(at + 1, at + 3));
  // Underscores within a word have no other meaning.
  return sign[0] === '_' && isLetter(text[at - 1] ?? '') && isLetter(after);
}

function isActive(text: string): boolean {
  if (text.includes('://') || /[$*]/.test(text) || /^\W{0,4}www\./i.test(text)) return true;
  const [before = '', after = '', ...more] = text.split('@');
  // `docker@a` is a row's name; with a dot or a slash after the sign it would be an address or a
  // team.
  if (
    text.includes('@') &&
    !(more.length === 0 && /\w$/.test(before) && /^[\w-]/.test(after) && !/\/|\.\w/.test(after))
  )
    return true;
  // `docker#1` is a run's name; `#1` and `owner/repository#1` would be issues.
  return /(^|\W)#\d/.test(text) || (text.includes('/') && /#\d/.test(text));
}
