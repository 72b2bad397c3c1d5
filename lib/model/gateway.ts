// The local model endpoint: one server per address that a mode needs, open only to tokens of runs under way.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, monotonic } from '../clock.js';
import { CagematchError, messageOf } from '../errors.js';
import type { Values } from './placeholders.mjs';
import { presentedCredential, sameSecret, sendError } from './replay.mjs';

/** Answers a request whose token was already checked. `close`: what it keeps open of its own is ended with the gateway. */
export type Answer = ((req: IncomingMessage, res: ServerResponse, of: Asking) => Promise<void>) & { close?(): Promise<void> };
/** Of a tap, what answers need and what they may note. */
export type Asking = Pick<Tap, 'task' | 'values' | 'diverged'> & { token?: string };

/** What the gateway saw of one run. Times are on the match's clock. */
export interface Tap {
  /** What the run's agent has to present; nothing else opens the gateway. */
  token: string;
  /** What stands before the API's own paths in the run's base URL: it tells whose a request is that bears a credential of several runs. */
  path: string;
  /** What the run's agent was asked to do. */
  task?: string;
  firstRequestAtMs?: number;
  /** Time during which at least one request was unanswered, without the wait that still goes on. */
  modelMs: number;
  /** Since when a request has been unanswered; absent: none is. */
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

/**
 * @param answer replay or live
 * @param options `port`: fixed instead of free; for users whose firewall wants one
 */
export function createGateway(answer: Answer, options: { port?: number; clock?: Clock } = {}): Gateway {
  const clock = options.clock ?? monotonic;
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
      return sendError(res, 401, 'authentication_error', 'this gateway takes only the token of a run under way');
    }
    req.url = (req.url ?? '/').slice(tap.path.length);
    tap.firstRequestAtMs ??= atMs;
    tap.credential ??= { header: credential.header, oauth: credential.oauth };
    tap.requests += 1;
    begin(tap, atMs);
    res.once('close', () => end(tap));
    let brokeOff: string | undefined;
    try {
      await answer(req, res, tap);
    } catch (error) {
      // An agent that hangs up says nothing of the model.
      if (hasHungUp(error)) return void res.destroy();
      if (res.headersSent) {
        brokeOff = `broken off (${messageOf(error)})`;
        res.destroy();
      } else sendError(res, 502, 'api_error', messageOf(error));
    }
    const trouble = brokeOff === undefined ? errorAnswer(res.statusCode) : { what: brokeOff };
    if (trouble) tap.trouble = trouble;
    else delete tap.trouble;
  }

  /** By its path, or else by its token. */
  function claimedBy(req: IncomingMessage, token: string | undefined): Tap | undefined {
    const { url = '/' } = req;
    return [...taps].find(({ path, token: own }) =>
      path === '' ? token !== undefined && sameSecret(own, token) : url.startsWith(`${path}/`),
    );
  }

  function begin(tap: Tap, atMs: number): void {
    busy.set(tap, (busy.get(tap) ?? 0) + 1);
    tap.waitingSinceMs ??= atMs;
  }

  function end(tap: Tap): void {
    const left = (busy.get(tap) ?? 1) - 1;
    busy.set(tap, left);
    if (left > 0 || tap.waitingSinceMs === undefined) return;
    tap.modelMs += clock() - tap.waitingSinceMs;
    busy.delete(tap);
    delete tap.waitingSinceMs;
  }

  return {
    async listen(address) {
      let server = servers.get(address);
      if (!server) {
        server = bind(
          createServer((req, res) => void serve(req, res)),
          address,
          options.port ?? 0,
        );
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
      return tap;
    },
    closeTap: (tap) => void taps.delete(tap),
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

/** Is it the reader's end that went away, and not the answer's source? */
function hasHungUp(error: unknown): boolean {
  const { name, code, cause } = error as NodeJS.ErrnoException;
  return name === 'AbortError' || code === 'ERR_STREAM_PREMATURE_CLOSE' || (cause !== undefined && hasHungUp(cause));
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
