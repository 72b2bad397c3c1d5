// Forwards requests from a guest to the live API, if the guest cannot reach the harness; inside.mjs
// runs it next to the agent. Plain Node. Each request is sent with the agent's own credential,
// unchanged; nothing is retried, and nothing is kept.
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect } from 'node:tls';
import { readBody, refuseRoute, routeOf, sendError } from './replay.mjs';

/** Headers that concern one connection only. */
const OURS = [
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
];

/**
 * @typedef {{starts(): void, stops(): void}} Model notified when a request to the API starts, and
 *   when its whole answer has arrived
 */

/**
 * Passes one request on to the API, and the API's answer back, byte for byte.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {string} upstream base URL of the API
 * @param {NodeJS.ProcessEnv} env contains the proxy settings, if any
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
    const [answer] = /** @type {[import('node:http').IncomingMessage]} */ (
      await once(asked, 'response')
    );
    answer.once('end', model.stops);
    res.writeHead(answer.statusCode ?? 502, without(answer.headers));
    await pipeline(answer, res);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    // A broken connection is passed on as a broken connection, because agents then retry.
    if (res.headersSent || res.destroyed || code === 'ECONNRESET' || code === 'EPIPE')
      return void res.destroy();
    const { text, hopeless } = whyUnreachable(url, error);
    sendError(res, 502, 'api_error', text, hopeless ? undefined : {});
  } finally {
    model.stops();
  }
}

/** TLS errors that mean that the certificate authority is unknown here. */
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
 * @returns {{text: string, hopeless: boolean}} `hopeless`: a retry cannot succeed
 */
export function whyUnreachable(url, error) {
  const text = `${url.origin} does not answer: ${error instanceof Error ? error.message.split('\n', 1)[0] : error}`;
  const code =
    error instanceof Error ? /** @type {NodeJS.ErrnoException} */ (error).code : undefined;
  const cause =
    error instanceof Error
      ? /** @type {NodeJS.ErrnoException | undefined} */ (error.cause)?.code
      : undefined;
  if (![code, cause].some((known) => known !== undefined && UNKNOWN_AUTHORITY.includes(known)))
    return {
      text,
      hopeless: code?.startsWith('ERR_TLS_') === true || code?.startsWith('CERT_') === true,
    };
  // Node 24 adds advice about one of its flags (`; … --use-system-ca`), which the user cannot pass
  // to the Node that runs here.
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
  const isDirect = direct.some(
    (pattern) =>
      pattern === '*' ||
      url.hostname === pattern ||
      url.hostname.endsWith(`.${pattern.replace(/^\*?\./, '')}`),
  );
  return isDirect ? undefined : namedProxy(url.protocol, env);
}

/**
 * The proxy that the environment names for a protocol.
 * @param {string} protocol `http:` or `https:`
 * @param {Record<string, string | undefined>} env
 * @returns {URL | undefined}
 * @throws an error that names the variable but not its value, which may contain a password
 */
export function namedProxy(protocol, env) {
  const names =
    protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const name = names.find((variable) => env[variable]);
  if (name === undefined) return undefined;
  /** @type {URL} */
  let url;
  try {
    url = new URL(env[name] ?? '');
  } catch {
    throw new Error(`${name} is not the URL of a proxy`);
  }
  if (url.protocol.startsWith('socks'))
    throw new Error(`${name} names a SOCKS proxy, which is not supported`);
  if (!['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new Error(`${name} is not the URL of an HTTP proxy`);
  return url;
}

/**
 * @param {URL} url
 * @param {import('node:http').RequestOptions} options
 * @param {URL | undefined} proxy if set, the connection goes through a tunnel that this proxy opens
 * @returns {Promise<import('node:http').ClientRequest>}
 */
async function open(url, options, proxy) {
  const request = url.protocol === 'https:' ? tlsRequest : plainRequest;
  if (!proxy) return request(url, { ...options, agent: false });
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const user =
    proxy.username === ''
      ? undefined
      : `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
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
  const [answer, socket] =
    /** @type {[import('node:http').IncomingMessage, import('node:net').Socket]} */ (
      await once(tunnel, 'connect')
    );
  if (answer.statusCode !== 200) {
    socket.destroy();
    throw new Error(`the proxy ${proxy.host} refuses the way: ${answer.statusCode}`);
  }
  const createConnection = () =>
    url.protocol === 'https:' ? tlsConnect({ socket, servername: url.hostname }) : socket;
  // No `agent` option: an HTTP agent would open its own connection.
  return request(url, { ...options, createConnection });
}
