// Makes text from others (an agent, a guest, a runtime, a record) safe to show: printable, on one
// line, of limited length. Every function here takes linear time for any text, since an agent
// chooses the text and the event loop is blocked meanwhile.
import { redact } from '../secrets.js';

/** Number of characters read from a text that is cut anyway. */
const MOST_READ = 2000;

/** The longest message in a record. */
const MOST_SHOWN = 300;

/**
 * Terminal control sequences: a CSI sequence; an OSC, DCS, SOS, PM or APC string with its
 * terminator; any other escape. Within each alternative, no two adjacent character classes overlap
 * and none contains ESC, so no character is tried more than a few times. From an unterminated
 * string only the introducer is removed, so that nobody can hide the rest of a text behind one.
 */
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]?/g;

/**
 * Code points that make a text look like a different one: those that change the text direction,
 * invisible ones (zero width, tags, fillers), and lone surrogates.
 */
const TREACHEROUS = /[\p{Cf}\p{Cs}\u115f\u1160\u3164\uffa0]/gu;

/**
 * The text without control sequences, control characters, line breaks or anything that changes the
 * text direction.
 */
export function printable(text: string): string {
  return text
    .replace(SEQUENCE, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(TREACHEROUS, '\ufffd');
}

/** The beginning of a text, never ending in half a surrogate pair; an ellipsis marks a cut. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/**
 * One printable line of limited length. Secrets are redacted before anything is cut, and again
 * after the removal of control sequences, which may have split them.
 */
export function oneLine(text: string, most = MOST_SHOWN): string {
  const head = redact(text).trimStart().slice(0, MOST_READ);
  return cut(redact(printable(head)).trim(), most);
}

/** The last non-blank line, as returned by `oneLine`; '' if there is none. */
export function lastLine(text: string, most = MOST_SHOWN): string {
  const whole = text.trimEnd();
  return oneLine(whole.slice(whole.lastIndexOf('\n') + 1), most);
}

/**
 * A name that strangers chose, in full: characters that control a terminal or change the text
 * direction appear as escapes.
 */
export function spelledOut(name: string): string {
  return name.replace(
    /[\p{C}\p{Zl}\p{Zp}\ufffd]/gu,
    (letter) => `\\u{${letter.codePointAt(0)?.toString(16)}}`,
  );
}

/**
 * Equivalent JSON with C1 controls and treacherous code points as \u escapes, so that a terminal
 * can safely show the file.
 */
export function printableJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029\p{Cf}\u115f\u1160\u3164\uffa0]/gu, (letter) =>
    Array.from(
      { length: letter.length },
      (_, at) => `\\u${letter.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** The text styles that cagematch itself uses: the SGR codes that begin and end each of them. */
export const STYLES = { bold: [1, 22], good: [32, 39], bad: [31, 39], faint: [2, 22] } as const;

const OWN_STYLE = new RegExp(
  `(\\u001b\\[(?:${[...new Set(Object.values(STYLES).flat())].join('|')})m)`,
);

/**
 * The last filter before a terminal: of all control characters in a multi-line text, only line ends
 * and cagematch's own styles remain. A text may also begin and end with a carriage return, which is
 * how a line is updated in place.
 */
export function terminalText(text: string): string {
  const lead = text.startsWith('\r') ? '\r' : '';
  const tail = text.endsWith('\r') && text.length > lead.length ? '\r' : '';
  const shown = (piece: string) => piece.split('\n').map(printable).join('\n');
  const pieces = text.slice(lead.length, text.length - tail.length).split(OWN_STYLE);
  return `${lead}${pieces.map((piece, at) => (at % 2 === 1 ? piece : shown(piece))).join('')}${tail}`;
}
