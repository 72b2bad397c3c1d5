// Live, between the agent and the API: what comes back is the API's own bytes, at the agent's pace,
// over TLS and either HTTP.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { constants, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { liveAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { serveReplay } from '../../lib/model/replay.mjs';
import { createTape, type Tape } from '../../lib/model/tape.js';
import { packageRoot } from '../../lib/package.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { listening, openTunnel } from '../support/loopback.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const CREDENTIAL = {
  kind: 'oauth',
  secret: 'the-users-own-token',
  source: 'environment',
  where: 'CLAUDE_CODE_OAUTH_TOKEN',
} as const;

/** A gateway before an API that answers as it is told. */
async function inFrontOf(
  api: RequestListener,
  env: (port: number) => Record<string, string> = () => ({}),
  tape?: Pick<Tape, 'hear'>,
) {
  const port = await listening(createServer(api));
  const gateway = createGateway(
    liveAnswer(`http://127.0.0.1:${port}`, CREDENTIAL, env(port), tape),
  );
  onTestFinished(() => gateway.close());
  const front = await gateway.listen('127.0.0.1');
  const { token } = gateway.openTap();
  const ask = async (headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const bearing = { authorization: `Bearer ${token}`, ...headers };
    const outgoing = request({
      host: '127.0.0.1',
      port: front,
      path: '/v1/messages',
      method: 'POST',
      headers: bearing,
    }).end('{}');
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
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
    const received: IncomingMessage['headers'][] = [];
    const { ask } = await inFrontOf(
      (req, res) => {
        received.push(req.headers);
        res
          .writeHead(200, {
            'content-type': 'text/event-stream',
            'content-encoding': 'gzip',
            'request-id': 'req_1',
          })
          .end(sent);
      },
      undefined,
      tape(),
    );
    const answer = await ask({ 'accept-encoding': 'gzip', 'anthropic-beta': 'one,two' });
    const got: Buffer[] = [];
    for await (const chunk of answer) got.push(chunk as Buffer);
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip', 'request-id': 'req_1' });
    expect(received).toMatchObject([
      {
        'accept-encoding': 'gzip',
        'anthropic-beta': 'one,two',
        authorization: `Bearer ${CREDENTIAL.secret}`,
      },
    ]);
  });

  test('comes no faster than the agent reads it: the rest waits at the API', async () => {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    const most = 512;
    let written = 0;
    let read = 0;
    let ahead = 0;
    // Turns of this process for which the API has had to wait. Without pressure back, all is
    // written before so many have passed.
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

describe('what the agent would survive without a gateway', () => {
  const POST = { method: 'POST', path: '/v1/messages' };

  /** A gateway before a server of any kind, and what a client gets from it. */
  async function inFrontOfServer(
    server: Server,
    url = (port: number) => `http://127.0.0.1:${port}`,
  ) {
    const gateway = createGateway(liveAnswer(url(await listening(server)), CREDENTIAL));
    onTestFinished(() => gateway.close());
    const port = await gateway.listen('127.0.0.1');
    const tap = gateway.openTap();
    const ask = async (): Promise<{ status: number | undefined; body: string }> => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        ...POST,
        headers: { authorization: `Bearer ${tap.token}` },
      }).end('{}');
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      let body = '';
      for await (const part of answer) body += part;
      return { status: answer.statusCode, body };
    };
    return { ask, tap };
  }

  test('a connection that is reset before an answer is reset for the agent, and noted', async () => {
    const { ask, tap } = await inFrontOfServer(
      createServer((req) => void req.socket.resetAndDestroy()),
    );
    await expect(ask()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(tap.trouble?.what).toMatch(/does not answer/);
  });

  const file = (name: string) =>
    readFileSync(fileURLToPath(new URL(`../support/loopback-tls/${name}`, import.meta.url)));

  /** An API that speaks HTTP/2, over a connection that a proxy of the test's would trust. */
  async function overHttp2(stream: (stream: ServerHttp2Stream, count: number) => void) {
    let count = 0;
    const server = createSecureServer({ key: file('key.pem'), cert: file('cert.pem') });
    server.on('stream', (incoming) => {
      count += 1;
      incoming.on('error', () => {});
      stream(incoming, count);
    });
    server.on('sessionError', () => {});
    const port = await listening(server);
    return { port, requestCount: () => count };
  }

  /** The gateway in a process that trusts the certificate, as a user's would. */
  async function askedFrom(
    port: number,
  ): Promise<{ status?: number; body?: string; error?: string; trouble?: string }> {
    const script = `
      import { request } from 'node:http';
      import { liveAnswer } from '${packageRoot}/dist/lib/model/answers.js';
      import { createGateway } from '${packageRoot}/dist/lib/model/gateway.js';
      const gateway = createGateway(liveAnswer('https://127.0.0.1:${port}', ${JSON.stringify(CREDENTIAL)}));
      const front = await gateway.listen('127.0.0.1');
      const tap = gateway.openTap();
      const got = await new Promise((resolve) => {
        request({ host: '127.0.0.1', port: front, method: 'POST', path: '/v1/messages', headers: { authorization: 'Bearer ' + tap.token } }, (answer) => {
          let body = '';
          answer.on('data', (part) => { body += part; }).on('end', () => resolve({ status: answer.statusCode, body })).on('error', ({ code }) => resolve({ status: answer.statusCode, error: code }));
        }).on('error', ({ code }) => resolve({ error: code })).end('{}');
      });
      await gateway.close();
      console.log(JSON.stringify({ ...got, trouble: tap.trouble?.what }));`;
    const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', script], {
      env: {
        NODE_EXTRA_CA_CERTS: fileURLToPath(
          new URL('../support/loopback-tls/cert.pem', import.meta.url),
        ),
      },
    });
    return JSON.parse(stdout);
  }

  test.each([
    [
      'a stream that HTTP/2 refuses',
      (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
    ],
    [
      'a connection that HTTP/2 lets go',
      (stream: ServerHttp2Stream) => stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 0),
    ],
  ])('%s is asked once more', async (_what, refuse) => {
    const { port, requestCount } = await overHttp2((stream, count) => {
      if (count === 1) return void refuse(stream);
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.end('{}');
    });
    expect(await askedFrom(port)).toMatchObject({ status: 200, body: '{}' });
    expect(requestCount()).toBe(2);
  });

  test('a stream that HTTP/2 always refuses is a broken connection, after two', async () => {
    const { port, requestCount } = await overHttp2((stream) =>
      stream.close(constants.NGHTTP2_REFUSED_STREAM),
    );
    expect(await askedFrom(port)).toMatchObject({
      error: 'ECONNRESET',
      trouble: expect.stringContaining('REFUSED_STREAM'),
    });
    expect(requestCount()).toBe(2);
  });

  test('an answer that HTTP/2 cuts in its middle is the model’s', async () => {
    const { port } = await overHttp2((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      stream.write('event: message_start\ndata: {"type":"message_start"}\n\n', () =>
        stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      );
    });
    const { trouble } = await askedFrom(port);
    expect(trouble).toMatch(/broke off|ended after its event message_start/);
  });

  const WHOLE = 'event: message_start\ndata: {}\n\nevent: message_stop\ndata: {}\n\n';
  test.each<[string, string, Record<string, string>, string | Buffer, string | undefined]>([
    ['a whole stream', 'is fine', {}, WHOLE, undefined],
    [
      'a whole stream in gzip',
      'is fine',
      { 'content-encoding': 'gzip' },
      gzipSync(WHOLE),
      undefined,
    ],
    [
      'an error event',
      'is named',
      {},
      'event: message_start\ndata: {}\n\nevent: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Over\\u001bloaded"}}\n\n',
      'a stream that ended in an error event (overloaded_error: Over',
    ],
    [
      'no event: lines',
      'is named',
      {},
      'data: {"type":"message_start"}\n\n',
      'a stream whose events have no name',
    ],
    ['no event at all', 'is named', {}, '<<< no stream >>>', 'a stream without any event'],
    [
      'an early end',
      'is named',
      {},
      'event: ping\ndata: {}\n\n',
      'a stream that ended after its event ping',
    ],
    [
      'another encoding than its header’s',
      'is named',
      { 'content-encoding': 'gzip' },
      WHOLE,
      'a stream that is not in the encoding gzip',
    ],
    [
      'an encoding of nobody’s',
      'is named',
      { 'content-encoding': 'rot13' },
      WHOLE,
      'a stream in the encoding "rot13"',
    ],
  ])('a stream with %s %s, and passes as it is', async (_with, _is, headers, sent, what) => {
    const api = createServer(
      (_req, res) =>
        void res.writeHead(200, { 'content-type': 'text/event-stream', ...headers }).end(sent),
    );
    const { ask, tap } = await inFrontOfServer(api);
    expect((await ask()).status).toBe(200);
    if (what === undefined) expect(tap).not.toHaveProperty('trouble');
    else await vi.waitFor(() => expect(tap.trouble?.what).toContain(what));
    expect(tap.trouble?.what ?? '').not.toMatch(/\p{Cc}/u);
  });

  test.each([
    ['HTTP_PROXY', 'not-a-url', 'HTTP_PROXY is not the URL of a proxy'],
    ['HTTPS_PROXY', 'not-a-url', 'HTTPS_PROXY is not the URL of a proxy'],
    [
      'https_proxy',
      'socks5://127.0.0.1:1',
      'https_proxy names a SOCKS proxy, which is not supported',
    ],
  ])('%s=%s is bad input that names the variable', (name, value, message) => {
    expect(() => liveAnswer('https://127.0.0.1:1', CREDENTIAL, { [name]: value })).toThrow(
      expect.objectContaining({ code: 'bad-input', message, hint: expect.any(String) }),
    );
  });
});

