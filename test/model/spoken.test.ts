// What an answer of the API said: streamed or whole, in every encoding that the agent takes, and
// only when it is a whole one.
import * as zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readableEncodings, spokenIn } from '../../lib/model/spoken.js';

const event = (type: string, fields: object = {}) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const block = (index: number, content_block: object, ...deltas: object[]) =>
  [
    event('content_block_start', { index, content_block }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ].join('');
const piece = (partial_json: string) => ({ type: 'input_json_delta', partial_json });

const START = event('message_start', {
  message: { id: 'msg_1', model: 'claude-x', content: [], stop_reason: null, usage: {} },
});
const end = (stop_reason = 'tool_use') =>
  event('message_delta', { delta: { stop_reason } }) + event('message_stop');
const BLOCKS = [
  block(
    0,
    { type: 'thinking', thinking: '' },
    { type: 'thinking_delta', thinking: 'hm' },
    { type: 'signature_delta', signature: 'x' },
  ),
  event('ping'),
  block(
    1,
    { type: 'text', text: '' },
    { type: 'text_delta', text: 'I look' },
    { type: 'text_delta', text: '.' },
  ),
  block(
    2,
    { type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} },
    piece(''),
    piece('{"comm'),
    piece('and":"ls"}'),
  ),
  block(3, { type: 'tool_use', id: 'toolu_2', name: 'List', input: {} }),
].join('');
const STREAM = START + BLOCKS + end();
const SAID = [
  { type: 'text', text: 'I look.' },
  { type: 'tool_use', name: 'Bash', input: { command: 'ls' } },
  { type: 'tool_use', name: 'List', input: {} },
];

const read = (text: string, type = 'text/event-stream; charset=utf-8') =>
  spokenIn(Buffer.from(text), '', type);
const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Buffer) => Buffer };

describe('a streamed answer', () => {
  test('is put together, without thinking and without ids', () => {
    expect(read(STREAM)).toEqual({ content: SAID, leftOut: [], model: 'claude-x' });
  });

  test('may have its lines ended otherwise', () => {
    expect(read(STREAM.replaceAll('\n', '\r\n'))?.content).toEqual(SAID);
  });

  test.each([
    ['gzip', zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    ['br', zlib.brotliCompressSync],
    ...(zstdCompressSync ? [['zstd', zstdCompressSync] as const] : []),
  ] as const)('is read though it is encoded: %s', (encoding, encode) => {
    expect(spokenIn(encode(Buffer.from(STREAM)), encoding, 'text/event-stream')?.content).toEqual(
      SAID,
    );
  });

  test('has no block whose index is far beyond, nor a packed form of gigabytes', () => {
    const far = block(4e9, { type: 'text', text: 'far' });
    expect(read(START + BLOCKS + far + end())?.content).toEqual(SAID);
    const filler = `: ${' '.repeat(65 * 1024 ** 2)}\n\n`;
    expect(spokenIn(zlib.gzipSync(filler + STREAM), 'gzip', 'text/event-stream')).toBeUndefined();
  });

  test('is read though the agent stopped reading at its last event', () => {
    const whole = zlib.gzipSync(STREAM);
    expect(
      spokenIn(whole.subarray(0, whole.length - 8), 'gzip', 'text/event-stream')?.content,
    ).toEqual(SAID);
  });

  test.each([
    ['broke off', START + BLOCKS],
    [
      'ends with an error',
      START + BLOCKS + event('error', { error: { type: 'overloaded_error', message: 'x' } }),
    ],
    [
      'holds half of an input',
      START +
        block(0, { type: 'tool_use', id: 'x', name: 'Bash', input: {} }, piece('{"a')) +
        end(),
    ],
    ['is none', '<<< no stream'],
    ['is nothing', ''],
  ])('that %s is none', (_what, text) => {
    expect(read(text)).toBeUndefined();
  });

  test.each([
    ['tool_use', undefined],
    ['max_tokens', 'max_tokens'],
    ['end_turn', 'end_turn'],
  ])('that stops for %s', (reason, stop) => {
    expect(read(START + BLOCKS + end(reason))?.stop).toBe(stop);
  });

  test('names the kinds of blocks that have no form here', () => {
    const other =
      block(0, { type: 'server_tool_use', id: 'x', name: 'web_search', input: {} }) +
      block(1, { type: 'text', text: 'so' });
    expect(read(START + other + end('end_turn'))).toMatchObject({
      content: [{ type: 'text', text: 'so' }],
      leftOut: ['server_tool_use'],
    });
  });

  test('of nothing but thinking still says something: an agent that is answered nothing asks again', () => {
    const only = START + block(0, { type: 'redacted_thinking', data: 'x' }) + end('end_turn');
    expect(read(only)).toMatchObject({ content: [{ type: 'text' }], leftOut: [] });
  });
});

test('an answer that was not streamed is read too', () => {
  const message = {
    model: 'claude-x',
    content: [{ type: 'text', text: 'hi' }],
    stop_reason: 'end_turn',
  };
  expect(read(JSON.stringify(message), 'application/json')).toEqual({
    content: message.content,
    leftOut: [],
    model: 'claude-x',
  });
  expect(read('{"type":"error"}', 'application/json')).toBeUndefined();
});

test('the API is asked only for what can be read here', () => {
  expect(readableEncodings('gzip, deflate, br;q=0.5, x-new')).toBe('gzip, deflate, br;q=0.5');
  expect(readableEncodings('x-new')).toBe('identity');
});
