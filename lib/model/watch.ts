// Checks, while an API answer passes through unchanged, whether an agent can read it to its end.
import type { IncomingHttpHeaders } from 'node:http';
import { finished } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { parseJson } from '../json.js';

interface Watch {
  hear(chunk: Buffer): void;
  /** @returns the problem, phrased to follow "the model's last answer: " */
  end(): Promise<string | undefined>;
}

const DECODERS: Record<string, () => NodeJS.ReadWriteStream> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
/** Encodings that agents can read but this Node may not. */
const UNREAD = ['zstd'];
/** Maximum length of a stored line. */
const MOST_KEPT = 256 * 1024;

/**
 * Watches a successful streamed answer. An error status is self-explanatory, and the agent itself
 * judges an answer that is not streamed.
 */
export function watchAnswer(status: number, headers: IncomingHttpHeaders): Watch {
  const encoding = String(headers['content-encoding'] ?? 'identity')
    .trim()
    .toLowerCase();
  const isStream = String(headers['content-type'] ?? '').includes('event-stream');
  if (status !== 200 || !isStream || UNREAD.includes(encoding))
    return { hear: () => {}, end: async () => undefined };
  const stream = watchStream();
  if (encoding === 'identity' || encoding === '')
    return { hear: stream.hear, end: async () => stream.end() };
  const make = DECODERS[encoding];
  if (!make)
    return {
      hear: () => {},
      end: async () => `a stream in the encoding ${JSON.stringify(encoding)}, which nobody reads`,
    };
  const decoder = make();
  let failure: string | undefined;
  decoder.on('data', stream.hear).on('error', () => {
    failure ??= `a stream that is not in the encoding ${encoding}, as its header says`;
  });
  return {
    hear: (chunk) => void (failure === undefined && decoder.write(chunk)),
    async end() {
      decoder.end();
      await finished(decoder).catch(() => {});
      const wrong = stream.end();
      // After its last event, a stream may lack the end of its encoding.
      return stream.isWhole() ? wrong : (failure ?? wrong);
    },
  };
}

function watchStream() {
  const decoder = new StringDecoder('utf8');
  let line = '';
  let event = '';
  let last = '';
  let data = 0;
  let error: string | undefined;

  function read(text: string): void {
    if (text.startsWith('event:')) {
      event = text.slice(6).trim();
      last = event;
    } else if (text.startsWith('data:')) {
      data += 1;
      if (event === 'error') error = errorIn(text.slice(5));
    } else if (text === '') event = '';
  }

  return {
    hear(chunk: Buffer): void {
      const lines = (line + decoder.write(chunk)).split(/\r?\n/);
      line = (lines.pop() ?? '').slice(0, MOST_KEPT);
      for (const line of lines) read(line);
    },
    isWhole: () => last === 'message_stop',
    end(): string | undefined {
      read(line);
      if (error !== undefined) return `a stream that ended in an error event (${error})`;
      if (last === 'message_stop') return undefined;
      if (last === '')
        return data === 0
          ? 'a stream without any event'
          : 'a stream whose events have no name (no line "event: …")';
      return `a stream that ended after its event ${last.slice(0, 40)}, before message_stop`;
    },
  };
}

function errorIn(data: string): string {
  const { error } = (parseJson(data) ?? {}) as { error?: { type?: unknown; message?: unknown } };
  return (
    [error?.type, error?.message].filter((part) => typeof part === 'string').join(': ') ||
    'without a reason'
  );
}