describe('an API behind TLS', () => {
  const file = (name: string) =>
    fileURLToPath(new URL(`../support/loopback-tls/${name}`, import.meta.url));
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
    const given = {
      CLAUDE_CODE_OAUTH_TOKEN: CREDENTIAL.secret,
      CAGEMATCH_UPSTREAM: upstream,
      HOME: temporaryFolder(),
      ...env,
    };
    return cagematch(ownHouse, args, { cwd: place.cwd, env: given });
  }

  test.each([
    ['HTTP/1.1', '1.1', () => createTlsServer(tls, api)],
    // The types know no server that answers both kinds alike; Node's does.
    ['HTTP/2', '2.0', () => createSecureServer(tls, api as never)],
  ])(
    'over %s answers the real agent, and sees the credential in every request',
    async (_what, version, make) => {
      const port = await listening(make());
      const { exitCode, stdout } = await run(port, { NODE_EXTRA_CA_CERTS: file('cert.pem') });
      expect(stdout).toMatch(/host\s.*1\/1/);
      expect(exitCode).toBe(0);
      expect(seen.length).toBeGreaterThanOrEqual(3);
      expect(new Set(seen.map((item) => item.version))).toEqual(new Set([version]));
      expect(new Set(seen.map((item) => item.authorization))).toEqual(
        new Set([`Bearer ${CREDENTIAL.secret}`]),
      );
    },
  );

  test('whose certificate nobody vouches for is given no credential, and the run says why', async () => {
    const port = await listening(createTlsServer(tls, api));
    const { exitCode, stdout } = await run(port, {});
    expect(exitCode).toBe(1);
    // The table wraps a long cause at the terminal's width.
    expect(stdout.replace(/\s+/g, ' ')).toMatch(
      /self-signed certificate \(.*NODE_EXTRA_CA_CERTS: export it with the path of your CA\)/,
    );
    expect(seen).toEqual([]);
  });
});
