// The secrets that this process holds: whatever it writes down for others to read is taken through `redact` first.

/** Shorter ones stand in too many words by chance. */
const SHORTEST = 8;

/** Shape by shape, with the name that is put in its place. */
const held = new Map<string, string>();
let pattern: RegExp | undefined;

/** @param name what stands in its place; never changes what is executed, only what is written */
export function keepSecret(secret: string, name: string): void {
  // It comes to stand in the middle of JSON.
  const plain = name.replace(/[^\w ./:-]/g, '?');
  for (const shape of shapesOf(secret)) held.set(shape, plain);
  // The longest first: one shape can begin another.
  const shapes = [...held.keys()].sort((a, b) => b.length - a.length).map((shape) => shape.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  pattern = shapes.length === 0 ? undefined : new RegExp(shapes.join('|'), 'g');
}

/** @returns the text with `[redacted NAME]` where a secret stood, in any shape; itself where none did */
export function redact(text: string): string {
  return pattern === undefined ? text : text.replace(pattern, (shape) => `[redacted ${held.get(shape)}]`);
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
