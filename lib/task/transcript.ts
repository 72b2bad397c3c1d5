// Reads the agent's stream-json line by line and keeps what a verdict needs. Untrusted guest output
// enters here.
import { z } from 'zod';
import { parseJson } from '../json.js';
import { lastLine, oneLine } from '../os/printable.js';
import type { Outcome } from '../record/types.js';
import { redact } from '../secrets.js';

const blocks = z.array(
  z.looseObject({
    type: z.string(),
    id: z.string().optional(),
    name: z.string().optional(),
    input: z.record(z.string(), z.unknown()).optional(),
    tool_use_id: z.string().optional(),
    is_error: z.boolean().nullish(),
    content: z.unknown().optional(),
  }),
);

const lineSchema = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('system'),
    subtype: z.string().optional(),
    claude_code_version: z.string().optional(),
  }),
  z.looseObject({ type: z.literal('assistant'), message: z.looseObject({ content: blocks }) }),
  z.looseObject({
    type: z.literal('user'),
    message: z.looseObject({ content: z.union([z.string(), blocks]) }),
  }),
  z.looseObject({
    type: z.literal('result'),
    subtype: z.string(),
    is_error: z.boolean(),
    result: z.string().optional(),
    api_error_status: z.number().nullish(),
  }),
]);

export interface Transcript {
  /** The version that the agent itself reports. */
  agentVersion?: string;
  /** `refusal`: the tool's message if it did not write. */
  writes: { path: string; content: string; refusal?: string }[];
  toolOutputs: { tool: string; text: string; isError: boolean }[];
  result?: { isError: boolean; subtype: string; text: string; apiStatus?: number };
  /** Number of lines on stdout that are not JSON objects. */
  garbage: number;
  /** The end of stderr, for a failure's message. */
  stderr: string;
}

const LAST_WORDS = 2000;
/**
 * Maximum total length of tool inputs and outputs kept, in characters; beyond it, the oldest are
 * dropped first.
 */
const MAX_KEPT = 16 * 1024 * 1024;

/** Added to the length of each entry, however short it is. */
const OVERHEAD = 500;
/** A tool result is matched with its call if at most this many calls came in between. */
const MAX_CALLS = 1000;

/**
 * Returns a function that adds to a list, and drops the oldest entries when the total exceeds the
 * maximum.
 */
function keeper<T>(sizeOf: (entry: T) => number) {
  let kept = 0;
  const charge = (entry: T) => sizeOf(entry) + OVERHEAD;
  return (list: T[], entry: T): void => {
    list.push(entry);
    kept += charge(entry);
    while (kept > MAX_KEPT && list.length > 1) kept -= charge(list.shift() as T);
  };
}

/** Real ids have about 30 letters; an agent may print any length. */
const keyOf = (id: string) => id.slice(0, 200);

interface Call {
  tool: string;
  /** Weak, so that this does not keep a dropped write in memory. */
  write?: WeakRef<Transcript['writes'][number]>;
}

