// Listeners of the probe on this machine: a client that reaches one receives its nonce. No attempt
// has any other target.
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Closable, Context } from '../../contract.js';
import { capture, succeeded } from '../../os/capture.js';

export interface Listener extends Closable {
  host: string;
  port: number;
}

/** @throws the system's error if it cannot listen at the address */
export function listenTcp(host: string, nonce: string, port = 0): Promise<Listener> {
  const server = createServer((socket) => socket.on('error', () => {}).end(`${nonce}\n`));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const bound = server.address();
      resolve({
        host,
        port: typeof bound === 'object' && bound ? bound.port : 0,
        close: () => void server.close(),
      });
    });
  });
}

/** This host's own address in the network of its default route; undefined if there is none. */
export async function outwardAddress(ctx: Context): Promise<string | undefined> {
  const own = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    (all ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4')
      .map(({ address }) => ({ name, address })),
  );
  if (ctx.platform !== 'linux') return own[0]?.address;
  const routes = await ip(ctx, ['-4', 'route', 'show', 'default']);
  const device = / dev (\S+)/.exec(routes ?? '')?.[1];
  return own.find(({ name }) => name === device)?.address;
}

/** Output of `ip`; undefined if the command cannot be run or fails. */
export async function ip(ctx: Pick<Context, 'env'>, args: string[]): Promise<string | undefined> {
  const result = await capture(['ip', ...args], { env: ctx.env, cwd: '/', timeoutMs: 5000 });
  return succeeded(result) ? result.stdout : undefined;
}

/** True if only the default route matches the address, so nothing on this host uses it. */
export async function unused(ctx: Pick<Context, 'env'>, address: string): Promise<boolean> {
  const route = await ip(ctx, ['-4', 'route', 'show', 'match', address]);
  return (
    route
      ?.split('\n')
      .every((line) => line.trim() === '' || /^(default|unreachable default)\b/.test(line)) ?? false
  );
}
