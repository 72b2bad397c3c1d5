// Stand-in for the Fly Machines API: holds every request and every answer against the published
// contract, and lets faults befall them.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { openMachines, Refused } from './fly-machines.mjs';
import { openContract } from './openapi.mjs';

const contract = openContract(
  JSON.parse(readFileSync(new URL('../contracts/fly-machines.json', import.meta.url), 'utf8')),
);
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const ACTION = { perSecond: 1, burst: 3 };
/** Of reading one machine. */
const READING = { perSecond: 5, burst: 10 };

/**
 * What befalls one call. `refuse`: it is not done, and this is the answer. `dies`: the machine that
 * it is about ends first, out of memory. `vanishes`: nobody knows that machine any more. `lateMs`:
 * it is answered so much later. `deaf`: it is done, and the connection ends without an answer.
 * `instead`: it is done, and this is the answer.
 * @typedef {{ refuse?: {status: number, error: string, code?: string, retryAfter?: number}, dies?:
 *   true, vanishes?: true, lateMs?: number, deaf?: true, instead?: unknown, }} Fate
 * @typedef {{operation: string, nth: number, machine?: string | undefined, region?: string |
 *   undefined}} Call `nth`: of this operation, from 1
 * @typedef {{ app?: string, token?: string, images?: (image: string) => boolean, regions?:
 *   string[], befalls?: (call: Call) => Fate | undefined, bootMs?: number, skewMs?: number, }}
 *   Options `images`: which images the registry has; `skewMs`: how far the API's clock is ahead of
 *   ours
 */

