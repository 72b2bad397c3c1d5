// Where the gateway's answers come from: a cassette, or the live API with the user's credential added on this side.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Credential } from '../auth/credential.js';
import { messageOf } from '../errors.js';
import type { Cassette } from './cassette.js';
import type { Answer } from './gateway.js';
import { readBody, sendError, serveReplay } from './replay.mjs';

export function replayAnswer(cassette: Cassette): Answer {
  return (req, res) => serveReplay(req, res, cassette);
}

/** Request headers that are between the agent and us alone, or that fetch sets itself. */
const OURS = new Set([
  'host',
  'connection',
  'authorization',
  'x-api-key',
  'content-length',
  'accept-encoding',
  'transfer-encoding',
  'expect',
]);

/**
 * Forwards to the real API. The run's token is taken off and the credential put on here,
 * so that no sandbox ever holds it.
 * @param upstream base URL of the API
 */
export function liveAnswer(upstream: string, credential: Credential): Answer {
  return async (req, res) => {
    const url = upstreamUrl(upstream, req.url ?? '/');
    if (!url) return sendError(res, 400, 'invalid_request_error', 'the request target has to be a path');
    const body = req.method === 'POST' ? await readBody(req) : undefined;
    const hungUp = new AbortController();
    res.once('close', () => hungUp.abort());
    const answer = await fetch(url, {
      method: req.method ?? 'GET',
      // Followed from here, a redirect would take the credential along.
      redirect: 'manual',
      headers: { ...forwarded(req), ...credentialHeaders(credential) },
      signal: hungUp.signal,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    }).catch((error: Error) => {
      throw new Error(`${url.origin} does not answer: ${messageOf(error.cause ?? error)}`, { cause: error });
    });
    const headers = Object.fromEntries(
      [...answer.headers].filter(([name]) => !['content-encoding', 'content-length', 'transfer-encoding', 'connection'].includes(name)),
    );
    res.writeHead(answer.status, headers);
    if (answer.body) await pipeline(Readable.fromWeb(answer.body as ReadableStream), res);
    else res.end();
  };
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
