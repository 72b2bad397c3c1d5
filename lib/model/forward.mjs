// The way from a guest to the live API, where the guest cannot reach the harness: run beside the agent by inside.mjs. Plain Node.
// The agent's own credential goes with each request as it is; nothing is tried again, and nothing is kept.
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect } from 'node:tls';
import { readBody, sendError } from './replay.mjs';

/** Headers that are between the two ends of one connection. */
const OURS = ['host', 'connection', 'keep-alive', 'proxy-connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect'];

/**
 * Passes one request on to the API, and what it says back, byte for byte.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {string} upstream base URL of the API
 * @param {NodeJS.ProcessEnv} env says which proxy leads there, if any does
 */
export async function serveForward(req, res, upstream, env) {
  if (!req.url?.startsWith('/')) return sendError(res, 400, 'invalid_request_error', 'the request target has to be a path');
  const url = new URL(`${upstream.replace(/\/+$/, '')}${req.url}`);
  try {
    const body = req.method === 'POST' ? await readBody(req) : undefined;
    const headers = { ...without(req.headers), host: url.host, ...(body === undefined ? {} : { 'content-length': body.length }) };
    const proxy = proxyFor(url, env);
    const asked = await open(url, { method: req.method, headers }, proxy);
    res.once('close', () => asked.destroy());
    asked.end(body);
    const [answer] = /** @type {[import('node:http').IncomingMessage]} */ (await once(asked, 'response'));
    res.writeHead(answer.statusCode ?? 502, without(answer.headers));
    await pipeline(answer, res);
  } catch (error) {
    if (res.headersSent || res.destroyed) return void res.destroy();
    sendError(res, 502, 'api_error', `${url.origin} does not answer: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {import('node:http').IncomingHttpHeaders} headers */
function without(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OURS.includes(name)));
}

/**
 * @param {URL} url
 * @param {NodeJS.ProcessEnv} env
 * @returns {URL | undefined}
 */
export function proxyFor(url, env) {
  const named = url.protocol === 'https:' ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY;
  const direct = (env.no_proxy || env.NO_PROXY || '').split(/[\s,]+/).filter(Boolean);
  const isDirect = direct.some((one) => one === '*' || url.hostname === one || url.hostname.endsWith(`.${one.replace(/^\*?\./, '')}`));
  return named && !isDirect ? new URL(named) : undefined;
}

/**
 * @param {URL} url
 * @param {import('node:http').RequestOptions} options
 * @param {URL | undefined} proxy it is asked for a tunnel
 * @returns {Promise<import('node:http').ClientRequest>}
 */
async function open(url, options, proxy) {
  const request = url.protocol === 'https:' ? tlsRequest : plainRequest;
  if (!proxy) return request(url, { ...options, agent: false });
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const user = proxy.username === '' ? undefined : `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const tunnel = plainRequest({
    host: proxy.hostname,
    port: proxy.port || 80,
    method: 'CONNECT',
    path: `${url.hostname}:${port}`,
    headers: {
      host: `${url.hostname}:${port}`,
      ...(user ? { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` } : {}),
    },
    agent: false,
  });
  tunnel.end();
  const [answer, socket] = /** @type {[import('node:http').IncomingMessage, import('node:net').Socket]} */ (await once(tunnel, 'connect'));
  if (answer.statusCode !== 200) {
    socket.destroy();
    throw new Error(`the proxy ${proxy.host} refuses the way: ${answer.statusCode}`);
  }
  const createConnection = () => (url.protocol === 'https:' ? tlsConnect({ socket, servername: url.hostname }) : socket);
  // Without an agent: one would make a connection of its own.
  return request(url, { ...options, createConnection });
}
