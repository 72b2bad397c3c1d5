// The local model endpoint: one server per address that a mode needs, open only to tokens of runs under way.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, monotonic } from '../clock.js';
import { CagematchError, messageOf } from '../errors.js';
import { refuseExposed } from '../os/addresses.js';
import { oneLine } from '../os/printable.js';
import { descriptorLimit, limitConnections, openQueue } from './limits.js';
import type { Values } from './placeholders.mjs';
import { presentedCredential, readBody, refuseRoute, routeOf, sameSecret, sendError } from './replay.mjs';

/**
 * Answers a request whose token and route were already checked, and whose body was read. Where it resolves to words, they are what was
 * wrong with the answer although its status was good. `close`: what it keeps open of its own is ended with the gateway.
 */
export type Answer = ((req: IncomingMessage, res: ServerResponse, of: Asking, asked: Asked) => Promise<unknown>) & {
  close?(): Promise<void>;
};
/** Of a tap, what answers need and what they may note. */
export type Asking = Pick<Tap, 'task' | 'values' | 'diverged'> & { token?: string };
/** What belongs to one request alone. */
export interface Asked {
  body: Buffer;
  /** The model is not what is waited for from here on, but the guest that reads its answer. */
  pause(): void;
  /** It is again. */
  resume(): void;
}

/** What the gateway saw of one run. Times are on the match's clock. */
export interface Tap {
  /** What the run's agent has to present; nothing else opens the gateway. */
  token: string;
  /** What stands before the API's own paths in the run's base URL: it tells whose a request is that bears a credential of several runs. */
  path: string;
  /** What the run's agent was asked to do. */
  task?: string;
  firstRequestAtMs?: number;
  /**
   * Time during which the model was at work on at least one request: from when its body had been read here until its answer was made
   * (replay) or had come from the API (live). What travels between guest and gateway is not in it. Without the wait that still goes on.
   */
  modelMs: number;
  /** Since when the model has been at work; absent: it is not. */
  waitingSinceMs?: number;
  requests: number;
  /** The header by which the token arrived, and whether the agent took it for a subscription's. */
  credential?: { header: string; oauth: boolean };
  /** A request to its path bore another credential than the run was given. */
  stranger?: boolean;
  /** What was wrong with the model's last answer, as long as no good one has followed. */
  trouble?: Trouble;
  /** What stands in a cassette by name, in this run. */
  values?: Values;
  /** Where the run has gone another way than its cassette: one line. */
  diverged?: string;
}

interface Trouble {
  /** Of HTTP; absent: an answer that had begun well broke off. */
  status?: number;
  /** One line. */
  what: string;
}

export interface Gateway {
  /** Listens on one address, once; gives the port. */
  listen(address: string): Promise<number>;
  /** @param secret the user's own credential, where that is what the guest gets; absent: a token that opens this gateway alone */
  openTap(task?: string, secret?: string): Tap;
  /** The token opens nothing any more. */
  closeTap(tap: Tap): void;
  close(): Promise<void>;
}

interface Limits {
  /** In which a connection has to bring a request's headers. */
  headersMs: number;
  /** In which it has to bring the whole request. */
  requestMs: number;
  /** How many files and connections this process may have open. */
  descriptors: number;
}

/**
 * @param answer replay or live
 * @param options `port`: fixed instead of free; for users whose firewall wants one
 */
