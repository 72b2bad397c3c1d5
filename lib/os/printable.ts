// Text that others wrote (an agent, a guest, a runtime, a record) made safe to show: printable, on one line, of bounded length.
// Every function here takes linear time, whatever the text is: an agent chooses it, and the event loop waits.
import { redact } from '../secrets.js';

/** Of a text that is cut anyway, so many letters are looked at. */
const MOST_READ = 2000;

/** The longest message in a record. */
const MOST_SHOWN = 300;

/**
 * What a terminal takes for a command: a CSI sequence; an OSC, DCS, SOS, PM or APC string with its end; any other escape. Within each
 * alternative no two neighbouring classes share a letter and none holds ESC, so no letter is tried more than a few times.
 * An unfinished string loses its introducer only, so that nobody can hide the rest of a text behind one.
 */
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]?/g;

/**
 * Code points by which a text reads as another one: those that turn the direction of what follows, those that are not seen at all
 * (zero width, tags, fillers), and halves of characters.
 */
const TREACHEROUS = /[\p{Cf}\p{Cs}\u115f\u1160\u3164\uffa0]/gu;

/** No control sequence, no control character, no second line, nothing that turns text around. */
export function printable(text: string): string {
  return text
    .replace(SEQUENCE, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(TREACHEROUS, '\ufffd');
}

/** The beginning of a text, with no half of a character at its end; three dots stand where something is missing. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** One printable line of bounded length. Secrets are redacted before anything is cut, and again when no sequence parts them any more. */
export function oneLine(text: string, most = MOST_SHOWN): string {
  const head = redact(text).trimStart().slice(0, MOST_READ);
  return cut(redact(printable(head)).trim(), most);
}

/** The last line with something on it, as `oneLine` gives it; '' where there is none. */
export function lastLine(text: string, most = MOST_SHOWN): string {
  const whole = text.trimEnd();
  return oneLine(whole.slice(whole.lastIndexOf('\n') + 1), most);
}

/** A name that strangers chose, with every letter of it: what steers a terminal or turns text around is spelled out. */
export function spelledOut(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, (letter) => `\\u{${letter.codePointAt(0)?.toString(16)}}`);
}

/** The same JSON with C1 controls and treacherous code points as \u escapes, so that a terminal may show the file. */
export function printableJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029\p{Cf}\u115f\u1160\u3164\uffa0]/gu, (letter) =>
    Array.from({ length: letter.length }, (_, at) => `\\u${letter.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );
}

/** The styles that cagematch itself gives to words: SGR codes that begin and end them. */
export const STYLES = { bold: [1, 22], good: [32, 39], bad: [31, 39], faint: [2, 22] } as const;

const OWN_STYLE = new RegExp(`(\\u001b\\[(?:${[...new Set(Object.values(STYLES).flat())].join('|')})m)`);

/**
 * The last border before a terminal: of a text in several lines, only line ends and cagematch's own styles are left. A carriage return
 * may begin and end one text, which is how a line changes in place.
 */
export function terminalText(text: string): string {
  const lead = text.startsWith('\r') ? '\r' : '';
  const tail = text.endsWith('\r') && text.length > lead.length ? '\r' : '';
  const shown = (piece: string) => piece.split('\n').map(printable).join('\n');
  const pieces = text.slice(lead.length, text.length - tail.length).split(OWN_STYLE);
  return `${lead}${pieces.map((piece, at) => (at % 2 === 1 ? piece : shown(piece))).join('')}${tail}`;
}