export function startTranscript(): Transcript & {
  read(line: string, stream: 'stdout' | 'stderr'): { result: boolean };
} {
  const calls = new Map<string, Call>();
  const note = (id: string, call: Call) => {
    calls.set(keyOf(id), call);
    const [oldest] = calls.keys();
    if (calls.size > MAX_CALLS && oldest !== undefined) calls.delete(oldest);
  };
  const keepWrite = keeper<Transcript['writes'][number]>(
    ({ path, content }) => path.length + content.length,
  );
  const keepOutput = keeper<Transcript['toolOutputs'][number]>(
    ({ tool, text }) => tool.length + text.length,
  );
  const keepCalls = (transcript: Transcript, received: z.infer<typeof blocks>) => {
    for (const block of received) {
      if (block.type !== 'tool_use' || block.id === undefined || block.name === undefined) continue;
      const { file_path: path, content } = block.input ?? {};
      if (block.name !== 'Write' || typeof path !== 'string' || typeof content !== 'string') {
        note(block.id, { tool: block.name });
        continue;
      }
      const write = { path, content };
      note(block.id, { tool: block.name, write: new WeakRef(write) });
      keepWrite(transcript.writes, write);
    }
  };
  const keepResults = (transcript: Transcript, received: z.infer<typeof blocks>) => {
    for (const block of received) {
      if (block.type !== 'tool_result') continue;
      const call = calls.get(keyOf(block.tool_use_id ?? ''));
      const output = {
        tool: call?.tool ?? 'unknown',
        text: plain(block.content),
        isError: block.is_error === true,
      };
      keepOutput(transcript.toolOutputs, output);
      const refused = output.isError ? call?.write?.deref() : undefined;
      if (refused) refused.refusal = redact(output.text).slice(0, LAST_WORDS);
    }
  };
  return {
    writes: [],
    toolOutputs: [],
    garbage: 0,
    stderr: '',
    read(line, stream) {
      if (stream === 'stderr') {
        this.stderr = `${this.stderr}${redact(line)}\n`.slice(-LAST_WORDS);
        return { result: false };
      }
      if (line.trim() === '') return { result: false };
      const json = parseObject(line);
      if (json === undefined) {
        this.garbage += 1;
        return { result: false };
      }
      const parsed = lineSchema.safeParse(json);
      if (!parsed.success) return { result: false };
      const event = parsed.data;
      if (event.type === 'system' && event.claude_code_version !== undefined)
        this.agentVersion = oneLine(event.claude_code_version, 100);
      if (event.type === 'assistant') keepCalls(this, event.message.content);
      if (event.type === 'user' && typeof event.message.content !== 'string')
        keepResults(this, event.message.content);
      if (event.type === 'result') {
        this.result = {
          isError: event.is_error,
          subtype: event.subtype,
          text: event.result ?? '',
          ...(typeof event.api_error_status === 'number'
            ? { apiStatus: event.api_error_status }
            : {}),
        };
      }
      return { result: event.type === 'result' };
    },
  };
}

// A faulty agent may print garbage fast: a line that cannot be an object is rejected without an
// exception.
function parseObject(line: string): unknown {
  return line.startsWith('{') ? parseJson(line) : undefined;
}

function plain(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('\n');
}

/**
 * The failure that the agent's own end shows, before any file is checked. Undefined if there is
 * none so far.
 */
export function agentFailure(
  transcript: Transcript,
  exit: { type: string; code?: number; name?: string; reason?: string },
): Outcome | undefined {
  const failed = (
    cause: Extract<Outcome, { status: 'failed' }>['cause'],
    message: string,
    hint?: string,
  ): Outcome => ({
    status: 'failed',
    cause,
    message: oneLine(message),
    ...(hint === undefined ? {} : { hint }),
  });
  const { result } = transcript;
  if (exit.type === 'lost') return failed('sandbox', `the runtime lost the agent: ${exit.reason}`);
  if (result?.isError) {
    const words = result.text || result.subtype;
    const status = result.apiStatus ?? statusIn(words);
    if (
      status === 401 ||
      status === 403 ||
      /not logged in|authentication|invalid api key/i.test(words)
    )
      return failed('auth', words, 'cagematch token show');
    if (status === 429) return failed('rate-limit', words);
    if (status !== undefined || /^api error/i.test(words)) return failed('model', words);
    return failed('agent', words);
  }
  if (exit.type === 'signal') return failed('agent', `the agent was killed by ${exit.name}`);
  if (exit.code !== 0)
    return failed(
      exit.code === 137 ? 'sandbox' : 'agent',
      `the agent ended with exit code ${exit.code}${lastWords(transcript)}`,
    );
  if (!result && transcript.garbage > 0)
    return failed(
      'agent',
      `the agent printed ${transcript.garbage} lines that are no stream-json, and no result`,
    );
  if (!result) return failed('agent', `the agent ended without a result${lastWords(transcript)}`);
  return undefined;
}

/** Not every version of the agent reports the status in a separate field. */
function statusIn(words: string): number | undefined {
  const status = /\bAPI Error: (\d{3})\b/.exec(words)?.[1];
  return status === undefined ? undefined : Number(status);
}

function lastWords(transcript: Transcript): string {
  const words = lastLine(transcript.stderr);
  return words === '' ? '' : `: ${words}`;
}
