// Live, between the agent and the API: what comes back is the API's own bytes, at the agent's pace, over TLS and either HTTP.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { liveAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { createGateway } from '../lib/model/gateway.js';
import { serveReplay } from '../lib/model/replay.mjs';
import { createTape, type Tape } from '../lib/model/tape.js';
import { bundledTask } from '../lib/task/bundled.js';
import { cagematch, ownHouse, standSomewhere } from './house.js';
import { listening, openTunnel } from './loopback.js';
import { temporaryFolder } from './temporary-folder.js';

const CREDENTIAL = { kind: 'oauth', secret: 'the-users-own-token', source: 'environment', where: 'CLAUDE_CODE_OAUTH_TOKEN' } as const;

/** A gateway before an API that answers as it is told. */
async function inFrontOf(api: RequestListener, env: (port: number) => Record<string, string> = () => ({}), tape?: Pick<Tape, 'hear'>) {
  const port = await listening(createServer(api));
  const gateway = createGateway(liveAnswer(`http://127.0.0.1:${port}`, CREDENTIAL, env(port), tape));
  onTestFinished(() => gateway.close());
  const front = await gateway.listen('127.0.0.1');
  const { token } = gateway.openTap();
  const ask = async (headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const bearing = { authorization: `Bearer ${token}`, ...headers };
    const asked = request({ host: '127.0.0.1', port: front, path: '/v1/messages', method: 'POST', headers: bearing }).end('{}');
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return answer;
  };
  return { ask };
}

describe('a proxy that the environment names', () => {
  const ok: RequestListener = (_req, res) => void res.end('{}');

  test('leads to the API', async () => {
    const { tunnelled, url } = await openTunnel();
    let api = 0;
    const { ask } = await inFrontOf(ok, (port) => {
      api = port;
      return { HTTP_PROXY: url };
    });
    expect((await ask()).statusCode).toBe(200);
    expect(tunnelled).toEqual([`127.0.0.1:${api}`]);
  });

  test('is passed by for a host that it is not for', async () => {
    const { tunnelled, url } = await openTunnel();
    const { ask } = await inFrontOf(ok, () => ({ HTTP_PROXY: url, NO_PROXY: '127.0.0.1' }));
    expect((await ask()).statusCode).toBe(200);
    expect(tunnelled).toEqual([]);
  });
});

describe.each([
  ['', () => undefined],
  [', while it is recorded', createTape],
])('what the API says%s', (_when, tape) => {
  test('is passed on byte for byte, also when it is compressed', async () => {
    const sent = gzipSync('event: ping\ndata: {"type":"ping"}\n\n'.repeat(500));
    const asked: IncomingMessage['headers'][] = [];
    const { ask } = await inFrontOf(
      (req, res) => {
        asked.push(req.headers);
        res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip', 'request-id': 'req_1' }).end(sent);
      },
      undefined,
      tape(),
    );
    const answer = await ask({ 'accept-encoding': 'gzip', 'anthropic-beta': 'one,two' });
    const got: Buffer[] = [];
    for await (const chunk of answer) got.push(chunk as Buffer);
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip', 'request-id': 'req_1' });
    expect(asked).toMatchObject([{ 'accept-encoding': 'gzip', 'anthropic-beta': 'one,two', authorization: `Bearer ${CREDENTIAL.secret}` }]);
  });

  test('comes no faster than the agent reads it: the rest waits at the API', async () => {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    const most = 512;
    let written = 0;
    let read = 0;
    let ahead = 0;
    // Turns of this process for which the API has had to wait. Without pressure back, all is written before so many have passed.
    let waited = 0;
    const { ask } = await inFrontOf(
      async (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        for (; written < most; written += 1) {
          ahead = Math.max(ahead, written - read);
          waited = 0;
          if (!res.write(chunk)) await once(res, 'drain');
        }
        res.end();
      },
      undefined,
      tape(),
    );
    const answer = await ask();
    while (written < most && waited < 2000) {
      waited += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    let bytes = 0;
    for await (const part of answer) {
      bytes += (part as Buffer).length;
      read = Math.floor(bytes / chunk.length);
    }
    expect(bytes).toBe(most * chunk.length);
    // Kernel and Node hold some megabytes between the two; 128 are sent.
    expect((ahead * chunk.length) / 2 ** 20).toBeLessThan(48);
  });
});

describe('an API behind TLS', () => {
  const file = (name: string) => fileURLToPath(new URL(`loopback-tls/${name}`, import.meta.url));
  const tls = { key: readFileSync(file('key.pem')), cert: readFileSync(file('cert.pem')) };
  const cassette = readCassette(bundledTask('hello').cassette);
  const seen: { version: string; authorization: string | undefined }[] = [];
  const api: RequestListener = (req, res) => {
    seen.push({ version: req.httpVersion, authorization: req.headers.authorization });
    void serveReplay(req, res, cassette);
  };

  async function run(port: number, env: Record<string, string>) {
    const place = standSomewhere();
    onTestFinished(place.close);
    seen.length = 0;
    const upstream = `https://127.0.0.1:${port}`;
    const args = ['run', 'host', '--runs', '1', '--allow-host', '--timeout', '20'];
    const given = { CLAUDE_CODE_OAUTH_TOKEN: CREDENTIAL.secret, CAGEMATCH_UPSTREAM: upstream, HOME: temporaryFolder(), ...env };
    return cagematch(ownHouse, args, { cwd: place.cwd, env: given });
  }

  test.each([
    ['HTTP/1.1', '1.1', () => createTlsServer(tls, api)],
    // The types know no server that answers both kinds alike; Node's does.
    ['HTTP/2', '2.0', () => createSecureServer(tls, api as never)],
  ])('over %s answers the real agent, and sees the credential in every request', async (_what, version, make) => {
    const port = await listening(make());
    const { exitCode, stdout } = await run(port, { NODE_EXTRA_CA_CERTS: file('cert.pem') });
    expect(stdout).toMatch(/host\s.*1\/1/);
    expect(exitCode).toBe(0);
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(new Set(seen.map((one) => one.version))).toEqual(new Set([version]));
    expect(new Set(seen.map((one) => one.authorization))).toEqual(new Set([`Bearer ${CREDENTIAL.secret}`]));
  });

  test('whose certificate nobody vouches for is given no credential, and the run says why', async () => {
    const port = await listening(createTlsServer(tls, api));
    const { exitCode, stdout } = await run(port, {});
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/self-signed certificate/);
    expect(seen).toEqual([]);
  });
});
