// For guests that cannot reach the host: serves the cassette on the guest's own loopback and runs the agent beside it.
// Usage: node inside.mjs CASSETTE.json MARK -- COMMAND [ARG…]; the run's token is in CLAUDE_CODE_OAUTH_TOKEN.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { presentedCredential, sameSecret, sendError, serveReplay } from './replay.mjs';

const [cassettePath = '', mark = '', , ...command] = process.argv.slice(2);
/** With what the host knows of this run. @type {{values?: import('./placeholders.mjs').Values} & import('./replay.mjs').Cassette} */
const cassette = JSON.parse(readFileSync(cassettePath, 'utf8'));
/** @type {import('./replay.mjs').Replayed} */
const run = cassette.values === undefined ? {} : { values: cassette.values };
const token = process.env.CLAUDE_CODE_OAUTH_TOKEN ?? '';

/** Marks a moment; the host stamps the line when it arrives. @param {string} what */
const say = (what) => process.stdout.write(`${mark} ${what}\n`);

const server = createServer(async (req, res) => {
  const credential = presentedCredential(req.headers);
  if (req.method !== 'HEAD' && (credential === undefined || token === '' || !sameSecret(credential.token, token))) {
    return sendError(res, 401, 'authentication_error', 'this gateway takes only the token of its own run');
  }
  if (req.method === 'POST') say(`request ${JSON.stringify({ header: credential?.header, oauth: credential?.oauth })}`);
  await serveReplay(req, res, cassette, run);
  if (run.diverged !== undefined) say(`diverged ${run.diverged}`);
  if (req.method === 'POST') say('answered');
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  // A key that the guest's own settings bring would go before this run's token, and its proxy knows no way to the loopback.
  const { ANTHROPIC_API_KEY: _key, ANTHROPIC_AUTH_TOKEN: _token, NO_PROXY: direct, no_proxy: directToo, ...env } = process.env;
  const noProxy = ['127.0.0.1', ...[direct ?? directToo ?? []].flat()].join(',');
  const agent = spawn(command[0] ?? 'true', command.slice(1), {
    env: { ...env, NO_PROXY: noProxy, no_proxy: noProxy, ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` },
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