export function createGateway(answer: Answer, options: { port?: number; clock?: Clock; limits?: Partial<Limits> } = {}): Gateway {
  const clock = options.clock ?? monotonic;
  const { headersMs = 5000, requestMs = 120_000, descriptors = descriptorLimit() } = options.limits ?? {};
  const timeouts = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.min(1000, headersMs),
  };
  const connections = limitConnections<Tap>(descriptors);
  const queues = new Map<Tap, ReturnType<typeof openQueue>>();
  const taps = new Set<Tap>();
  const servers = new Map<string, Promise<Server>>();
  const busy = new Map<Tap, number>();

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method === 'HEAD') return void res.writeHead(200).end();
    const atMs = clock();
    const credential = presentedCredential(req.headers);
    const tap = claimedBy(req, credential?.token);
    if (!credential || !tap || !sameSecret(tap.token, credential.token)) {
      if (credential && tap) tap.stranger = true;
      const headers = { connection: 'close', 'x-should-retry': 'false' };
      return sendError(res, 401, 'authentication_error', 'this gateway takes only the token of a run under way', headers);
    }
    connections.belongsTo(req.socket, tap);
    req.url = (req.url ?? '/').slice(tap.path.length);
    tap.firstRequestAtMs ??= atMs;
    tap.credential ??= { header: credential.header, oauth: credential.oauth };
    tap.requests += 1;
    if (routeOf(req.method, req.url) === undefined) return refuseRoute(req, res);
    const queue = queues.get(tap);
    const place = await queue?.enter(res);
    if (!place) return tooMuch(res, 429, 'rate_limit_error', 'too many requests of this run wait already');
    let body: Buffer;
    try {
      body = await readBody(req, place.claim);
    } catch (error) {
      return tooMuch(res, 413, 'request_too_large', messageOf(error));
    }
    await answered(req, res, tap, body);
  }

  async function answered(req: IncomingMessage, res: ServerResponse, tap: Tap, body: Buffer): Promise<void> {
    const stopwatch = stopwatchOf(tap);
    res.once('close', stopwatch.pause);
    stopwatch.resume();
    let wrong: Trouble | undefined;
    try {
      const what = await answer(req, res, tap, { body, ...stopwatch });
      wrong = typeof what === 'string' ? { what: oneLine(what) } : errorAnswer(res.statusCode);
    } catch (error) {
      // An agent that hangs up says nothing of the model.
      if (error instanceof HungUp) return void res.destroy();
      wrong = { what: oneLine(messageOf(error)) };
      if (res.headersSent || error instanceof BrokenConnection) res.destroy();
      else {
        // Without a word on trying again: the agent decides as it would without a gateway.
        sendError(res, 502, 'api_error', messageOf(error), error instanceof Hopeless ? undefined : {});
        wrong = { status: 502, what: oneLine(`502 (${messageOf(error)})`) };
      }
    } finally {
      stopwatch.pause();
    }
    if (tap.diverged !== undefined) tap.diverged = oneLine(tap.diverged);
    if (wrong) tap.trouble = wrong;
    else delete tap.trouble;
  }

  /** By its path, or else by its token. */
  function claimedBy(req: IncomingMessage, token: string | undefined): Tap | undefined {
    const { url = '/' } = req;
    return [...taps].find(({ path, token: own }) =>
      path === '' ? token !== undefined && sameSecret(own, token) : url.startsWith(`${path}/`),
    );
  }

  /** Requests that overlap are counted once. */
  function stopwatchOf(tap: Tap): { pause(): void; resume(): void } {
    let running = false;
    return {
      resume() {
        if (running) return;
        running = true;
        busy.set(tap, (busy.get(tap) ?? 0) + 1);
        tap.waitingSinceMs ??= clock();
      },
      pause() {
        if (!running) return;
        running = false;
        const left = (busy.get(tap) ?? 1) - 1;
        busy.set(tap, left);
        if (left > 0 || tap.waitingSinceMs === undefined) return;
        tap.modelMs += clock() - tap.waitingSinceMs;
        busy.delete(tap);
        delete tap.waitingSinceMs;
      },
    };
  }

  return {
    async listen(address) {
      let server = servers.get(address);
      if (!server) {
        refuseExposed(address);
        const made = createServer(timeouts, (req, res) => void serve(req, res));
        connections.watch(made);
        server = bind(made, address, options.port ?? 0);
        servers.set(address, server);
        server.catch(() => servers.delete(address));
      }
      return ((await server).address() as AddressInfo).port;
    },
    openTap(task, secret) {
      const tap: Tap = {
        ...(task === undefined ? {} : { task }),
        token: secret ?? `cagematch-${randomBytes(24).toString('base64url')}`,
        path: secret === undefined ? '' : `/run-${randomBytes(12).toString('hex')}`,
        modelMs: 0,
        requests: 0,
      };
      taps.add(tap);
      queues.set(tap, openQueue());
      return tap;
    },
    closeTap(tap) {
      taps.delete(tap);
      queues.delete(tap);
      connections.end(tap);
    },
    async close() {
      await answer.close?.();
      for (const bound of await Promise.allSettled(servers.values())) {
        if (bound.status !== 'fulfilled') continue;
        bound.value.closeAllConnections();
        await new Promise((resolve) => bound.value.close(resolve));
      }
    },
  };
}

function errorAnswer(status: number): Trouble | undefined {
  return status < 400 ? undefined : { status, what: `${status}` };
}

/** The guest's end of a connection went away while it was answered. */
export class HungUp extends Error {}
/** The upstream broke the connection before it answered. It is passed on as what it is: agents try again then. */
export class BrokenConnection extends Error {}
/** A failure that asking again does not mend. */
export class Hopeless extends Error {}

/** Refuses what is over a limit, and the connection with it: what is still to come on it is not read. */
function tooMuch(res: ServerResponse, status: number, type: string, message: string): void {
  if (res.destroyed) return;
  sendError(res, status, type, message, { connection: 'close', 'x-should-retry': 'false' });
}

function bind(server: Server, address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(
          new CagematchError(
            'port-taken',
            `port ${port} of ${address} is taken`,
            'unset CAGEMATCH_GATEWAY_PORT to let the system choose one',
          ),
        );
      } else {
        reject(new CagematchError('port-taken', `the gateway cannot listen on ${address}: ${error.code ?? error.message}`));
      }
    });
    server.listen(port, address, () => resolve(server));
  });
}
