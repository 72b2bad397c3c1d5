// The secrets that this process holds: whatever it writes down for others to read is taken through `redact` first.

/** Shorter ones stand in too many words by chance. */
const SHORTEST = 8;

/** So many letters of a secret in a row are redacted, also where a cut has taken the rest of it away. */
const PIECE = 20;

/** The text is looked at in steps of so many letters: a piece contains one such step whole, wherever it begins. */
const STEP = PIECE / 2;

/** Shape by shape, with the name that is put in its place. */
const held = new Map<string, string>();
/** Shapes that are shorter than a piece; these have to be there whole. */
let short: RegExp | undefined;
/** Where in which shapes each step of letters is. */
const steps = new Map<string, { shape: string; at: number }[]>();

/** @param name what stands in its place; never changes what is executed, only what is written */
export function keepSecret(secret: string, name: string): void {
  // It comes to stand in the middle of JSON.
  const plain = name.replace(/[^\w ./:-]/g, '?');
  for (const shape of shapesOf(secret)) {
    if (!held.has(shape) && shape.length >= PIECE) index(shape);
    held.set(shape, plain);
  }
  // The longest first: one shape can begin another.
  const whole = [...held.keys()]
    .filter((shape) => shape.length < PIECE)
    .sort((a, b) => b.length - a.length)
    .map((shape) => shape.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  short = whole.length === 0 ? undefined : new RegExp(whole.join('|'), 'g');
}

function index(shape: string): void {
  for (let at = 0; at + STEP <= shape.length; at += 1) {
    const step = shape.slice(at, at + STEP);
    const known = steps.get(step);
    if (known) known.push({ shape, at });
    else steps.set(step, [{ shape, at }]);
  }
}

/** @returns the text with `[redacted NAME]` where a secret stood, in any shape, or a piece of one; itself where none did */
export function redact(text: string): string {
  const rest = steps.size === 0 ? text : withoutPieces(text);
  return short === undefined ? rest : rest.replace(short, (shape) => `[redacted ${held.get(shape)}]`);
}

/**
 * The same of every text within a value, names of keys included. JSON that was written already is no place to redact in: a piece could
 * begin in the middle of an escape.
 */
export function redactWithin<T>(value: T): T {
  if (held.size === 0) return value;
  return within(value) as T;
}

function within(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(within);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [redact(name), within(one)]));
}

function withoutPieces(text: string): string {
  let clean = '';
  let done = 0;
  for (let at = 0; at + STEP <= text.length; at += STEP) {
    const places = at < done ? undefined : steps.get(text.slice(at, at + STEP));
    if (places === undefined) continue;
    let found = { from: at, to: at, shape: '' };
    for (const place of places) {
      const piece = around(text, at, place, done);
      if (piece.to - piece.from > found.to - found.from) found = piece;
    }
    if (found.to - found.from < PIECE) continue;
    clean += `${text.slice(done, found.from)}[redacted ${held.get(found.shape)}]`;
    done = found.to;
  }
  return done === 0 ? text : clean + text.slice(done);
}

/** All that the text shares with the shape around one step, no further back than `least`. */
function around(text: string, at: number, place: { shape: string; at: number }, least: number) {
  const { shape } = place;
  const shift = at - place.at;
  let from = at;
  while (from > least && from - shift > 0 && text[from - 1] === shape[from - 1 - shift]) from -= 1;
  let to = at + STEP;
  while (to < text.length && to - shift < shape.length && text[to] === shape[to - shift]) to += 1;
  return { from, to, shape };
}

/** A secret as it is, escaped for JSON and for URLs, and in the middle of what was encoded as base64 or hex. */
export function shapesOf(secret: string): string[] {
  const json = (text: string) => JSON.stringify(text).slice(1, -1);
  const bytes = Buffer.from(secret);
  const shapes = [
    secret,
    json(secret),
    // As text within text: an agent's line of JSON in one of ours.
    json(json(secret)),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((before) => [base64Within(bytes, before, 'base64'), base64Within(bytes, before, 'base64url')]),
  ];
  return [...new Set(shapes)].filter((shape) => shape.length >= SHORTEST);
}

/** Those letters that depend on the secret alone, where so many bytes, up to a multiple of three, stand before it. */
function base64Within(secret: Buffer, before: number, encoding: 'base64' | 'base64url'): string {
  const text = Buffer.concat([Buffer.alloc(before), secret])
    .toString(encoding)
    .replace(/=+$/, '');
  const first = Math.ceil((before * 8) / 6);
  const last = Math.floor(((before + secret.length) * 8) / 6);
  return text.slice(first, last);
}
