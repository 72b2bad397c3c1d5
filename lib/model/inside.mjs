// For guests that cannot reach the host: serves the cassette on the guest's own loopback interface,
// or forwards to the live API, and runs the agent next to it. Usage: node inside.mjs GIVEN.json
// MARK -- COMMAND [ARG…]; the agent has to present the credential in the variable that GIVEN names.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import {
  presentedCredential,
  readBody,
  refuseRoute,
  routeOf,
  sameSecret,
  sendError,
  serveReplay,
} from './replay.mjs';

const [givenPath = '', mark = '', , ...command] = process.argv.slice(2);
/** Variables from which the agent takes a credential. */
const VARIABLES = ['CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_API_KEY'];

/**
 * A cassette with the values that the host supplies for this run, or the API that requests are
 * forwarded to.
 * @typedef {{values?: import('./placeholders.mjs').Values} & import('./replay.mjs').Cassette}
 *   Played
 * @typedef {{upstream: string, variable: string}} Forwarded
 * @type {Played | Forwarded}
 */
const given = JSON.parse(readFileSync(givenPath, 'utf8'));
const variable = 'upstream' in given ? given.variable : 'CLAUDE_CODE_OAUTH_TOKEN';
const token = process.env[variable] ?? '';
const answer = 'upstream' in given ? await forwarding(given.upstream) : replaying(given);

/**
 * @typedef {(req: import('node:http').IncomingMessage, res: import('node:http').ServerResponse) =>
 *   Promise<void>} Answer
 */

/** @param {string} upstream @returns {Promise<Answer>} */
async function forwarding(upstream) {
  const { serveForward } = await import('./forward.mjs');
  return async (req, res) => {
    let started = false;
    let stopped = false;
    await serveForward(req, res, upstream, process.env, {
      starts() {
        started = true;
        say('asked');
      },
      stops() {
        if (started && !stopped) say('answered');
        stopped = true;
      },
    });
  };
}

/** @param {Played} cassette @returns {Answer} */
function replaying(cassette) {
  /** @type {import('./replay.mjs').Replayed} */
  const run = cassette.values === undefined ? {} : { values: cassette.values };
  return async (req, res) => {
    const body = await readBody(req);
    say('asked');
    await serveReplay(req, res, cassette, run, body);
    say('answered');
    if (run.diverged !== undefined) say(`diverged ${run.diverged}`);
  };
}

/** Prints a marked line; the host records the time when the line arrives. @param {string} what */
function say(what) {
  process.stdout.write(`${mark} ${what}\n`);
}

const server = createServer({ headersTimeout: 5000, requestTimeout: 120_000 }, async (req, res) => {
  if (req.method === 'HEAD') return void res.writeHead(200).end();
  const credential = presentedCredential(req.headers);
  if (credential === undefined || token === '' || !sameSecret(credential.token, token)) {
    return sendError(
      res,
      401,
      'authentication_error',
      'this gateway takes only the token of its own run',
    );
  }
  if (routeOf(req.method, req.url) === undefined) return refuseRoute(req, res);
  say(`request ${JSON.stringify({ header: credential.header, oauth: credential.oauth })}`);
  await answer(req, res).catch(() => void res.destroy());
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  // A key from the guest's own settings would take precedence over the run's credential, so it is
  // removed. The guest's proxy cannot reach the loopback interface, so it is bypassed.
  const { NO_PROXY: direct, no_proxy: directToo, ...all } = process.env;
  const env = Object.fromEntries(
    Object.entries(all).filter(([name]) => name === variable || !VARIABLES.includes(name)),
  );
  const noProxy = ['127.0.0.1', ...[direct ?? directToo ?? []].flat()].join(',');
  const agent = spawn(command[0] ?? 'true', command.slice(1), {
    env: {
      ...env,
      NO_PROXY: noProxy,
      no_proxy: noProxy,
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  agent.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 127;
    server.close();
  });
  agent.on('exit', (code, signal) => {
    server.close();
    server.closeAllConnections();
    if (signal) process.kill(process.pid, signal);
    else process.exitCode = code ?? 1;
  });
});
