// Live where guests cannot reach the gateway: the agent asks the API itself, on a way that was
// asked for, and the clocks are kept. The API is a cassette of this process on the loopback; no
// real one is ever asked.
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readCassette } from '../../lib/model/cassette.js';
import { proxyFor, serveForward } from '../../lib/model/forward.mjs';
import { serveReplay } from '../../lib/model/replay.mjs';
import type { Report } from '../../lib/report/document.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { listening, openTunnel } from '../support/loopback.js';
import { standIn as dockerSandbox } from '../support/stand-ins/docker-sandbox.js';
import { standIn as fly } from '../support/stand-ins/fly.js';
import { standIn as kubernetes } from '../support/stand-ins/kubernetes.js';

const cassette = readCassette(bundledTask('hello').cassette);
/** As a plan's token looks; worth nothing. */
const TOKEN = `sk-ant-oat01-${'live-inside-'.repeat(8)}AA`;

/** The API as a cassette plays it, and what it was shown. */
async function openApi(refuse?: number) {
  const shown: string[] = [];
  const api: RequestListener = (req, res) => {
    if (req.method === 'POST')
      shown.push(req.headers.authorization ?? `x-api-key ${req.headers['x-api-key']}`);
    if (refuse === undefined) return void serveReplay(req, res, cassette);
    res
      .writeHead(refuse, { 'content-type': 'application/json' })
      .end(
        '{"type":"error","error":{"type":"authentication_error","message":"invalid bearer token"}}',
      );
  };
  return { shown, api, url: `http://127.0.0.1:${await listening(createServer(api))}` };
}

interface StandIn {
  env: Record<string, string>;
  close(): Promise<void>;
}

/** A live match of one run, with a credential that was given on purpose. */
async function live(stand: StandIn, args: string[], env: Record<string, string>) {
  onTestFinished(() => stand.close());
  const place = standSomewhere();
  onTestFinished(() => place.close());
  const run = ['run', ...args, '--model', 'live', '--runs', '1', '--json', 'report.json'];
  const { stdout, stderr, exitCode } = await cagematch(ownHouse, run, {
    cwd: place.cwd,
    env: { ...stand.env, CLAUDE_CODE_OAUTH_TOKEN: TOKEN, ...env },
  });
  const report = JSON.parse(readFileSync(join(place.cwd, 'report.json'), 'utf8')) as Report;
  return {
    report,
    row: report.modes[0],
    exitCode,
    output: `${stdout}${stderr}`,
    written: [place.cwd, stand.env.CAGEMATCH_STAND_IN_STATE ?? ''],
  };
}

/** Every file below these folders that holds the words. */
function holding(folders: string[], text: string): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter(
        (file) =>
          statSync(file, { throwIfNoEntry: false })?.isFile() && readFileSync(file).includes(text),
      ),
  );
}

const MODES: [mode: string, way: string, open: () => Promise<StandIn>][] = [
  ['fly', 'env', fly],
  ['kubernetes', 'remote-secret', kubernetes],
];

test.each(MODES)(
  '%s, by way of %s: the task passes, the API sees the credential, and it is written down nowhere',
  async (mode, way, open) => {
    const { shown, url } = await openApi();
    const { row, exitCode, output, written } = await live(await open(), [mode, '--deliver', way], {
      CAGEMATCH_UPSTREAM: url,
    });
    expect(row, output).toMatchObject({
      n: 1,
      passed: 1,
      leftovers: [],
      auth: { path: way, delivered: 'yes', header: 'authorization (oauth)' },
    });
    expect(row?.startupMs).toMatchObject({ median: expect.any(Number) });
    expect(row?.phasesMs.model).toMatchObject({ median: expect.any(Number) });
    expect(exitCode).toBe(0);
    expect(shown).toEqual([1, 2, 3].map(() => `Bearer ${TOKEN}`));
    expect(holding(written, TOKEN)).toEqual([]);
    expect(output).not.toContain(TOKEN);
  },
);

test.each([...MODES, ['docker-sandbox', 'runtime-proxy or env', dockerSandbox]] as typeof MODES)(
  '%s without --deliver is refused before anything is made: a credential leaves this machine only when that is asked for',
  async (mode, ways, open) => {
    const { shown, url } = await openApi();
    const { row, exitCode } = await live(await open(), [mode], { CAGEMATCH_UPSTREAM: url });
    const message =
      'its guests cannot reach the gateway: a credential of yours would have to go into them, which has to be asked for';
    expect(row?.failures).toMatchObject([
      { outcome: { message, hint: `--deliver ${ways}, or --model replay` } },
    ]);
    expect([exitCode, shown]).toEqual([1, []]);
  },
);

