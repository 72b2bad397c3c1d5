// The targets of a guest's network attempts: listeners of the probe, opened once the sandbox is up
// and always closed again.
import type { Closable, Context, Reach } from '../../contract.js';
import { messageOf } from '../../errors.js';
import type { WallName } from '../../kit/walls.js';
import type { Subject } from '../sandbox.js';
import { openForeign } from './foreign.js';
import { type Listener, listenTcp, outwardAddress } from './listeners.js';
import { holdMetadata } from './metadata.js';
import type { Planted } from './planted.js';

interface Target {
  host: string;
  port: number;
}

export interface Ground extends Closable {
  gateway: string | null;
  tcp: Partial<Record<WallName, Target[]>>;
  udp: Partial<Record<WallName, Target>>;
  /** URL of the served repository. */
  git: string | null;
  /** Walls that cannot be tried, each with the reason. */
  untried: Partial<Record<WallName, string>>;
  close(): Promise<void>;
}

const OUTWARD = ['tcp-out', 'udp-out', 'dns', 'git-push-network'] as const;
const NETWORK = [
  'host-loopback-ports',
  'host-gateway-ports',
  'host-network-ports',
  ...OUTWARD,
  'cloud-metadata',
] as const;

export async function openGround(
  subject: Subject,
  ctx: Context,
  planted: Planted,
): Promise<Ground> {
  const opened: Closable[] = [];
  const ground: Ground = {
    gateway: null,
    tcp: {},
    udp: {},
    git: null,
    untried: {},
    close: async () => {
      for (const resource of opened.splice(0).reverse()) await resource.close();
    },
  };
  const { reach, gatewayPort } = subject;
  if (reach.via === 'address' && gatewayPort !== undefined) ground.gateway = reach.url(gatewayPort);
  else
    ground.untried['gateway-port'] =
      'not tried: the model runs inside, there is no gateway to reach';
  const elsewhere = whyElsewhere(subject, ctx);
  if (elsewhere !== undefined) {
    for (const wall of NETWORK) ground.untried[wall] = elsewhere;
    return ground;
  }
  const { nonce } = planted;
  const listen = async (wall: WallName, address: string, targets: (port: number) => Target[]) => {
    try {
      const listener: Listener = await listenTcp(address, nonce);
      opened.push(listener);
      ground.tcp[wall] = targets(listener.port);
    } catch (error) {
      ground.untried[wall] = `not tried: nothing could listen at ${address}: ${messageOf(error)}`;
    }
  };
  try {
    const [outward] = await Promise.all([
      outwardAddress(ctx),
      listen('host-loopback-ports', '127.0.0.1', (port) => [
        { host: '127.0.0.1', port },
        ...otherName(reach, port),
      ]),
      reach.via === 'address'
        ? listen('host-gateway-ports', reach.listen, (port) => [
            { host: new URL(reach.url(port)).hostname, port },
          ])
        : undefined,
    ]);
    if (reach.via !== 'address')
      ground.untried['host-gateway-ports'] = 'not tried: there is no gateway to reach';
    if (outward === undefined)
      ground.untried['host-network-ports'] =
        'not tried: this host has no address in another network';
    else await listen('host-network-ports', outward, (port) => [{ host: outward, port }]);
    const metadata = await holdMetadata(ctx, nonce);
    if ('cause' in metadata) ground.untried['cloud-metadata'] = metadata.cause;
    else {
      opened.push(metadata);
      ground.tcp['cloud-metadata'] = [metadata];
    }
    const foreign = await openForeign(ctx, nonce, planted.folder);
    if ('cause' in foreign)
      for (const wall of OUTWARD) ground.untried[wall] = `not tried: ${foreign.cause}`;
    else {
      const { host } = foreign;
      opened.push(foreign);
      ground.tcp['tcp-out'] = [{ host, port: foreign.tcp }];
      ground.udp['udp-out'] = { host, port: foreign.udp };
      ground.udp.dns = { host, port: foreign.udp };
      ground.git = `git://${host}:${foreign.git}/served.git`;
    }
    return ground;
  } catch (error) {
    await ground.close();
    throw error;
  }
}

/**
 * Why no network attempt is made: a packet to one of our addresses must reach this machine and no
 * other.
 */
function whyElsewhere(subject: Subject, ctx: Context): string | undefined {
  if (subject.entry.isolation === 'remote-vm')
    return 'not tried: the guest is on another machine, and the targets are on this one';
  if (subject.reach.via === 'inside' && ctx.options.network !== 'none')
    return 'not tried: this host cannot be reached from inside, so a try might leave the machine';
  const loopback = subject.reach.via === 'address' && subject.reach.listen === '127.0.0.1';
  if (ctx.options.network !== undefined && ctx.options.network !== 'none' && !loopback)
    return 'not tried: on a network that the user chose a try might leave the machine';
  return undefined;
}

/** The name that the runtime has inside for this host's loopback, if any. */
function otherName(reach: Reach, port: number): Target[] {
  if (reach.via !== 'address' || reach.listen !== '127.0.0.1') return [];
  const { hostname } = new URL(reach.url(port));
  return hostname === '127.0.0.1' ? [] : [{ host: hostname, port }];
}