/** Starts the server on a free port of the loopback. @param {Options} [options] */
export async function startFlyApi({
  app = 'cagematch-stand-in',
  token = 'fo1_stand-in',
  images = () => true,
  regions = ['ams', 'fra', 'iad'],
  befalls = () => undefined,
  bootMs = 0,
  skewMs = 0,
} = {}) {
  const nowMs = () => Date.now() + skewMs;
  const machines = openMachines({ nowMs, bootMs });
  /** @type {{method: string, path: string, status: number, body: string}[]} */
  const requests = [];
  /** @type {string[]} */
  const breaches = [];
  /** @type {Map<string, number>} */
  const callCounts = new Map();
  const allowance = createAllowance();

  /** @param {import('./fly-machines.mjs').CreateRequest} body */
  function create(body) {
    const { image } = body.config;
    if (body.region !== undefined && !regions.includes(body.region))
      throw new Refused(400, `invalid region "${body.region}"`);
    if (!image.startsWith(`registry.fly.io/${app}:`) || !images(image))
      throw new Refused(400, `unable to resolve image ${image}: manifest unknown`);
    return machines.create(body);
  }

  /** @param {string} operation @param {string} id @param {URL} url @param {any} body */
  function carryOut(operation, id, url, body) {
    switch (operation) {
      case 'Apps_show':
        return { id: 'standin', name: app, status: 'deployed', organization: { slug: 'personal' } };
      case 'Machines_create':
        return create(body);
      case 'Machines_list':
        return machines.list(url.searchParams);
      case 'Machines_show':
        return machines.show(id);
      case 'Machines_wait':
        return machines.wait(id, url.searchParams);
      case 'Machines_exec':
        return machines.exec(id, body);
      case 'Machines_delete':
        machines.remove(id, url.searchParams.get('force') === 'true');
        return {};
      default:
        throw new Refused(404, `stand-in: no ${operation}`);
    }
  }

  /** @param {string} operation @param {string} id @param {URL} url @param {any} body */
  async function answer(operation, id, url, body) {
    if (url.pathname.split('/')[3] !== app) throw new Refused(404, 'app not found');
    if (operation !== 'Apps_show')
      allowance(`${operation} ${id || app}`, operation === 'Machines_show' ? READING : ACTION);
    const nth = (callCounts.get(operation) ?? 0) + 1;
    callCounts.set(operation, nth);
    const fate = befalls({ operation, nth, machine: id || undefined, region: body?.region }) ?? {};
    if (fate.lateMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fate.lateMs));
    if (fate.dies) machines.die(id, 137, true);
    if (fate.vanishes) machines.vanish(id);
    if (fate.refuse) throw new Refused(fate.refuse.status, fate.refuse.error, fate.refuse);
    const done = await carryOut(operation, id, url, body);
    return { body: fate.instead ?? done, deaf: fate.deaf ?? false };
  }

  /**
   * @param {string} method
   * @param {URL} url
   * @param {string} text
   * @param {string | undefined} authorization
   */
  async function judged(method, url, text, authorization) {
    /** @type {string | undefined} */
    let operation;
    try {
      if (text.length > MAX_BODY_BYTES) throw new Refused(413, 'request body too large');
      if (![`Bearer ${token}`, token].includes(authorization ?? ''))
        throw new Refused(401, 'Authenticate: token validation error');
      const body = text === '' ? undefined : JSON.parse(text);
      const request = contract.request(method, url, body);
      operation = request.operation;
      if (operation === undefined || request.fault !== undefined) {
        breaches.push(`${operation ?? 'no operation'}: ${request.fault}`);
        throw new Refused(
          operation === undefined ? 404 : 400,
          `invalid_argument: ${request.fault}`,
        );
      }
      return {
        operation,
        status: 200,
        headers: {},
        ...(await answer(operation, url.pathname.split('/')[5] ?? '', url, body)),
      };
    } catch (error) {
      const { status, fields } = error instanceof Refused ? error : { status: 500, fields: {} };
      const headers =
        fields.retryAfter === undefined ? {} : { 'retry-after': String(fields.retryAfter) };
      const body = {
        error: error instanceof Error ? error.message : String(error),
        ...(fields.code === undefined ? {} : { status: fields.code }),
      };
      return { operation, status, headers, body, deaf: false };
    }
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? '/', 'http://stand-in');
    let text = '';
    for await (const chunk of req.setEncoding('utf8')) text += chunk;
    const { operation, status, headers, body, deaf } = await judged(
      req.method ?? '',
      url,
      text,
      req.headers.authorization,
    );
    const breach = operation && contract.response(operation, status, body);
    if (breach) breaches.push(`the stand-in's own answer: ${breach}`);
    requests.push({
      method: req.method ?? '',
      path: url.pathname + url.search,
      status,
      body: text,
    });
    if (deaf) return req.socket.destroy();
    const own = {
      date: new Date(nowMs()).toUTCString(),
      server: 'Fly/stand-in',
      'fly-request-id': randomBytes(8).toString('hex'),
    };
    res.writeHead(status, { 'content-type': 'application/json', ...own, ...headers });
    res.end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  return {
    url,
    app,
    token,
    requests,
    machines: () => machines.list(),
    folderOf: machines.folderOf,
    die: machines.die,
    /** What the contract forbids and was said all the same, since this was last asked. */
    takeBreaches: () => breaches.splice(0),
    /** @throws when something was said that the contract forbids, and nobody has taken note */
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(() => resolve(undefined)));
      machines.close();
      if (breaches.length > 0)
        throw new Error(`the contract of the Machines API forbids: ${breaches.join('; ')}`);
    },
  };
}

function createAllowance() {
  /** @type {Map<string, {left: number, atMs: number}>} */
  const buckets = new Map();
  return (
    /** @type {string} */ key,
    /** @type {{perSecond: number, burst: number}} */ { perSecond, burst },
  ) => {
    const nowMs = performance.now();
    const { left, atMs } = buckets.get(key) ?? { left: burst, atMs: nowMs };
    const filled = Math.min(burst, left + ((nowMs - atMs) / 1000) * perSecond);
    if (filled < 1) throw new Refused(429, 'rate limit exceeded', { retryAfter: 1 });
    buckets.set(key, { left: filled - 1, atMs: nowMs });
  };
}
