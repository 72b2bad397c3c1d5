// The gateway: who may ask, what is answered, what is measured; and live, what reaches the API and
// what does not.
import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  request,
} from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Credential } from '../../lib/auth/credential.js';
import { liveAnswer, replayAnswer } from '../../lib/model/answers.js';
import type { Cassette } from '../../lib/model/cassette.js';
import { type Answer, createGateway } from '../../lib/model/gateway.js';
import { listening } from '../support/loopback.js';

const CASSETTE: Cassette = {
  schemaVersion: 2,
  task: 'test',
  model: 'claude-test',
  agent: 'written',
  conversations: [
    {
      exchanges: [
        {
          content: [
            { type: 'text', text: 'I\'ll write it: "quoted", naïve, 🥊.' },
            {
              type: 'tool_use',
              name: 'Write',
              input: { file_path: '{{cwd}}/a.txt', content: 'b\n' },
            },
          ],
        },
        { content: [{ type: 'text', text: 'Done.' }] },
      ],
    },
  ],
};

const FIRST = {
  model: 'claude-asked',
  messages: [{ role: 'user', content: 'Primary working directory: /work here\nPlatform: linux' }],
};
const TURN = { role: 'assistant', content: 'a turn' };

async function started(
  answer: Answer = replayAnswer(CASSETTE),
  options: Parameters<typeof createGateway>[1] = {},
) {
  const gateway = createGateway(answer, options);
  onTestFinished(() => gateway.close());
  const port = await gateway.listen('127.0.0.1');
  return { gateway, port, tap: gateway.openTap(), url: `http://127.0.0.1:${port}` };
}

