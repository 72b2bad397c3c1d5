// The way from a guest to the live API, where the guest cannot reach the harness: run beside the agent by inside.mjs. Plain Node.
// The agent's own credential goes with each request as it is; nothing is tried again, and nothing is kept.
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect } from 'node:tls';
import { readBody, refuseRoute, routeOf, sendError } from './replay.mjs';

/** Headers that are between the two ends of one connection. */
const OURS = ['host', 'connection', 'keep-alive', 'proxy-connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect'];

/** @typedef {{starts(): void, stops(): void}} Model notes when the API is asked, and when all of its answer is here */

/**
 * Passes one request on to the API, and what it says back, byte for byte.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {string} upstream base URL of the API
 * @param {NodeJS.ProcessEnv} env says which proxy leads there, if any does
 * @param {Model} model
 */
export async function serveForward(req, res, upstream, env, model = { starts() {}, stops() {} }) {
  if (req.method === 'HEAD') return void res.writeHead(200).end();
  if (routeOf(req.method, req.url) === undefined) return refuseRoute(req, res);
  const url = new URL(`${upstream.replace(/\/+$/, '')}${req.url}`);
  try {
    const body = await readBody(req);
    const headers = { ...without(req.headers), host: url.host, 'content-length': body.length };
    const proxy = proxyFor(url, env);
    model.starts();
    const asked = await open(url, { method: 'POST', headers }, proxy);
    res.once('close', () => asked.destroy());
    asked.end(body);
    const [answer] = /** @type {[import('node:http').IncomingMessage]} */ (await once(asked, 'response'));
    answer.once('end', model.stops);
    res.writeHead(answer.statusCode ?? 502, without(answer.headers));
    await pipeline(answer, res);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    // A connection that broke is passed on as one: agents try again then.
    if (res.headersSent || res.destroyed || code === 'ECONNRESET' || code === 'EPIPE') return void res.destroy();
    const { text, hopeless } = whyUnreachable(url, error);
    sendError(res, 502, 'api_error', text, hopeless ? undefined : {});
  } finally {
    model.stops();
  }
}

/** Errors of TLS that tell of a certificate authority that this side does not know. */
const UNKNOWN_AUTHORITY = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
];

/**
 * @param {URL} url
 * @param {unknown} error
 * @returns {{text: string, hopeless: boolean}} `hopeless`: to ask again does not mend it
 */
export function whyUnreachable(url, error) {
  const text = `${url.origin} does not answer: ${error instanceof Error ? error.message.split('\n', 1)[0] : error}`;
  const code = error instanceof Error ? /** @type {NodeJS.ErrnoException} */ (error).code : undefined;
  const cause = error instanceof Error ? /** @type {NodeJS.ErrnoException | undefined} */ (error.cause)?.code : undefined;
  if (![code, cause].some((one) => one !== undefined && UNKNOWN_AUTHORITY.includes(one)))
    return { text, hopeless: code?.startsWith('ERR_TLS_') === true || code?.startsWith('CERT_') === true };
  // Node 24 adds a flag of its own (`; … --use-system-ca`), which nobody can give to the Node that runs here.
  return {
    text: `${text.replace(/; if the root CA is installed locally.*$/, '')} (trusted are Node's own CAs and the file NODE_EXTRA_CA_CERTS: export it with the path of your CA)`,
    hopeless: true,
  };
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
  const direct = (env.no_proxy || env.NO_PROXY || '').split(/[\s,]+/).filter(Boolean);
  const isDirect = direct.some((one) => one === '*' || url.hostname === one || url.hostname.endsWith(`.${one.replace(/^\*?\./, '')}`));
  return isDirect ? undefined : namedProxy(url.protocol, env);
}

/**
 * The proxy that the environment names for a protocol.
 * @param {string} protocol `http:` or `https:`
 * @param {Record<string, string | undefined>} env
 * @returns {URL | undefined}
 * @throws an error that names the variable, and not its value: that may hold a password
 */
export function namedProxy(protocol, env) {
  const names = protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const name = names.find((one) => env[one]);
  if (name === undefined) return undefined;
  /** @type {URL} */
  let url;
  try {
    url = new URL(env[name] ?? '');
  } catch {
    throw new Error(`${name} is not the URL of a proxy`);
  }
  if (url.protocol.startsWith('socks')) throw new Error(`${name} names a SOCKS proxy, which is not supported`);
  if (!['http:', 'https:'].includes(url.protocol) || url.hostname === '') throw new Error(`${name} is not the URL of an HTTP proxy`);
  return url;
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
