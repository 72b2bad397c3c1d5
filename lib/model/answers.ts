// Where the gateway's answers come from: a cassette, or the live API with the user's credential added on this side.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import type { Credential } from '../auth/credential.js';
import type { Env } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Cassette } from './cassette.js';
import type { Answer } from './gateway.js';
import { readBody, sendError, serveReplay } from './replay.mjs';
import { readableEncodings } from './spoken.js';
import type { Tape } from './tape.js';

/** @param cassette the one, or that of each task by its id */
export function replayAnswer(cassette: Cassette | ((task: string) => Cassette)): Answer {
  return (req, res, run) => serveReplay(req, res, typeof cassette === 'function' ? cassette(run.task ?? '') : cassette, run);
}

/** Headers that are between the two ends of one connection, or that hold the run's token. */
const OURS = new Set([
  'host',
  'connection',
  'keep-alive',
  'authorization',
  'x-api-key',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/**
 * Forwards to the real API, over HTTP/2 where it speaks it. The run's token is taken off and the credential put on here, so that no
 * sandbox ever holds it. What comes back is passed on byte for byte, as fast as the agent takes it; nothing is tried again.
 * @param upstream base URL of the API
 * @param env says which proxy leads there, if any does
 * @param tape keeps a copy of what passes; without one, nothing of it is kept
 */
export function liveAnswer(upstream: string, credential: Credential, env: Env = {}, tape?: Pick<Tape, 'hear'>): Answer {
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: env.http_proxy || env.HTTP_PROXY || '',
    httpsProxy: env.https_proxy || env.HTTPS_PROXY || '',
    noProxy: env.no_proxy || env.NO_PROXY || '',
    allowH2: true,
    // A model may think for long; the run has its own bound.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const answer: Answer = async (req, res, of) => {
    const url = upstreamUrl(upstream, req.url ?? '/');
    if (!url) return sendError(res, 400, 'invalid_request_error', 'the request target has to be a path');
    const body = req.method === 'POST' ? await readBody(req) : undefined;
    const hungUp = new AbortController();
    res.once('close', () => hungUp.abort());
    const answered = await request(url, {
      dispatcher,
      method: (req.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: { ...forwarded(req), ...(tape ? readable(req) : {}), ...credentialHeaders(credential) },
      signal: hungUp.signal,
      ...(body === undefined ? {} : { body }),
    }).catch((error: Error) => {
      if (hungUp.signal.aborted) throw error;
      throw new Error(`${url.origin} does not answer: ${messageOf(error)}`, { cause: error });
    });
    res.writeHead(answered.statusCode, passedOn(answered.headers));
    if (!tape) return pipeline(answered.body, res);
    const { statusCode: status, headers: answerHeaders } = answered;
    const copy: Buffer[] = [];
    try {
      await pipeline(answered.body, (source) => copied(source, copy), res);
    } finally {
      tape.hear({ path: req.url ?? '/', headers: req.headers, body, status, answerHeaders, answer: Buffer.concat(copy) }, of);
    }
  };
  return Object.assign(answer, { close: () => dispatcher.destroy() });
}

async function* copied(source: AsyncIterable<Buffer>, into: Buffer[]): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    into.push(chunk);
    yield chunk;
  }
}

/** What is recorded has to be read here, too. */
function readable({ headers }: IncomingMessage): Record<string, string> {
  const accepted = headers['accept-encoding'];
  return typeof accepted === 'string' ? { 'accept-encoding': readableEncodings(accepted) } : {};
}

function passedOn(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !['transfer-encoding', 'connection', 'keep-alive'].includes(name) && !name.startsWith(':')),
  );
}

/**
 * The API's own path, below the base URL's. A target that names a host (`//host/`, `http://host/`) is the agent's
 * try at having the credential sent there: it is a path of the API, or refused.
 */
function upstreamUrl(upstream: string, target: string): URL | undefined {
  return target.startsWith('/') ? new URL(`${upstream.replace(/\/+$/, '')}${target}`) : undefined;
}

function forwarded(req: IncomingMessage): Record<string, string> {
  const kept = Object.entries(req.headers).filter(([name]) => !OURS.has(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]));
}

function credentialHeaders(credential: Credential): Record<string, string> {
  const { kind, secret } = credential;
  // A helper's key goes both ways, as the agent sends it.
  return {
    ...(kind === 'api-key' || kind === 'api-key-helper' ? { 'x-api-key': secret } : {}),
    ...(kind === 'api-key' ? {} : { authorization: `Bearer ${secret}` }),
  };
}
