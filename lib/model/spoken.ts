// Parses the model's answer from the API, streamed or whole, in any encoding. Untrusted API data is
// validated here.
import * as zlib from 'node:zlib';
import { z } from 'zod';
import { parseJson } from '../json.js';
import type { Cassette } from './cassette.js';

type Exchange = Cassette['conversations'][number]['exchanges'][number];

/** The parts of a complete answer that a cassette keeps, and the parts that it cannot represent. */
export interface Spoken extends Pick<Exchange, 'content' | 'stop'> {
  model: string;
  /**
   * Types of blocks that are left out, apart from thinking, which is private and bound to one
   * account.
   */
  leftOut: string[];
}

const blockSchema = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  name: z.string().optional(),
  input: z.record(z.string(), z.unknown()).optional(),
});
type RawBlock = z.infer<typeof blockSchema>;

const messageSchema = z.looseObject({
  model: z.string(),
  content: z.array(blockSchema),
  stop_reason: z.string().nullish(),
});

/** An answer has a few blocks; a huge index would create an equally long array. */
const blockIndex = z.int().min(0).max(9999);

const eventSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('message_start'), message: messageSchema }),
  z.looseObject({
    type: z.literal('content_block_start'),
    index: blockIndex,
    content_block: blockSchema,
  }),
  z.looseObject({
    type: z.literal('content_block_delta'),
    index: blockIndex,
    delta: z.looseObject({
      type: z.string(),
      text: z.string().optional(),
      partial_json: z.string().optional(),
    }),
  }),
  z.looseObject({
    type: z.literal('message_delta'),
    delta: z.looseObject({ stop_reason: z.string().nullish() }),
  }),
  z.looseObject({ type: z.literal('message_stop') }),
]);

// Node 20 has no zstd, and its type definitions lack it for later versions.
const { zstdDecompressSync } = zlib as {
  zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;
};
/** Maximum decoded size in bytes: a small body may decompress to gigabytes. */
const MOST_DECODED = 64 * 1024 ** 2;
/** The end of the stream may be missing if the agent stopped reading at the last event. */
const CUT_SHORT = { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: MOST_DECODED };

const DECODERS: Record<string, (bytes: Buffer) => Buffer> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => zlib.gunzipSync(bytes, CUT_SHORT),
  'x-gzip': (bytes) => zlib.gunzipSync(bytes, CUT_SHORT),
  deflate: (bytes) => zlib.inflateSync(bytes, CUT_SHORT),
  br: (bytes) =>
    zlib.brotliDecompressSync(bytes, {
      finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
      maxOutputLength: MOST_DECODED,
    }),
  ...(zstdDecompressSync
    ? { zstd: (bytes: Buffer) => zstdDecompressSync(bytes, { maxOutputLength: MOST_DECODED }) }
    : {}),
};

/** Those of the encodings accepted by the agent that can be decoded here. */
export function readableEncodings(accepted: string): string {
  const readable = accepted
    .split(',')
    .filter((encoding) => Object.hasOwn(DECODERS, encoding.split(';')[0]?.trim() ?? ''));
  return readable.join(',').trim() || 'identity';
}

/** @returns undefined if the answer is not complete: it broke off, or contains an error event */
export function spokenIn(bytes: Buffer, encoding: string, type: string): Spoken | undefined {
  const text = decoded(bytes, encoding);
  if (text === undefined) return undefined;
  const message = type.includes('event-stream')
    ? assembled(text)
    : messageSchema.safeParse(parseJson(text)).data;
  return message && { ...kept(message.content), model: message.model, ...stopOf(message) };
}

function decoded(bytes: Buffer, encoding: string): string | undefined {
  try {
    const steps = encoding.split(',').map((step) => step.trim().toLowerCase());
    return steps
      .filter((step) => step !== '')
      .reduceRight((body, step) => DECODERS[step]?.(body) ?? fail(step), bytes)
      .toString('utf8');
  } catch {
    return undefined;
  }
}

function fail(encoding: string): never {
  throw new Error(`nothing here reads ${encoding}`);
}

function assembled(stream: string): z.infer<typeof messageSchema> | undefined {
  let message: z.infer<typeof messageSchema> | undefined;
  const inputs = new Map<number, string>();
  for (const chunk of stream.split(/\r?\n\r?\n/)) {
    const json = dataOf(chunk);
    if ((json as { type?: unknown } | undefined)?.type === 'error') return undefined;
    const event = eventSchema.safeParse(json).data;
    if (event?.type === 'message_start')
      message = { ...event.message, content: [...event.message.content] };
    if (!event || !message) continue;
    if (event.type === 'content_block_start')
      message.content[event.index] = { ...event.content_block };
    if (event.type === 'content_block_delta') append(event, message.content[event.index], inputs);
    if (event.type === 'message_delta') message.stop_reason = event.delta.stop_reason;
    if (event.type === 'message_stop') return withInputs(message, inputs);
  }
  return undefined;
}

/** The JSON value in the data lines of one server-sent event; undefined if there is none. */
function dataOf(chunk: string): unknown {
  const data = chunk
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith('data:') ? [line.slice(5).trimStart()] : []));
  return data.length === 0 ? undefined : parseJson(data.join('\n'));
}

type Delta = Extract<z.infer<typeof eventSchema>, { type: 'content_block_delta' }>;

/**
 * Adds a piece of text to its block, and a piece of a tool's input to `inputs`, where it is kept as
 * text until it is complete.
 */
function append(
  { index, delta }: Delta,
  block: RawBlock | undefined,
  inputs: Map<number, string>,
): void {
  if (block && delta.text !== undefined) block.text = `${block.text ?? ''}${delta.text}`;
  if (delta.partial_json !== undefined)
    inputs.set(index, `${inputs.get(index) ?? ''}${delta.partial_json}`);
}

function withInputs<T extends { content: RawBlock[] }>(
  message: T,
  inputs: ReadonlyMap<number, string>,
): T | undefined {
  for (const [index, text] of inputs) {
    const block = message.content[index];
    const input = text === '' ? {} : parseJson(text);
    if (!block || typeof input !== 'object' || input === null) return undefined;
    block.input = input as Record<string, unknown>;
  }
  return message;
}

function kept(blocks: (RawBlock | undefined)[]): Pick<Spoken, 'content' | 'leftOut'> {
  const content: Spoken['content'] = [];
  const leftOut: string[] = [];
  for (const block of blocks) {
    if (block?.type === 'text') content.push({ type: 'text', text: block.text ?? '' });
    else if (block?.type === 'tool_use' && block.name)
      content.push({ type: 'tool_use', name: block.name, input: block.input ?? {} });
    else if (block && !['thinking', 'redacted_thinking'].includes(block.type))
      leftOut.push(block.type);
  }
  // An agent that receives an empty answer repeats its request.
  return {
    content: content.length > 0 ? content : [{ type: 'text', text: '(the model only thought)' }],
    leftOut,
  };
}

/** The stop reason, only if a replay would not infer it from the blocks. */
function stopOf({
  content,
  stop_reason: reason,
}: z.infer<typeof messageSchema>): Pick<Spoken, 'stop'> {
  const usual = content.some((block) => block?.type === 'tool_use') ? 'tool_use' : 'end_turn';
  return !reason || reason === usual ? {} : { stop: reason };
}
