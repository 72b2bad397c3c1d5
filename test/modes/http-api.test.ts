// An API is called at its own pace, is believed when it says "later", and never sees its token
// repeated.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import {
  type Call,
  createPacer,
  type HttpApi,
  openHttpApi,
  whyRefused,
} from '../../modes/fly/http-api.js';

const call: Call = {
  method: 'GET',
  path: '/thing',
  pace: { key: 'thing', perSecond: 1000, burst: 1000 },
  timeoutMs: 5000,
};
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function serve(answer: RequestListener): Promise<HttpApi> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api = openHttpApi(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    'Bearer s3cret',
  );
  open.push(async () => {
    await api.close();
    server.closeAllConnections();
    server.close();
  });
  return api;
}

it('waits as long as it is told to, and asks again', async () => {
  const atMs: number[] = [];
  const api = await serve((_, res) => {
    atMs.push(performance.now());
    if (atMs.length === 1)
      res.writeHead(429, { 'retry-after': '1' }).end('{"error":"rate limit exceeded"}');
    else res.end('{"ok":true}');
  });
  expect(await api.call(call)).toMatchObject({ status: 200, body: { ok: true } });
  expect((atMs[1] ?? 0) - (atMs[0] ?? 0)).toBeGreaterThan(950);
});

it('keeps to the pace of each action, burst included, and a little below it', () => {
  let nowMs = 1000;
  const pacer = createPacer(() => nowMs);
  const slow = { key: 'slow', perSecond: 10, burst: 3 };
  const turns = () => [1, 2, 3, 4, 5].map(() => Math.round(pacer.reserve(slow)));
  expect(turns()).toEqual([0, 0, 0, 105, 210]);
  expect(pacer.reserve({ ...slow, key: 'other' })).toBe(0);
  nowMs += 10_000;
  expect(turns()).toEqual([0, 0, 0, 105, 210]);
});

it('sends a call twice only where that does no harm', async () => {
  let requests = 0;
  const api = await serve((_, res) => {
    requests += 1;
    res.writeHead(requests === 1 ? 503 : 200).end('{}');
  });
  expect(await api.call(call)).toMatchObject({ status: 503 });
  requests = 0;
  expect(await api.call({ ...call, repeatable: true })).toMatchObject({ status: 200 });
});

it('answers with the reason where nobody is listening', async () => {
  const api = openHttpApi('http://127.0.0.1:1', 'Bearer s3cret');
  const answer = await api.call(call);
  expect(answer.status).toBeUndefined();
  expect(whyRefused(answer)).toMatch(/ECONNREFUSED|bad port/);
});

it('keeps the token out of what the server says', async () => {
  const api = await serve((_, res) =>
    res.writeHead(401).end('{"error":"token s3cret is no good"}'),
  );
  expect(whyRefused(await api.call(call))).toBe('HTTP 401: token … is no good');
});

it('does not take its token to where it is redirected', async () => {
  const seen: (string | undefined)[] = [];
  const api = await serve((req, res) => {
    seen.push(req.url);
    res.writeHead(302, { location: '/elsewhere' }).end();
  });
  expect(await api.call(call)).toMatchObject({ status: undefined });
  expect(seen).toEqual(['/thing']);
});

it('ends a wait when the match does', async () => {
  const stop = new AbortController();
  const api = await serve((_, res) => {
    res.writeHead(429, { 'retry-after': '30' }).end('{}');
    res.on('finish', () => stop.abort());
  });
  expect((await api.call({ ...call, signal: stop.signal })).status).not.toBe(200);
});