function post(
  url: string,
  token: string | undefined,
  body: unknown = FIRST,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/v1/messages?beta=true`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

interface Body {
  content?: { text?: string }[];
  error?: { type: string; message: string };
}

async function bodyOf(answer: Response): Promise<Body> {
  return (await answer.json()) as Body;
}

interface Raw {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A request as it is, without what fetch would tidy up. */
function raw(
  options: RequestOptions,
  write: (body: { write(chunk: Buffer): void }) => void = () => {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', ...options }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }),
      );
    });
    outgoing.on('error', reject);
    write(outgoing);
    outgoing.end();
  });
}

interface StreamEvent {
  type: string;
  index?: number;
  message?: Record<string, unknown>;
  content_block?: Record<string, unknown>;
  delta?: Record<string, unknown>;
}

/** What a client of the Messages API makes of a stream. */
function assemble(stream: string) {
  const events = stream
    .split('\n\n')
    .filter((chunk) => chunk !== '')
    .map((chunk) => {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(chunk) ?? [];
      const event = JSON.parse(data ?? 'null') as StreamEvent;
      expect(event.type).toBe(name);
      return event;
    });
  const blocks: Record<string, unknown>[] = [];
  let input = '';
  let stop: unknown;
  for (const event of events) {
    if (event.type === 'content_block_start') {
      blocks[event.index ?? -1] = { ...event.content_block };
      input = '';
    }
    const block = blocks[event.index ?? -1];
    if (event.delta?.type === 'text_delta' && block)
      block.text = `${block.text}${event.delta.text}`;
    if (event.delta?.type === 'input_json_delta') input += String(event.delta.partial_json);
    if (event.type === 'content_block_stop' && block?.type === 'tool_use')
      block.input = JSON.parse(input);
    if (event.type === 'message_delta') stop = event.delta?.stop_reason;
  }
  return { types: events.map((event) => event.type), opened: events[0]?.message, blocks, stop };
}

describe('who may ask', () => {
  test('a request without a token is refused', async () => {
    const { url, tap } = await started();
    const answer = await post(url, undefined);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error' },
    });
    expect(tap).toMatchObject({ requests: 0, modelMs: 0 });
    expect(tap).not.toHaveProperty('firstRequestAtMs');
  });

  test('a token of nobody and a token of another gateway are refused', async () => {
    const { url, tap } = await started();
    const other = await started();
    expect((await post(url, `${tap.token}x`)).status).toBe(401);
    expect((await post(url, other.tap.token)).status).toBe(401);
    expect((await post(url, tap.token)).status).toBe(200);
  });

  test("each run's requests are counted on its own tap, and one run's end does not shut out another", async () => {
    const { url, gateway, tap } = await started();
    const second = gateway.openTap();
    await post(url, second.token);
    expect([tap.requests, second.requests]).toEqual([0, 1]);
    gateway.closeTap(tap);
    expect((await post(url, tap.token)).status).toBe(401);
    expect((await post(url, second.token)).status).toBe(200);
  });

  test('it tells by which header the token came, and whether it was taken for a subscription', async () => {
    const { url, gateway } = await started();
    const seen = async (headers: (token: string) => Record<string, string>) => {
      const tap = gateway.openTap();
      await post(url, undefined, FIRST, headers(tap.token));
      return tap.credential;
    };
    expect(await seen((token) => ({ 'x-api-key': token }))).toEqual({
      header: 'x-api-key',
      oauth: false,
    });
    expect(
      await seen((token) => ({
        authorization: `Bearer ${token}`,
        'anthropic-beta': 'a-1,oauth-2025-04-20',
      })),
    ).toEqual({
      header: 'authorization',
      oauth: true,
    });
    expect(
      await seen((token) => ({ authorization: `Bearer ${token}`, 'x-api-key': 'something' })),
    ).toEqual({
      header: 'both',
      oauth: false,
    });
  });

  test('HEAD / is answered to anybody: the agent asks it before it has said who it is', async () => {
    const { url, tap } = await started();
    const answer = await fetch(url, { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(tap.requests).toBe(0);
  });
});

describe('replay', () => {
  test('the stream is a valid one, and adds up to the message of the cassette', async () => {
    const { url, tap } = await started();
    const answer = await post(url, tap.token, { ...FIRST, stream: true });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const { types, opened, blocks, stop } = assemble(await answer.text());
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(opened).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'claude-asked',
      content: [],
      stop_reason: null,
    });
    expect(blocks).toEqual([
      { type: 'text', text: 'I\'ll write it: "quoted", naïve, 🥊.' },
      {
        type: 'tool_use',
        id: expect.any(String),
        name: 'Write',
        input: { file_path: '/work here/a.txt', content: 'b\n' },
      },
    ]);
    expect(stop).toBe('tool_use');
  });

  test('asked without a stream, it answers the same message whole', async () => {
    const { url, tap } = await started();
    const answer = await post(url, tap.token, { ...FIRST, messages: [...FIRST.messages, TURN] });
    expect(await answer.json()).toMatchObject({
      type: 'message',
      content: [{ type: 'text', text: 'Done.' }],
      stop_reason: 'end_turn',
    });
  });

  test('a retried request gets the same exchange again', async () => {
    const { url, tap } = await started();
    const texts = await Promise.all(
      [0, 1, 2].map(async () => (await bodyOf(await post(url, tap.token))).content?.[0]?.text),
    );
    expect(new Set(texts).size).toBe(1);
  });

  test('a cassette that has run out is told in words', async () => {
    const { url, tap } = await started();
    const answer = await post(url, tap.token, {
      ...FIRST,
      messages: [...FIRST.messages, TURN, TURN],
    });
    expect(answer.status).toBe(400);
    expect((await bodyOf(answer)).error).toEqual({
      type: 'invalid_request_error',
      message: 'the replay ends here: main, request 3: the cassette goes no further than request 2',
    });
  });

  test('a request that names no working directory is told that the cassette needs one', async () => {
    const { url, tap } = await started();
    const answer = await post(url, tap.token, { messages: [{ role: 'user', content: 'hi' }] });
    expect(answer.status).toBe(400);
    expect((await bodyOf(answer)).error?.message).toMatch(/names no working directory/);
  });

  test.each([
    '{"messages": [',
    'null',
    '[]',
    '"text"',
    '{"messages": "hello"}',
    '{"messages": [null]}',
    '',
  ])('a body that is no request is refused, and the gateway goes on: %s', async (body) => {
    const { url, tap } = await started();
    const answer = await post(url, tap.token, body);
    expect(answer.status).toBe(400);
    expect((await bodyOf(answer)).error?.message).toMatch(/unreadable request body/);
    expect((await post(url, tap.token)).status).toBe(200);
  });

  test('a body past 32 MiB is refused in words', async () => {
    const { port, tap } = await started();
    const mebibyte = Buffer.alloc(1024 * 1024, 32);
    const answer = await raw(
      {
        port,
        path: '/v1/messages',
        method: 'POST',
        headers: { authorization: `Bearer ${tap.token}` },
      },
      (body) => {
        for (let sent = 0; sent < 33; sent += 1) body.write(mebibyte);
      },
    );
    expect(answer.status).toBe(413);
    expect(answer.body).toMatch(/larger than 32 MiB/);
  });

  test('a route that the API does not have is 404', async () => {
    const { url, tap } = await started();
    const answer = await fetch(`${url}/v1/elsewhere`, { headers: { 'x-api-key': tap.token } });
    expect(answer.status).toBe(404);
    expect((await bodyOf(answer)).error?.message).toBe('no such route: GET /v1/elsewhere');
  });
});

describe('the clocks', () => {
  /** An answer that the test lets go when it wants, on a clock that the test moves. */
  async function manualAnswers() {
    const time = { now: 0 };
    const open: (() => Promise<void>)[] = [];
    const answer: Answer = (_req, res) => {
      const closed = new Promise<void>((resolve) => res.once('close', resolve));
      return new Promise<void>((resolve) =>
        open.push(async () => {
          res.writeHead(200).end('{}');
          resolve();
          await closed;
        }),
      );
    };
    const { url, tap } = await started(answer, { clock: () => time.now });
    const asking: Promise<Response>[] = [];
    return {
      tap,
      async ask(atMs: number) {
        time.now = atMs;
        const before = open.length;
        asking.push(post(url, tap.token));
        await vi.waitFor(() => expect(open.length).toBe(before + 1));
      },
      async release(which: number, atMs: number) {
        time.now = atMs;
        await open[which]?.();
        await asking[which];
      },
    };
  }

  test('model time is counted while a request is under way, and not between requests', async () => {
    const { tap, ask, release } = await manualAnswers();
    await ask(100);
    await release(0, 130);
    await ask(1000);
    await release(1, 1007);
    expect(tap.modelMs).toBe(37);
  });

  test('requests that overlap are counted once', async () => {
    const { tap, ask, release } = await manualAnswers();
    await ask(10);
    await ask(20);
    await release(0, 30);
    expect(tap.modelMs).toBe(0);
    await release(1, 50);
    expect(tap.modelMs).toBe(40);
  });

  test('the way of a request’s body is the sandbox’s time, not the model’s', async () => {
    const time = { now: 0 };
    const { port, tap } = await started(undefined, { clock: () => time.now });
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path: '/v1/messages',
      method: 'POST',
      headers: { 'x-api-key': tap.token },
    });
    const body = JSON.stringify(FIRST);
    outgoing.write(body.slice(0, 20));
    await vi.waitFor(() => expect(tap.firstRequestAtMs).toBe(0));
    expect(tap.waitingSinceMs).toBeUndefined();
    time.now = 40;
    outgoing.end(body.slice(20));
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    answer.resume();
    await once(answer, 'end');
    expect(tap).toMatchObject({ firstRequestAtMs: 0, modelMs: 0 });
  });

  test('live, the time in which the guest takes the answer is not the model’s', async () => {
    const time = { now: 0 };
    const api = await listening(
      createServer((_req, res) => {
        time.now = 10;
        res.writeHead(200).end(Buffer.alloc(32 * 1024 * 1024));
      }),
    );
    const credential = {
      kind: 'oauth',
      secret: 's',
      source: 'environment',
      where: 'a test',
    } as const;
    const { port, tap } = await started(liveAnswer(`http://127.0.0.1:${api}`, credential), {
      clock: () => time.now,
    });
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path: '/v1/messages',
      method: 'POST',
      headers: { 'x-api-key': tap.token },
    });
    outgoing.end('{}');
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    // Nobody reads: the gateway waits for the guest.
    await vi.waitFor(() => expect(tap.waitingSinceMs).toBeUndefined());
    expect(tap.modelMs).toBe(10);
    time.now = 5000;
    answer.resume();
    await once(answer, 'end');
    expect(tap.modelMs).toBe(10);
  });

  test('the first request is stamped when it arrives, and once', async () => {
    const { tap, ask, release } = await manualAnswers();
    await ask(10);
    await release(0, 20);
    await ask(500);
    await release(1, 501);
    expect(tap).toMatchObject({ firstRequestAtMs: 10, requests: 2 });
  });
});

