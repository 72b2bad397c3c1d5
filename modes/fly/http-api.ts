// Client for a JSON API over HTTP that keeps to its rate limit and waits when the answer is "too
// many requests".
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from '../../lib/clock.js';
import type { Closable } from '../../lib/contract.js';
import { oneLine } from '../../lib/os/printable.js';
import { createServerClock, type ServerClock } from './server-clock.js';

/** The largest response body that is read, in bytes. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** How often one call may be rejected for its rate before that becomes its answer. */
const MAX_REJECTIONS = 8;
/** The longest single wait that the server may impose on a call. */
const MAX_WAIT_MS = 30_000;
/**
 * We stay a little below the allowed rate, because the network can bring two calls closer together.
 */
const MARGIN = 1.05;

interface Pace {
  perSecond: number;
  burst: number;
}

export interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  /** Path relative to the base address, including the query. */
  path: string;
  body?: unknown;
  /** Calls with the same `key` share one allowance. */
  pace: Pace & { key: string };
  timeoutMs: number;
  signal?: AbortSignal;
  /** True if the call may be repeated when it is unknown whether it arrived. */
  repeatable?: boolean;
}

export type Answer =
  | { status: number; body: unknown; headers: Headers }
  /** There was no response; `reason` is the cause. */
  | { status: undefined; reason: string };

export interface HttpApi extends Closable {
  /** Never throws: a failure is returned as an answer. */
  call(call: Call): Promise<Answer>;
  /** The server's clock, estimated from all its responses so far. */
  clock: ServerClock;
}

/** @param authorization the complete header value; it is redacted from every response */
export function openHttpApi(base: string, authorization: string): HttpApi {
  const closed = new AbortController();
  const pacer = createPacer();
  const clock = createServerClock();
  const token = authorization.replace(/^\S+ /, '');

  async function once(call: Call, signal: AbortSignal): Promise<Answer> {
    const sentMs = monotonic();
    try {
      const response = await fetch(new URL(call.path, base), {
        method: call.method,
        headers: {
          authorization,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        // Do not follow redirects: the token must not be sent to another address.
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(call.timeoutMs)]),
      });
      clock.observe(response.headers.get('date'), sentMs, monotonic());
      const raw = await readBounded(response);
      const text = token === '' ? raw : raw.replaceAll(token, '…');
      return { status: response.status, body: parse(text), headers: response.headers };
    } catch (error) {
      return { status: undefined, reason: whyUnreachable(error) };
    }
  }

  return {
    clock,
    async call(call) {
      const signal = call.signal ? AbortSignal.any([closed.signal, call.signal]) : closed.signal;
      let retries = 0;
      for (let rejections = 0; ; ) {
        await pause(pacer.reserve(call.pace), signal);
        const answer = await once(call, signal);
        if (signal.aborted) return answer;
        if (answer.status === 429 && rejections < MAX_REJECTIONS) {
          rejections += 1;
          await pause(Math.min(retryAfterMs(answer.headers) ?? 1000, MAX_WAIT_MS), signal);
        } else if (
          call.repeatable &&
          retries < 2 &&
          (answer.status === undefined || [500, 502, 503, 504].includes(answer.status))
        ) {
          retries += 1;
          await pause(500 * retries, signal);
        } else return answer;
      }
    },
    close: () => closed.abort(),
  };
}

export function hasSucceeded(answer: Answer): answer is Extract<Answer, { status: number }> {
  return answer.status !== undefined && answer.status >= 200 && answer.status < 300;
}

/** True if the call did not succeed, but may still have had its effect. */
export function mayBeDone(answer: Answer): boolean {
  return answer.status === undefined || answer.status === 408 || answer.status >= 500;
}

/** One line on why a call failed, with the server's message if it sent one. */
export function whyRefused(answer: Answer): string {
  if (answer.status === undefined) return answer.reason;
  const { body } = answer;
  const message =
    typeof body === 'string'
      ? body
      : body !== null && typeof body === 'object'
        ? ('error' in body && body.error) || ('message' in body && body.message)
        : undefined;
  const detail =
    typeof message === 'string' ? `: ${oneLine(message.trim().split('\n', 1)[0] ?? '')}` : '';
  return `HTTP ${answer.status}${detail}`;
}

/**
 * How long each call has to wait for its turn. Per key, one timestamp records when the allowance is
 * full again.
 */
export function createPacer(now: () => number = () => performance.now()) {
  const wholeAtMs = new Map<string, number>();
  return {
    reserve({ key, perSecond, burst }: Call['pace']): number {
      const stepMs = (1000 / perSecond) * MARGIN;
      const nowMs = now();
      const wholeMs = wholeAtMs.get(key) ?? nowMs;
      const turnMs = Math.max(nowMs, wholeMs - (burst - 1) * stepMs);
      wholeAtMs.set(key, Math.max(wholeMs, turnMs) + stepMs);
      return turnMs - nowMs;
    },
  };
}

function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`an answer larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The message `fetch failed` carries no information; its cause does. */
function whyUnreachable(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const cause = error.cause as { code?: string; message?: string } | undefined;
  return cause?.code ?? (cause?.message || error.message);
}

/** Resolves early when the signal is aborted: the call itself then ends at once. */
const pause = (ms: number, signal: AbortSignal) =>
  sleep(Math.max(0, ms), undefined, { signal }).catch(() => {});
