// A network on this machine that stands for any foreign network: a namespace behind a veth link,
// with listeners in it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Closable, Context } from '../../contract.js';
import { messageOf } from '../../errors.js';
import { capture, succeeded } from '../../os/capture.js';
import { which } from '../../os/path-search.js';
import { stream } from '../../os/stream.js';
import { packageRoot } from '../../package.js';
import { ip, unused } from './listeners.js';

export interface Foreign extends Closable {
  host: string;
  tcp: number;
  udp: number;
  git: number;
}

/**
 * Networks reserved for documentation (RFC 5737): they belong to nobody, and no machine should have
 * a route to them.
 */
const NETWORKS = ['203.0.113', '198.51.100', '192.0.2'];

const SCRIPT = join(packageRoot, 'lib/probes/guest/walls-foreign.mjs');

/** @param repositories folder that git serves there @returns the network, or why there is none */
export async function openForeign(
  ctx: Context,
  nonce: string,
  repositories: string,
): Promise<Foreign | { cause: string }> {
  if (ctx.platform !== 'linux' || ctx.uid !== 0)
    return { cause: 'a network of its own can be set up only by root on Linux' };
  const missing = ['ip', 'unshare', 'nsenter', 'git'].filter(
    (program) => which(program, ctx.env) === undefined,
  );
  if (missing.length > 0)
    return { cause: `a network of its own needs ${missing.join(', ')} on PATH` };
  let network: string | undefined;
  for (const candidate of NETWORKS)
    if (network === undefined && (await unused(ctx, `${candidate}.2`))) network = candidate;
  if (network === undefined)
    return { cause: 'this machine has routes to every network that could stand for a foreign one' };
  const tag = randomBytes(3).toString('hex');
  const [here, there] = [`cmw${tag}h`, `cmw${tag}n`];
  // When this process ends, the kernel removes its namespace and with it the link.
  const argument = JSON.stringify({ host: `${network}.2`, nonce, repositories });
  const child = stream(['unshare', '--net', process.execPath, SCRIPT, argument], {
    env: { PATH: ctx.env.PATH ?? '' },
    cwd: '/',
  });
  const close = async () => {
    child.kill();
    await child.ended;
    await ip(ctx, ['link', 'del', here]);
  };
  const lines = child[Symbol.asyncIterator]();
  const heard = async () => {
    const event = (await lines.next()).value;
    if (event?.type !== 'line' || event.stream !== 'stdout')
      throw new Error(event?.text ?? event?.reason ?? 'its listeners ended');
    return JSON.parse(event.text);
  };
  try {
    await child.spawned;
    await heard();
    const inside = ['nsenter', '--net', '--target', `${child.pid}`, 'ip'] as const;
    for (const argv of [
      ['ip', 'link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', `${child.pid}`],
      ['ip', 'addr', 'add', `${network}.1/30`, 'dev', here],
      ['ip', 'link', 'set', here, 'up'],
      [...inside, 'link', 'set', 'lo', 'up'],
      [...inside, 'addr', 'add', `${network}.2/30`, 'dev', there],
      [...inside, 'link', 'set', there, 'up'],
      [...inside, 'route', 'add', 'default', 'via', `${network}.1`],
    ] as [string, ...string[]][]) {
      const done = await capture(argv, { env: ctx.env, cwd: '/', timeoutMs: 5000 });
      if (!succeeded(done)) throw new Error(`${argv.slice(-6).join(' ')}: ${done.stderr.trim()}`);
    }
    // The process waits until its address is assigned, then prints its ports.
    const ports = (await heard()) as { tcp: number; udp: number; git: number };
    return { host: `${network}.2`, ...ports, close };
  } catch (error) {
    await close();
    return { cause: `a network of its own could not be set up: ${messageOf(error)}` };
  }
}