describe('what one run may take', () => {
  const CREDENTIAL = (token: string) => ({ authorization: `Bearer ${token}` });

  /** Answers that are let go by the test. */
  function heldAnswers() {
    const open: (() => void)[] = [];
    const answer: Answer = (_req, res) =>
      new Promise((resolve) => open.push(() => resolve(void res.end('{}'))));
    return { open, answer };
  }

  test('eight requests are answered at the same time; the others wait unread, and are answered then', async () => {
    const { open, answer } = heldAnswers();
    const { url, tap } = await started(answer);
    const asking = Array.from({ length: 12 }, () => post(url, tap.token));
    await vi.waitFor(() => expect(tap.requests).toBe(12));
    expect(open).toHaveLength(8);
    for (let done = 0; done < 12; done += 1) {
      await vi.waitFor(() => expect(open.length).toBeGreaterThan(done));
      open[done]?.();
    }
    expect((await Promise.all(asking)).map(({ status }) => status)).toEqual(
      Array.from({ length: 12 }, () => 200),
    );
  });

  test('one run that waits does not make another wait', async () => {
    const { open, answer } = heldAnswers();
    const { url, gateway, tap } = await started(answer);
    const asking = Array.from({ length: 8 }, () => post(url, tap.token));
    await vi.waitFor(() => expect(open).toHaveLength(8));
    const other = post(url, gateway.openTap().token);
    await vi.waitFor(() => expect(open).toHaveLength(9));
    for (const release of open) release();
    expect((await other).status).toBe(200);
    await Promise.all(asking);
  });

  test('its requests hold 64 MiB at most, and another run is answered', async () => {
    const { gateway, port, url, tap } = await started();
    const piece = Buffer.alloc(1024 * 1024, 32);
    const unfinished = Array.from({ length: 3 }, () => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        path: '/v1/messages',
        method: 'POST',
        headers: CREDENTIAL(tap.token),
        agent: false,
      });
      const refused = new Promise<number | undefined>((resolve) =>
        outgoing.on('response', ({ statusCode }) => resolve(statusCode)),
      );
      outgoing.on('error', () => {});
      for (let sent = 0; sent < 30; sent += 1) outgoing.write(piece);
      return { outgoing, refused };
    });
    expect(await Promise.race(unfinished.map(({ refused }) => refused))).toBe(413);
    expect((await post(url, gateway.openTap().token)).status).toBe(200);
    for (const { outgoing } of unfinished) outgoing.destroy();
  });

  test('it has sixteen connections at most: the first of more is closed', async () => {
    const { open, answer } = heldAnswers();
    const { port, tap } = await started(answer);
    const sockets: Socket[] = [];
    for (let count = 0; count < 17; count += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.resume().on('error', () => {});
      socket.write(
        `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tap.token}\r\nContent-Length: 2\r\n\r\n{}`,
      );
      sockets.push(socket);
      await vi.waitFor(() => expect(tap.requests).toBe(count + 1));
    }
    await vi.waitFor(() => expect(sockets[0]?.destroyed).toBe(true));
    expect(sockets.slice(1).every(({ destroyed }) => !destroyed)).toBe(true);
    for (const socket of sockets) socket.destroy();
    for (const release of open) release();
  });
});

