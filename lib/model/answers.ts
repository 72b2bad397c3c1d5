// The sources of the gateway's answers: a cassette, or the live API with the user's credential
// added on this side.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { EnvHttpProxyAgent, request } from 'undici';
import type { Credential } from '../auth/credential.js';
import type { Env } from '../contract.js';
import { CagematchError, messageOf } from '../errors.js';
import type { Cassette } from './cassette.js';
import { namedProxy, whyUnreachable } from './forward.mjs';
import { type Answer, type Asked, BrokenConnection, Hopeless, HungUp } from './gateway.js';
import { serveReplay } from './replay.mjs';
import { readableEncodings } from './spoken.js';
import type { Tape } from './tape.js';
import { watchAnswer } from './watch.js';

/**
 * @param cassette one cassette for all runs, or a function that returns the cassette of a task by
 *   its id
 */
export function replayAnswer(cassette: Cassette | ((task: string) => Cassette)): Answer {
  return (req, res, run, { body }) =>
    serveReplay(
      req,
      res,
      typeof cassette === 'function' ? cassette(run.task ?? '') : cassette,
      run,
      body,
    );
}

/** Headers that concern one connection only, or that contain the run's token. */
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
 * Forwards to the real API, over HTTP/2 if the API supports it. The run's token is removed and the
 * credential added here, so that no sandbox ever holds it. The answer is passed on byte for byte,
 * as fast as the agent reads it. Only a request that an HTTP/2 server refused to process is
 * retried; any other retry is the agent's decision, as it is without a gateway.
 * @param upstream base URL of the API
 * @param env contains the proxy settings, if any
 * @param tape keeps a copy of what passes; without one, nothing is kept
 * @throws `bad-input` if the environment names a proxy that cannot be used
 */
export function liveAnswer(
  upstream: string,
  credential: Credential,
  env: Env = {},
  tape?: Pick<Tape, 'hear'>,
): Answer {
  checkProxies(upstream, env);
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: env.http_proxy || env.HTTP_PROXY || '',
    httpsProxy: env.https_proxy || env.HTTPS_PROXY || '',
    noProxy: env.no_proxy || env.NO_PROXY || '',
    allowH2: true,
    // A model may think for a long time; the run has its own timeout.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const base = upstream.replace(/\/+$/, '');
  const answer: Answer = async (req, res, conversation, asked) => {
    const { body } = asked;
    const url = new URL(`${base}${req.url}`);
    const hungUp = new AbortController();
    res.once('close', () => hungUp.abort());
    const ask = () =>
      request(url, {
        dispatcher,
        method: 'POST',
        headers: {
          ...forwarded(req),
          ...(tape ? readable(req) : {}),
          ...credentialHeaders(credential),
        },
        signal: hungUp.signal,
        body,
      });
    const answered = await ask()
      .catch((error: Error) => {
        if (hungUp.signal.aborted || !wasRefused(error)) throw error;
        return ask();
      })
      .catch((error: Error) => {
        if (hungUp.signal.aborted) throw new HungUp();
        throw unanswered(url, error);
      });
    const { statusCode: status, headers: answerHeaders } = answered;
    res.writeHead(status, passedOn(answerHeaders));
    const watch = watchAnswer(status, answerHeaders);
    const copy: Buffer[] = [];
    let brokeOff: Error | undefined;
    try {
      await pipeline(
        passing(answered.body, asked, hungUp.signal, (chunk) => {
          watch.hear(chunk);
          if (tape) copy.push(chunk);
        }),
        res,
      );
    } catch (error) {
      if (!(error instanceof UpstreamBroke)) throw new HungUp();
      brokeOff = error as Error;
    } finally {
      asked.pause();
      tape?.hear(
        {
          path: req.url ?? '/',
          headers: req.headers,
          body,
          status,
          answerHeaders,
          answer: Buffer.concat(copy),
        },
        conversation,
      );
    }
    const wrong = await watch.end();
    if (brokeOff)
      throw new Error(`its answer broke off (${messageOf(brokeOff)})`, { cause: brokeOff });
    return wrong;
  };
  return Object.assign(answer, { close: () => dispatcher.destroy() });
}

class UpstreamBroke extends Error {}

/**
 * Passes chunks on. The time that the agent takes to read a chunk is excluded from the model time.
 */
async function* passing(
  source: AsyncIterable<Buffer>,
  asked: Asked,
  hungUp: AbortSignal,
  hear: (chunk: Buffer) => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) {
      hear(chunk);
      asked.pause();
      yield chunk;
      asked.resume();
    }
  } catch (error) {
    // An aborted request also appears as an error of the source.
    if (hungUp.aborted) throw error;
    throw new UpstreamBroke(messageOf(error), { cause: error });
  }
}

/**
 * True if HTTP/2 allows the request to be sent again, because the server has reported that it did
 * not process it.
 */
function wasRefused(error: Error): boolean {
  return /NGHTTP2_REFUSED_STREAM|"GOAWAY" frame received/.test(error.message);
}

function unanswered(url: URL, error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  const { text, hopeless } = whyUnreachable(url, error);
  if (hopeless) return new Hopeless(text, { cause: error });
  const broken =
    code === 'ECONNRESET' ||
    code === 'EPIPE' ||
    code === 'UND_ERR_SOCKET' ||
    code?.startsWith('ERR_HTTP2') === true;
  return broken || wasRefused(error)
    ? new BrokenConnection(text, { cause: error })
    : new Error(text, { cause: error });
}

/**
 * Checks the proxy settings. Even for an API behind TLS, undici uses the HTTP proxy if no HTTPS
 * proxy is set.
 */
function checkProxies(upstream: string, env: Env): void {
  const protocols = upstream.startsWith('https:') ? ['https:', 'http:'] : ['http:'];
  try {
    for (const protocol of protocols) namedProxy(protocol, env);
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      messageOf(error),
      'set it to http://HOST:PORT, or unset it',
    );
  }
}

/**
 * An answer that is recorded has to be decoded here, so only encodings that we can read are
 * accepted.
 */
function readable({ headers }: IncomingMessage): Record<string, string> {
  const accepted = headers['accept-encoding'];
  return typeof accepted === 'string' ? { 'accept-encoding': readableEncodings(accepted) } : {};
}

function passedOn(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) =>
        !['transfer-encoding', 'connection', 'keep-alive'].includes(name) && !name.startsWith(':'),
    ),
  );
}

function forwarded(req: IncomingMessage): Record<string, string> {
  const kept = Object.entries(req.headers).filter(([name]) => !OURS.has(name));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

function credentialHeaders(credential: Credential): Record<string, string> {
  const { kind, secret } = credential;
  // A helper's key is sent in both headers, as the agent does.
  return {
    ...(kind === 'api-key' || kind === 'api-key-helper' ? { 'x-api-key': secret } : {}),
    ...(kind === 'api-key' ? {} : { authorization: `Bearer ${secret}` }),
  };
}
