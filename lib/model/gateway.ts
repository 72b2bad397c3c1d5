// The local model endpoint: one server per address that a mode needs, which accepts only the tokens
// of active runs.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, monotonic } from '../clock.js';
import { CagematchError, messageOf } from '../errors.js';
import { refuseExposed } from '../os/addresses.js';
import { oneLine } from '../os/printable.js';
import { descriptorLimit, limitConnections, openQueue } from './limits.js';
import type { Values } from './placeholders.mjs';
import {
  presentedCredential,
  readBody,
  refuseRoute,
  routeOf,
  sameSecret,
  sendError,
} from './replay.mjs';

/**
 * Answers a request whose token and route have been checked, and whose body has been read. If it
 * resolves to a string, that describes what was wrong with the answer despite its successful
 * status. `close` ends its open connections together with the gateway.
 */
export type Answer = ((
  req: IncomingMessage,
  res: ServerResponse,
  conversation: Asking,
  asked: Asked,
) => Promise<unknown>) & {
  close?(): Promise<void>;
};
/** The part of a tap that answers need, or may add to. */
export type Asking = Pick<Tap, 'task' | 'values' | 'diverged'> & { token?: string };
/** The data of one request. */
export interface Asked {
  body: Buffer;
  /** Called when the wait is no longer for the model but for the guest to read its answer. */
  pause(): void;
  /** Called when the wait is for the model again. */
  resume(): void;
}

/** What the gateway has observed of one run. Times are on the match's clock. */
export interface Tap {
  /** The token that the run's agent has to present; no other token is accepted for the run. */
  token: string;
  /**
   * Prefix of the API's paths in the run's base URL. It identifies the run if several runs share a
   * credential.
   */
  path: string;
  /** The id of the run's task. */
  task?: string;
  firstRequestAtMs?: number;
  /**
   * Time during which the model was at work on at least one request: from when the request's body
   * had been read here until its answer was made (replay) or had come from the API (live). It
   * excludes the transfer between guest and gateway, and the wait in progress.
   */
  modelMs: number;
  /** When the model started its current work; absent if it is idle. */
  waitingSinceMs?: number;
  requests: number;
  /**
   * The header in which the token arrived, and whether the agent treated it as a subscription's
   * token.
   */
  credential?: { header: string; oauth: boolean };
  /** True if a request to the run's path used another credential than the one it was given. */
  stranger?: boolean;
  /** The error in the model's last answer; removed by a successful one. */
  trouble?: Trouble;
  /** The values of the cassette's placeholders in this run. */
  values?: Values;
  /** Where the run diverged from its cassette: one line. */
  diverged?: string;
}

interface Trouble {
  /** HTTP status; absent if an answer that began successfully was wrong or broke off. */
  status?: number;
  /** One-line description. */
  what: string;
}

export interface Gateway {
  /** Listens on an address, once for each address. Returns the port. */
  listen(address: string): Promise<number>;
  /**
   * @param secret the user's own credential, if that is delivered to the guest; if absent, a token
   *   is created that only this gateway accepts
   */
  openTap(task?: string, secret?: string): Tap;
  /** Revokes the token. */
  closeTap(tap: Tap): void;
  close(): Promise<void>;
}

interface Limits {
  /** Timeout for a request's headers on a connection, in ms. */
  headersMs: number;
  /** Timeout for the whole request, in ms. */
  requestMs: number;
  /** Maximum number of open file descriptors of this process. */
  descriptors: number;
}

/**
 * @param answer replay or live
 * @param options `port`: a fixed port instead of a free one, for users whose firewall requires it
 */
export function createGateway(
  answer: Answer,
  options: { port?: number; clock?: Clock; limits?: Partial<Limits> } = {},
): Gateway {
  const clock = options.clock ?? monotonic;
  const {
    headersMs = 5000,
    requestMs = 120_000,
    descriptors = descriptorLimit(),
  } = options.limits ?? {};
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
      return sendError(
        res,
        401,
        'authentication_error',
        'this gateway takes only the token of a run under way',
        headers,
      );
    }
    connections.belongsTo(req.socket, tap);
    req.url = (req.url ?? '/').slice(tap.path.length);
    tap.firstRequestAtMs ??= atMs;
    tap.credential ??= { header: credential.header, oauth: credential.oauth };
    tap.requests += 1;
    if (routeOf(req.method, req.url) === undefined) return refuseRoute(req, res);
    const queue = queues.get(tap);
    const place = await queue?.enter(res);
    if (!place)
      return tooMuch(res, 429, 'rate_limit_error', 'too many requests of this run wait already');
    let body: Buffer;
    try {
      body = await readBody(req, place.claim);
    } catch (error) {
      return tooMuch(res, 413, 'request_too_large', messageOf(error));
    }
    await answered(req, res, tap, body);
  }

  async function answered(
    req: IncomingMessage,
    res: ServerResponse,
    tap: Tap,
    body: Buffer,
  ): Promise<void> {
    const stopwatch = stopwatchOf(tap);
    res.once('close', stopwatch.pause);
    stopwatch.resume();
    let wrong: Trouble | undefined;
    try {
      const what = await answer(req, res, tap, { body, ...stopwatch });
      wrong = typeof what === 'string' ? { what: oneLine(what) } : errorAnswer(res.statusCode);
    } catch (error) {
      // An agent that hangs up is no evidence against the model.
      if (error instanceof HungUp) return void res.destroy();
      wrong = { what: oneLine(messageOf(error)) };
      if (res.headersSent || error instanceof BrokenConnection) res.destroy();
      else {
        // Without the header `x-should-retry`, the agent decides on a retry as it would without a
        // gateway.
        sendError(
          res,
          502,
          'api_error',
          messageOf(error),
          error instanceof Hopeless ? undefined : {},
        );
        wrong = { status: 502, what: oneLine(`502 (${messageOf(error)})`) };
      }
    } finally {
      stopwatch.pause();
    }
    if (tap.diverged !== undefined) tap.diverged = oneLine(tap.diverged);
    if (wrong) tap.trouble = wrong;
    else delete tap.trouble;
  }

  /** Finds the run of a request by its path prefix, or else by its token. */
  function claimedBy(req: IncomingMessage, token: string | undefined): Tap | undefined {
    const { url = '/' } = req;
    return [...taps].find(({ path, token: own }) =>
      path === '' ? token !== undefined && sameSecret(own, token) : url.startsWith(`${path}/`),
    );
  }

  /** Measures the model time; overlapping requests are counted once. */
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

/** The guest closed the connection while it was being answered. */
export class HungUp extends Error {}
/**
 * The upstream broke the connection before it answered. This is passed on as a broken connection,
 * because agents then retry.
 */
export class BrokenConnection extends Error {}
/** A failure that a retry cannot fix. */
export class Hopeless extends Error {}

/**
 * Refuses a request that exceeds a limit, and closes its connection: the rest of its data is not
 * read.
 */
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
        reject(
          new CagematchError(
            'port-taken',
            `the gateway cannot listen on ${address}: ${error.code ?? error.message}`,
          ),
        );
      }
    });
    server.listen(port, address, () => resolve(server));
  });
}
