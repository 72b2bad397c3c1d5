// Takes the address of a cloud's metadata service for this machine for a few seconds, so that no
// attempt to reach it can leave the machine.
import { readFileSync } from 'node:fs';
import type { Closable, Context } from '../../contract.js';
import { ip, type Listener, listenTcp, unused } from './listeners.js';

const ADDRESS = '169.254.169.254';
/** The kernel removes the address after this many seconds if nothing else does. */
const LIFE_S = 60;

/** Vendors whose machines really have that service: on these we leave the address alone. */
const CLOUDS =
  /amazon|google|microsoft|alibaba|digitalocean|openstack|oracle|hetzner|scaleway|upcloud|vultr|linode|akamai|exoscale|ovh|tencent/i;

/** @returns a listener at the address, or why there is none */
export async function holdMetadata(
  ctx: Context,
  nonce: string,
): Promise<(Listener & Closable) | { cause: string }> {
  if (ctx.platform !== 'linux' || ctx.uid !== 0)
    return { cause: `not tried: ${ADDRESS} can be made this machine’s own only by root on Linux` };
  const vendor = ['sys_vendor', 'chassis_asset_tag', 'bios_vendor', 'product_name']
    .map(dmi)
    .join(' ');
  const cloud = CLOUDS.exec(vendor)?.[0];
  if (cloud !== undefined)
    return {
      cause: `not tried: this is a machine of a cloud (${cloud}), where ${ADDRESS} is in use`,
    };
  if (!(await unused(ctx, ADDRESS)))
    return { cause: `not tried: this machine has a route of its own to ${ADDRESS}` };
  const life = ['valid_lft', `${LIFE_S}`, 'preferred_lft', `${LIFE_S}`];
  if ((await ip(ctx, ['addr', 'add', `${ADDRESS}/32`, 'dev', 'lo', ...life])) === undefined)
    return { cause: `not tried: ${ADDRESS} could not be made this machine’s own` };
  const release = async () => void (await ip(ctx, ['addr', 'del', `${ADDRESS}/32`, 'dev', 'lo']));
  try {
    const listener = await listenTcp(ADDRESS, nonce, 80);
    return {
      ...listener,
      close: async () => {
        await listener.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    return {
      cause: `not tried: nothing could listen at ${ADDRESS} (${(error as NodeJS.ErrnoException).code})`,
    };
  }
}

function dmi(name: string): string {
  try {
    return readFileSync(`/sys/class/dmi/id/${name}`, 'utf8').trim();
  } catch {
    return '';
  }
}
