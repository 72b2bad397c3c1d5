// Machine workloads: the processor, memory, and the sandbox's network with itself. Nothing leaves
// the sandbox.
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup, Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { NotThere } from './tax-programs.mjs';

const LOOPBACK = '127.0.0.1';
/** An answer from the same process that takes longer counts as missing. */
const ANSWER_MS = 3000;

/** @type {Record<string, import('./tax.mjs').Prepare>} */
export const machineLoops = {
  'cpu-hash'() {
    const data = Buffer.alloc(1 << 20, 'data');
    return { act: () => createHash('sha256').update(data).digest() };
  },

  'memory-bandwidth'() {
    const from = Buffer.alloc(64 << 20, 'from');
    // Filled, so that its pages are allocated before the first copy.
    const to = Buffer.alloc(from.length, 'to');
    return { act: () => from.copy(to) };
  },

  async 'loopback-http'() {
    const body = Buffer.alloc(1024, 'body');
    const server = createServer((_, response) => response.end(body));
    server.listen(0, LOOPBACK);
    await once(server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    return {
      act: async () => {
        if ((await fetched(port)) !== body.length)
          throw new Error('not all of the answer has come');
      },
      close() {
        server.closeAllConnections();
        server.close();
      },
    };
  },

  async dns() {
    const server = createSocket('udp4');
    server.on('message', (query, { port, address }) => server.send(answer(query), port, address));
    server.bind(0, LOOPBACK);
    await once(server, 'listening');
    // An answer that cannot be sent shows up as a failed query.
    server.on('error', () => {});
    const resolver = new Resolver({ timeout: ANSWER_MS, tries: 1 });
    resolver.setServers([`${LOOPBACK}:${server.address().port}`]);
    let asked = 0;
    return {
      act: async () => {
        asked += 1;
        // A new name each time, because the library may cache results.
        const [address] = await resolver.resolve4(`n${asked}.test`);
        if (address !== LOOPBACK) throw new Error(`the name server said ${address}`);
      },
      close: () => void server.close(),
    };
  },

  'name-lookup'() {
    // Otherwise the query would go to a name server and leave this machine.
    const hosts = existsSync('/etc/hosts') ? readFileSync('/etc/hosts', 'utf8') : undefined;
    if (hosts === undefined) throw new NotThere('there is no /etc/hosts');
    if (!/^\s*[^#\s]+\s([^#]*\s)?localhost(\s|$)/m.test(hosts))
      throw new NotThere('localhost does not stand in /etc/hosts');
    return {
      act: async () => {
        await lookup('localhost', { family: 4 });
      },
    };
  },
};

/** @param {number} port @returns {Promise<number>} size of the response in bytes */
function fetched(port) {
  return new Promise((resolve, reject) => {
    const request = get({ host: LOOPBACK, port, agent: false, timeout: ANSWER_MS }, (response) => {
      let bytes = 0;
      response.on('data', (chunk) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    });
    request.on('timeout', () =>
      request.destroy(new Error(`no answer on ${LOOPBACK} within ${ANSWER_MS} ms`)),
    );
    request.on('error', reject);
  });
}

/** The query's own header and question, plus one address with a TTL of 0. @param {Buffer} query */
function answer(query) {
  let end = 12;
  while (query[end]) end += 1 + (query[end] ?? 0);
  const head = Buffer.from(query.subarray(0, end + 5));
  // Flags: response, recursion available. Counts: one question, one answer, no other records.
  head.set([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 2);
  return Buffer.concat([
    head,
    Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]),
  ]);
}
