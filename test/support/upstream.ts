// The API as a test plays it: over TLS, from a cassette, to the real agent; it keeps what was asked
// of it.
import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { fileURLToPath } from 'node:url';
import type { Cassette } from '../../lib/model/cassette.js';
import { serveReplay } from '../../lib/model/replay.mjs';
import { listening } from './loopback.js';

const file = (name: string) => fileURLToPath(new URL(`loopback-tls/${name}`, import.meta.url));
const TLS = { key: readFileSync(file('key.pem')), cert: readFileSync(file('cert.pem')) };

/** What is in the environment of a live run against it, beside CAGEMATCH_UPSTREAM. */
export const TRUSTED = { NODE_EXTRA_CA_CERTS: file('cert.pem') };

/** @param before does something else with a request, and says so by true */
export async function openUpstream(
  cassette: Cassette,
  before: (count: number, req: IncomingMessage, res: ServerResponse) => boolean = () => false,
) {
  const requests: { authorization: string | undefined; version: string }[] = [];
  const api: RequestListener = (req, res) => {
    requests.push({ authorization: req.headers.authorization, version: req.httpVersion });
    if (!before(requests.length, req, res)) void serveReplay(req, res, cassette);
  };
  // The types know no server that answers both kinds of HTTP alike; Node's does.
  const port = await listening(createSecureServer({ ...TLS, allowHTTP1: true }, api as never));
  return { requests, url: `https://127.0.0.1:${port}` };
}