test('a secret that was stored with an app before the match is not this match’s to choose', async () => {
  const { row } = await live(await fly(), ['fly', '--deliver', 'remote-secret'], {
    CAGEMATCH_UPSTREAM: 'http://127.0.0.1:9',
  });
  expect(row?.failures).toMatchObject([
    {
      outcome: {
        message: expect.stringContaining('no live model by way of remote-secret'),
        hint: '--deliver env, or --model replay',
      },
    },
  ]);
});

test('a credential that the API refuses is blamed as one', async () => {
  const { url } = await openApi(401);
  const { row } = await live(await fly(), ['fly', '--deliver', 'env'], { CAGEMATCH_UPSTREAM: url });
  expect(row?.failures).toMatchObject([{ outcome: { cause: 'auth' } }]);
});

test('an API that does not answer is blamed as the model, with its words', async () => {
  const { row } = await live(await fly(), ['fly', '--deliver', 'env', '--timeout', '20'], {
    CAGEMATCH_UPSTREAM: 'http://127.0.0.1:9',
  });
  expect(row?.failures).toMatchObject([
    { outcome: { cause: expect.stringMatching(/^(model|timeout)$/) } },
  ]);
}, 120_000);

/**
 * A runtime's proxy on the host: it ends the tunnel, puts the key that it keeps in the place of the
 * word for it, and asks the API.
 */
async function openRuntimeProxy(key: string, api: RequestListener): Promise<string> {
  const inner = createServer((req, res) => {
    if (req.headers['x-api-key'] === 'proxy-managed') req.headers['x-api-key'] = key;
    api(req, res);
  });
  const proxy = createServer().on('connect', (_req, socket: Socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    inner.emit('connection', socket);
  });
  return `http://127.0.0.1:${await listening(proxy)}`;
}

test('docker-sandbox, by way of runtime-proxy: the guest has a word for the key, and the proxy on this machine puts the key in', async () => {
  const key = 'sk-ant-api03-that-sbx-keeps';
  const { shown, api } = await openApi();
  const proxy = await openRuntimeProxy(key, api);
  const stand = await dockerSandbox();
  await execa('sbx', ['secret', 'set', 'anthropic'], {
    env: stand.env,
    extendEnv: false,
    input: key,
  });
  const args = ['docker-sandbox', '--deliver', 'runtime-proxy'];
  const { row, output } = await live(stand, args, {
    CAGEMATCH_UPSTREAM: 'http://api.localhost',
    CAGEMATCH_STAND_IN_PROXY: proxy,
  });
  expect(row, output).toMatchObject({
    n: 1,
    passed: 1,
    auth: { path: 'runtime-proxy', delivered: 'yes', header: 'x-api-key' },
  });
  expect(shown).toEqual([1, 2, 3].map(() => `x-api-key ${key}`));
});

test('docker-sandbox, by way of env, goes through its proxy too', async () => {
  const { shown, api } = await openApi();
  const proxy = await openRuntimeProxy('unused', api);
  const args = ['docker-sandbox', '--deliver', 'env'];
  const { row, output } = await live(await dockerSandbox(), args, {
    CAGEMATCH_UPSTREAM: 'http://api.localhost',
    CAGEMATCH_STAND_IN_PROXY: proxy,
  });
  expect(row, output).toMatchObject({ passed: 1, auth: { path: 'env', delivered: 'yes' } });
  expect(new Set(shown)).toEqual(new Set([`Bearer ${TOKEN}`]));
});

