// Looks for a secret in bytes as they come: as it is, in every shape that text takes on its way, and in part.
import { shapesOf } from '../secrets.js';

/** What is looked for, by the name of its shape. */
export interface Needle {
  shape: string;
  bytes: Buffer;
}

/** Half of a token of a hundred letters is still nobody else's. */
const SHORTEST_PART = 24;

/** The whole first; of what is found whole, its parts are not told again. */
export function needlesOf(secret: string): Needle[] {
  const whole = shapesOf(secret).map((text) => ({ shape: nameOf(text, secret), bytes: Buffer.from(text) }));
  const half = Math.floor(secret.length / 2);
  const parts = half < SHORTEST_PART ? [] : [secret.slice(0, half), secret.slice(half)];
  return [...whole, ...parts.map((part) => ({ shape: PART, bytes: Buffer.from(part) }))];
}

const PART = 'in part';

function nameOf(shape: string, secret: string): string {
  if (shape === secret) return 'raw';
  if (shape === encodeURIComponent(secret)) return 'URL-encoded';
  if (/^[0-9a-f]+$/i.test(shape) && shape.length === 2 * Buffer.byteLength(secret)) return 'hex';
  return shape.includes('\\') ? 'JSON-escaped' : 'base64';
}

/** One stream of bytes; what is cut in two by a chunk's end is found as well. */
export interface Seeker {
  push(chunk: Uint8Array | string): void;
  /** The shapes that were found, each once. */
  found(): string[];
}

export function createSeeker(needles: readonly Needle[]): Seeker {
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length), 1);
  const seen = new Set<string>();
  let tail = Buffer.alloc(0);
  return {
    push(chunk) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const joined = tail.length === 0 ? bytes : Buffer.concat([tail, bytes]);
      for (const needle of needles) if (!seen.has(needle.shape) && joined.includes(needle.bytes)) seen.add(needle.shape);
      // Copied: a reader may use its buffer again.
      tail = Buffer.from(joined.subarray(Math.max(0, joined.length - longest + 1)));
    },
    found: () => [...seen].filter((shape) => shape !== PART || seen.size === 1),
  };
}

/** Of one text. */
export function shapesIn(text: Uint8Array | string, needles: readonly Needle[]): string[] {
  const seeker = createSeeker(needles);
  seeker.push(text);
  return seeker.found();
}
