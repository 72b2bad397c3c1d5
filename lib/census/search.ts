// Searches a byte stream for a secret: raw, in every encoding that it may pass through, and in
// part.
import { shapesOf } from '../secrets.js';

/** A byte sequence to search for, and the name of its encoding. */
export interface Needle {
  shape: string;
  bytes: Buffer;
}

/** Minimum length of a part. Half of a token of a hundred letters is still unique. */
const SHORTEST_PART = 24;

/**
 * Returns the whole secret in every encoding, then its halves. A partial match is reported only if
 * nothing else was found.
 */
export function needlesOf(secret: string): Needle[] {
  const whole = shapesOf(secret).map((text) => ({
    shape: nameOf(text, secret),
    bytes: Buffer.from(text),
  }));
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

/** Searches one stream of bytes, including matches across chunk boundaries. */
export interface Seeker {
  push(chunk: Uint8Array | string): void;
  /** The shapes found, without duplicates. */
  found(): string[];
}

/** Searches a stream chunk by chunk; a needle that is split between chunks is found too. */
export function createSeeker(needles: readonly Needle[]): Seeker {
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length), 1);
  const seen = new Set<string>();
  let tail = Buffer.alloc(0);
  return {
    push(chunk) {
      const bytes =
        typeof chunk === 'string'
          ? Buffer.from(chunk)
          : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const joined = tail.length === 0 ? bytes : Buffer.concat([tail, bytes]);
      for (const needle of needles)
        if (!seen.has(needle.shape) && joined.includes(needle.bytes)) seen.add(needle.shape);
      // Copy it: the reader may reuse its buffer.
      tail = Buffer.from(joined.subarray(Math.max(0, joined.length - longest + 1)));
    },
    found: () => [...seen].filter((shape) => shape !== PART || seen.size === 1),
  };
}

/** Searches one text. */
export function shapesIn(text: Uint8Array | string, needles: readonly Needle[]): string[] {
  const seeker = createSeeker(needles);
  seeker.push(text);
  return seeker.found();
}
