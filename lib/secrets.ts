// The secrets that this process holds: everything it writes for others to read passes through
// `redact` first.

/** Shorter secrets would match too many words by chance. */
const SHORTEST = 8;

/**
 * This many consecutive characters of a secret are redacted, even where the rest of the secret was
 * cut off.
 */
const PIECE = 20;

/**
 * The text is scanned in steps of this many characters: every piece contains one whole step,
 * wherever the piece begins.
 */
const STEP = PIECE / 2;

/** Maps every shape of a secret to the name that replaces it. */
const secretsByValue = new Map<string, string>();
/** Matches the shapes that are shorter than a piece; these are redacted only as a whole. */
let short: RegExp | undefined;
/** Maps each step of characters to the shapes that contain it, and its position in them. */
const steps = new Map<string, { shape: string; at: number }[]>();

/**
 * Registers a secret, which changes only what is written, never what is executed.
 * @param name shown in place of the secret
 */
export function keepSecret(secret: string, name: string): void {
  // The name may end up in the middle of JSON.
  const plain = name.replace(/[^\w ./:-]/g, '?');
  for (const shape of shapesOf(secret)) {
    if (!secretsByValue.has(shape) && shape.length >= PIECE) index(shape);
    secretsByValue.set(shape, plain);
  }
  // The longest first, since one shape can be a prefix of another.
  const whole = [...secretsByValue.keys()]
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

/**
 * @returns the text with `[redacted NAME]` in place of every secret, or piece of one, in any shape;
 *   unchanged if there is none
 */
export function redact(text: string): string {
  const rest = steps.size === 0 ? text : withoutPieces(text);
  return short === undefined
    ? rest
    : rest.replace(short, (shape) => `[redacted ${secretsByValue.get(shape)}]`);
}

/**
 * Redacts every string within a value, including the names of keys. Serialized JSON is the wrong
 * place to redact, since a piece could begin in the middle of an escape sequence.
 */
export function redactWithin<T>(value: T): T {
  if (secretsByValue.size === 0) return value;
  return within(value) as T;
}

function within(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(within);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [redact(name), within(inner)]),
  );
}

function withoutPieces(text: string): string {
  let clean = '';
  let done = 0;
  for (let at = 0; at + STEP <= text.length; at += STEP) {
    const places = at < done ? undefined : steps.get(text.slice(at, at + STEP));
    if (places === undefined) continue;
    let found = { from: at, to: at, shape: '' };
    for (const place of places) {
      const piece = boundsOf(text, at, place, done);
      if (piece.to - piece.from > found.to - found.from) found = piece;
    }
    if (found.to - found.from < PIECE) continue;
    clean += `${text.slice(done, found.from)}[redacted ${secretsByValue.get(found.shape)}]`;
    done = found.to;
  }
  return done === 0 ? text : clean + text.slice(done);
}

/** The longest match of text and shape around one step, starting no earlier than `least`. */
function boundsOf(text: string, at: number, place: { shape: string; at: number }, least: number) {
  const { shape } = place;
  const shift = at - place.at;
  let from = at;
  while (from > least && from - shift > 0 && text[from - 1] === shape[from - 1 - shift]) from -= 1;
  let to = at + STEP;
  while (to < text.length && to - shift < shape.length && text[to] === shape[to - shift]) to += 1;
  return { from, to, shape };
}

/**
 * The secret itself, escaped for JSON and for URLs, and as it appears in the middle of base64 or
 * hex data.
 */
export function shapesOf(secret: string): string[] {
  const json = (text: string) => JSON.stringify(text).slice(1, -1);
  const bytes = Buffer.from(secret);
  const shapes = [
    secret,
    json(secret),
    // JSON nested in JSON: an agent's line of JSON within one of ours.
    json(json(secret)),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((before) => [
      base64Within(bytes, before, 'base64'),
      base64Within(bytes, before, 'base64url'),
    ]),
  ];
  return [...new Set(shapes)].filter((shape) => shape.length >= SHORTEST);
}

/**
 * The characters that depend on the secret alone, where `before` bytes (modulo three) precede the
 * secret.
 */
function base64Within(secret: Buffer, before: number, encoding: 'base64' | 'base64url'): string {
  const text = Buffer.concat([Buffer.alloc(before), secret])
    .toString(encoding)
    .replace(/=+$/, '');
  const first = Math.ceil((before * 8) / 6);
  const last = Math.floor(((before + secret.length) * 8) / 6);
  return text.slice(first, last);
}