describe('strangers', () => {
  test('who only connect take no more than their share, and a run is answered beside them', async () => {
    const { port, url, tap } = await started(undefined, { limits: { descriptors: 60 } });
    let open = 0;
    const idle = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = connect(port, '127.0.0.1');
        socket
          .on('error', () => {})
          .on('close', () => {
            open -= 1;
          });
        await once(socket, 'connect');
        open += 1;
        return socket;
      }),
    );
    expect((await post(url, tap.token)).status).toBe(200);
    await vi.waitFor(() => expect(open).toBeLessThanOrEqual(10));
    for (const socket of idle) socket.destroy();
  });

  test('who send no headers are hung up on, and so is who has no token', async () => {
    const { port } = await started(undefined, { limits: { headersMs: 50 } });
    const idle = connect(port, '127.0.0.1');
    idle.resume().on('error', () => {});
    await once(idle, 'close');
    const socket = connect(port, '127.0.0.1');
    socket.resume().write('POST /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'close');
  });
});

describe('where it listens', () => {
  test.each(['0.0.0.0', '::', '::ffff:0.0.0.0', '0', 'localhost'])('not on %s', async (address) => {
    const gateway = createGateway(replayAnswer(CASSETTE));
    await expect(gateway.listen(address)).rejects.toMatchObject({
      code: 'bad-input',
      hint: expect.any(String),
    });
    await gateway.close();
  });

  test.runIf(process.platform === 'linux')('only the asked address answers', async () => {
    const gateway = createGateway(replayAnswer(CASSETTE));
    onTestFinished(() => gateway.close());
    const port = await gateway.listen('127.0.0.1');
    await expect(raw({ host: '127.0.0.2', port, method: 'HEAD', path: '/' })).rejects.toMatchObject(
      { code: 'ECONNREFUSED' },
    );
    expect((await raw({ host: '127.0.0.1', port, method: 'HEAD', path: '/' })).status).toBe(200);
  });

  test('an address asked twice is one server', async () => {
    const { gateway, port } = await started();
    expect(await gateway.listen('127.0.0.1')).toBe(port);
  });

  test('a taken port is told with what to do', async () => {
    const holder = createTcpServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as AddressInfo;
    const gateway = createGateway(replayAnswer(CASSETTE), { port });
    await expect(gateway.listen('127.0.0.1')).rejects.toMatchObject({
      name: 'CagematchError',
      code: 'port-taken',
      message: `port ${port} of 127.0.0.1 is taken`,
      hint: expect.stringContaining('CAGEMATCH_GATEWAY_PORT'),
    });
    await gateway.close();
  });

  test('an address that this machine does not have is an error of ours, not a crash', async () => {
    const gateway = createGateway(replayAnswer(CASSETTE));
    await expect(gateway.listen('192.0.2.1')).rejects.toMatchObject({
      name: 'CagematchError',
      message: /192\.0\.2\.1.*EADDRNOTAVAIL/,
    });
    await gateway.close();
  });
});