describe('what passes', () => {
  /** What a guest's agent gets, and what the API saw. */
  async function through(
    api: RequestListener,
    env: Record<string, string> = {},
    upstream?: (port: number) => string,
    server?: Server,
  ) {
    const port = await listening(server ?? createServer(api));
    const front = await listening(
      createServer(
        (req, res) =>
          void serveForward(req, res, upstream?.(port) ?? `http://127.0.0.1:${port}`, env),
      ),
    );
    const answer = await new Promise<IncomingMessage>((resolve, reject) =>
      request(
        {
          host: '127.0.0.1',
          port: front,
          method: 'POST',
          path: '/v1/messages?beta=true',
          headers: { authorization: 'Bearer x', 'accept-encoding': 'gzip' },
        },
        resolve,
      )
        .on('error', reject)
        .end('{}'),
    );
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
  }

  test('comes back byte for byte, with its status and headers, also when it is compressed', async () => {
    const sent = gzipSync('event: ping\n'.repeat(5000));
    const seen: unknown[] = [];
    const { status, headers, body } = await through((req, res) => {
      seen.push([req.url, req.headers.authorization, req.headers['accept-encoding']]);
      res.writeHead(529, { 'content-encoding': 'gzip', 'retry-after': '7' }).end(sent);
    });
    expect(body.equals(sent)).toBe(true);
    expect({ status, ...headers }).toMatchObject({
      status: 529,
      'content-encoding': 'gzip',
      'retry-after': '7',
    });
    expect(seen).toEqual([['/v1/messages?beta=true', 'Bearer x', 'gzip']]);
  });

  test.each([
    ['POST', '/api/oauth/claude_cli/create_api_key'],
    ['GET', '/v1/messages'],
    ['TRACE', '/v1/messages'],
    ['POST', '/v1/../v1/messages'],
    ['POST', '//v1/messages'],
  ])('%s %s is answered in the guest, and the API never sees it', async (method, path) => {
    const seen: unknown[] = [];
    const api = await listening(createServer((req, res) => void res.end(seen.push(req.url))));
    const front = await listening(
      createServer((req, res) => void serveForward(req, res, `http://127.0.0.1:${api}/base`, {})),
    );
    const outgoing = request({ host: '127.0.0.1', port: front, method, path }).end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    expect([answer.statusCode, seen]).toEqual([404, []]);
  });

  test('a connection that the API breaks is broken for the agent, which tries again then', async () => {
    const api = createServer((req) => void req.socket.resetAndDestroy());
    await expect(through(() => {}, {}, undefined, api as unknown as Server)).rejects.toMatchObject({
      code: 'ECONNRESET',
    });
  });

  test.each([
    ['not-a-url', /http_proxy is not the URL of a proxy/],
    ['socks5://127.0.0.1:1', /http_proxy names a SOCKS proxy, which is not supported/],
  ])('a proxy that cannot be used is named by its variable: %s', async (http_proxy, message) => {
    const { status, body } = await through(() => {}, { http_proxy });
    expect([status, body.toString()]).toEqual([502, expect.stringMatching(message)]);
  });

  test('a proxy that refuses the way is named, and the agent gets an error of the API’s shape', async () => {
    const proxy = createServer().on(
      'connect',
      (_req, socket: Socket) => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'),
    );
    const url = `http://127.0.0.1:${await listening(proxy)}`;
    const { status, body } = await through(() => {}, { http_proxy: url });
    expect(status).toBe(502);
    expect(JSON.parse(body.toString()).error).toMatchObject({
      type: 'api_error',
      message: expect.stringMatching(/the proxy 127\.0\.0\.1:\d+ refuses the way: 403/),
    });
  });

  test('over TLS too, through a proxy that only tunnels; a certificate that nobody trusts ends it', async () => {
    const file = (name: string) =>
      readFileSync(fileURLToPath(new URL(`../support/loopback-tls/${name}`, import.meta.url)));
    const { tunnelled, url: https_proxy } = await openTunnel();
    const server = createTlsServer(
      { key: file('key.pem'), cert: file('cert.pem') },
      (_req, res) => void res.end('{}'),
    );
    const { status, body } = await through(
      () => {},
      { https_proxy },
      (port) => `https://127.0.0.1:${port}`,
      server as unknown as Server,
    );
    expect(status).toBe(502);
    expect(body.toString()).toMatch(/self[- ]signed certificate|unable to verify/);
    expect(tunnelled).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  test.each([
    ['https://api.anthropic.com/', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['https://api.anthropic.com/', { HTTP_PROXY: 'http://p:1' }, undefined],
    [
      'https://api.anthropic.com/',
      { https_proxy: 'http://p:1', no_proxy: 'localhost, .anthropic.com' },
      undefined,
    ],
    [
      'https://api.anthropic.com/',
      { https_proxy: 'http://p:1', NO_PROXY: 'anthropic.com' },
      undefined,
    ],
    [
      'https://api.anthropic.com/',
      { https_proxy: 'http://p:1', NO_PROXY: 'pic.com' },
      'http://p:1/',
    ],
    ['https://api.anthropic.com/', { https_proxy: 'http://p:1', NO_PROXY: '*' }, undefined],
  ])('to %s with %j goes by %s', (url, env, proxy) => {
    expect(proxyFor(new URL(url), env)?.href).toBe(proxy);
  });
});