describe('its end', () => {
  test('comes though connections are kept alive', async () => {
    const { gateway, port, tap } = await started();
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    await raw({ port, method: 'GET', path: '/', agent, headers: { 'x-api-key': tap.token } });
    expect(Object.keys(agent.freeSockets)).toHaveLength(1);
    await gateway.close();
    await expect(raw({ port, method: 'HEAD', path: '/' })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  test('comes though a request was never answered', async () => {
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const { gateway, url, tap } = await started(async () => arrived());
    const rejected = expect(post(url, tap.token)).rejects.toThrow();
    await arrival;
    await gateway.close();
    await rejected;
  });
});

describe('live', () => {
  const OAUTH: Credential = {
    kind: 'oauth',
    secret: 'to-be-replaced',
    source: 'environment',
    where: 'CLAUDE_CODE_OAUTH_TOKEN',
  };

  interface Seen {
    url: string | undefined;
    headers: IncomingHttpHeaders;
  }

  /** The API is a second gateway; its run token is the user's credential. */
  async function live(
    kind: Credential['kind'],
    upstreamAnswer: Answer = replayAnswer(CASSETTE),
    prefix = '',
  ) {
    const seen: Seen[] = [];
    const upstream = await started((req, res, ...rest) => {
      seen.push({ url: req.url, headers: req.headers });
      return upstreamAnswer(req, res, ...rest);
    });
    const credential: Credential = { ...OAUTH, kind, secret: upstream.tap.token };
    const front = await started(liveAnswer(`${upstream.url}${prefix}`, credential));
    return { ...front, seen, credential, upstream };
  }

  /** Somebody who would like to have a credential. */
  async function thief() {
    const stolen: IncomingHttpHeaders[] = [];
    const server = createServer((req, res) => {
      stolen.push(req.headers);
      res.end('{}');
    });
    return { stolen, host: `127.0.0.1:${await listening(server)}` };
  }

  test.each([
    ['api-key', 'x-api-key', (secret: string) => secret, 'authorization'],
    ['oauth', 'authorization', (secret: string) => `Bearer ${secret}`, 'x-api-key'],
    ['auth-token', 'authorization', (secret: string) => `Bearer ${secret}`, 'x-api-key'],
  ] as const)(
    'the credential (%s) is put on as %s, and the token of the run stays here',
    async (kind, header, value, other) => {
      const { url, tap, seen, credential } = await live(kind);
      const answer = await post(url, tap.token, FIRST, {
        'x-api-key': tap.token,
        'anthropic-version': '2023-06-01',
      });
      expect(await answer.json()).toMatchObject({
        content: [{ type: 'text' }, { type: 'tool_use' }],
      });
      expect(seen).toHaveLength(1);
      expect(seen[0]?.url).toBe('/v1/messages?beta=true');
      expect(seen[0]?.headers[header]).toBe(value(credential.secret));
      expect(seen[0]?.headers[other]).toBeUndefined();
      expect(seen[0]?.headers['anthropic-version']).toBe('2023-06-01');
      expect(JSON.stringify(seen)).not.toContain(tap.token);
    },
  );

  test('what a helper printed is put on both ways, as the agent does', async () => {
    const { url, tap, seen, credential } = await live('api-key-helper');
    await post(url, tap.token);
    expect(seen[0]?.headers).toMatchObject({
      'x-api-key': credential.secret,
      authorization: `Bearer ${credential.secret}`,
    });
  });

  test('without the token of a run nothing is forwarded', async () => {
    const { url, seen, credential } = await live('oauth');
    expect((await post(url, credential.secret)).status).toBe(401);
    expect((await post(url, undefined)).status).toBe(401);
    expect(seen).toEqual([]);
  });

  /** An API that answers whatever it is asked, and notes it. */
  async function anyApi(prefix = '') {
    const seen: string[] = [];
    const port = await listening(
      createServer((req, res) => {
        seen.push(`${req.method} ${req.url}`);
        res.end('{}');
      }),
    );
    return { ...(await started(liveAnswer(`http://127.0.0.1:${port}${prefix}`, OAUTH))), seen };
  }

  test('the path of the base URL is kept', async () => {
    const { url, tap, seen } = await anyApi('/proxy/anthropic/');
    await post(url, tap.token);
    expect(seen).toEqual(['POST /proxy/anthropic/v1/messages?beta=true']);
  });

  test.each([
    ['POST', '/v1/messages'],
    ['POST', '/v1/messages?beta=true'],
    ['POST', '/v1/messages/count_tokens?beta=true'],
  ])('%s %s reaches the API', async (method, path) => {
    const { port, tap, seen } = await anyApi('/base');
    expect((await raw({ port, method, path, headers: { 'x-api-key': tap.token } })).status).toBe(
      200,
    );
    expect(seen).toEqual([`${method} /base${path}`]);
  });

  test.each([
    ['POST', '/api/oauth/claude_cli/create_api_key'],
    ['DELETE', '/v1/files/file_1'],
    ['GET', '/v1/organizations/me'],
    ['GET', '/v1/models'],
    ['GET', '/v1/messages'],
    ['PUT', '/v1/messages'],
    ['TRACE', '/v1/messages'],
    ['OPTIONS', '/v1/messages'],
    ['POST', '/v1/messages/'],
    ['POST', '/v1/messages/batches'],
    ['POST', '/v1/messages/../../outside-the-base'],
    ['POST', '/../v1/messages'],
    ['POST', '/v1/%6dessages'],
    ['POST', '/v1/x/%2e%2e/messages'],
    ['POST', '/v1\\messages'],
    ['POST', '/v1/messages#fragment'],
    ['POST', '/v1/messages?a"b'],
    ['POST', '//v1/messages'],
    ['POST', 'http://127.0.0.1/v1/messages'],
    ['POST', '/@127.0.0.1/v1/messages'],
  ])('%s %s is answered here, and the API never sees it', async (method, path) => {
    const { port, tap, seen } = await anyApi('/base');
    const answer = await raw({ port, method, path, headers: { 'x-api-key': tap.token } });
    expect([answer.status, seen]).toEqual([404, []]);
    expect(answer.body).toMatch(/no such route/);
  });

  test('CONNECT ends the connection, and the API never sees it', async () => {
    const { port, tap, seen } = await anyApi();
    await expect(
      raw({ port, method: 'CONNECT', path: '127.0.0.1:1', headers: { 'x-api-key': tap.token } }),
    ).rejects.toThrow();
    expect(seen).toEqual([]);
  });

  test.each(['//HOST/v1/messages', 'http://HOST/v1/messages', '\\\\HOST/v1'])(
    'an agent cannot have the credential sent elsewhere by the path it asks for: %s',
    async (path) => {
      const { port, tap } = await live('api-key');
      const { stolen, host } = await thief();
      await raw({
        port,
        path: path.replace('HOST', host),
        method: 'POST',
        headers: { 'x-api-key': tap.token },
      });
      expect(stolen).toEqual([]);
    },
  );

  test('a redirect is the agent’s business: the credential does not follow it', async () => {
    const { stolen, host } = await thief();
    const { port, tap } = await live(
      'api-key',
      async (_req, res) => void res.writeHead(307, { location: `http://${host}/` }).end(),
    );
    const answer = await raw({
      port,
      path: '/v1/messages',
      method: 'POST',
      headers: { 'x-api-key': tap.token },
    });
    expect(answer.status).toBe(307);
    expect(stolen).toEqual([]);
  });

  test('a stream passes as it comes, before the API has ended it', async () => {
    let finish = () => {};
    const { url, tap } = await live('oauth', async (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write('event: ping\ndata: {"type":"ping"}\n\n');
      finish = () => void res.end('event: message_stop\ndata: {"type":"message_stop"}\n\n');
    });
    const answer = await post(url, tap.token, { ...FIRST, stream: true });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value ?? []).toString()).toBe(
      'event: ping\ndata: {"type":"ping"}\n\n',
    );
    finish();
    const rest = await reader.read();
    expect(Buffer.from(rest.value ?? []).toString()).toContain('message_stop');
  });

  test.each([401, 429, 500, 529])(
    'an answer %i of the API is passed on whole, and noted',
    async (status) => {
      const body = JSON.stringify({
        type: 'error',
        error: { type: 'some_error', message: 'because' },
      });
      const { url, tap } = await live(
        'oauth',
        async (_req, res) =>
          void res
            .writeHead(status, { 'content-type': 'application/json', 'retry-after': '7' })
            .end(body),
      );
      const answer = await post(url, tap.token);
      expect(answer.status).toBe(status);
      expect(answer.headers.get('retry-after')).toBe('7');
      expect(await answer.text()).toBe(body);
      expect(tap.trouble).toEqual({ status, what: `${status}` });
    },
  );

  test('an API that is not there is 502, with a reason', async () => {
    const gone = await started();
    await gone.gateway.close();
    const { url, tap } = await started(liveAnswer(gone.url, OAUTH));
    const answer = await post(url, tap.token);
    expect(answer.status).toBe(502);
    expect((await bodyOf(answer)).error).toEqual({
      type: 'api_error',
      message: expect.stringMatching(/127\.0\.0\.1.*ECONNREFUSED/),
    });
  });

  test('an API that breaks off in the middle breaks off for the agent too', async () => {
    const { url, tap } = await live('oauth', async (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write('event: ping\n', () => res.destroy());
    });
    const answer = await post(url, tap.token);
    await expect(answer.text()).rejects.toThrow();
  });

  test('an agent that hangs up is not asked for any longer', async () => {
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let left = () => {};
    const leaving = new Promise<void>((resolve) => {
      left = resolve;
    });
    const { port, tap } = await live('oauth', async (_req, res) => {
      res.once('close', left);
      arrived();
    });
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path: '/v1/messages',
      method: 'POST',
      headers: { 'x-api-key': tap.token },
    });
    outgoing.on('error', () => {});
    outgoing.end('{}');
    await arrival;
    outgoing.destroy();
    await leaving;
    await vi.waitFor(() => expect(tap.modelMs).toBeGreaterThan(0));
  });
});
