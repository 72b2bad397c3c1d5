// Determines which of this machine's addresses only the machine itself and its sandboxes can reach.
import { existsSync, readdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { CagematchError } from '../errors.js';

export function isLoopback(address: string): boolean {
  return (isIP(address) === 4 && address.startsWith('127.')) || address === '::1';
}

/** Link-local addresses are never routed. */
export function isLinkLocal(address: string): boolean {
  return (
    (isIP(address) === 4 && address.startsWith('169.254.')) ||
    (isIP(address) === 6 && /^fe[89ab][0-9a-f]:/i.test(address))
  );
}

/**
 * Refuses an address on which other machines could connect: the wildcard address, or an address of
 * an interface that leads out of this machine. A bridge belongs to a runtime alone if none of its
 * ports is a network card of the machine.
 * @param where the kernel's list of network interfaces
 * @throws `bad-input`
 */
export function refuseExposed(
  address: string,
  where: { interfaces?: typeof networkInterfaces; folder?: string } = {},
): void {
  if (isLoopback(address) || isLinkLocal(address)) return;
  const hint = 'use a network of the runtime whose bridge is its own, or network host';
  const refuse = (why: string) =>
    new CagematchError('bad-input', `the gateway does not listen on ${address}: ${why}`, hint);
  if (isIP(address) === 0) throw refuse('that is no IP address');
  if (/^[0.:]+$/.test(address) || /^::ffff:/i.test(address))
    throw refuse('that is every interface of this machine');
  const named = Object.entries((where.interfaces ?? networkInterfaces)()).find(([, all]) =>
    all?.some((candidate) => candidate.address === address),
  );
  // Nobody can connect to an address that this machine does not have; the kernel refuses to listen
  // on it.
  if (!named || named[1]?.every(({ internal }) => internal)) return;
  const folder = where.folder ?? '/sys/class/net';
  const ports = `${folder}/${named[0]}/brif`;
  if (!existsSync(ports))
    throw refuse(`${named[0]} is no bridge of a runtime, so that other machines may reach it`);
  const card = readdirSync(ports).find((port) => existsSync(`${folder}/${port}/device`));
  if (card !== undefined)
    throw refuse(`the network card ${card} is a port of the bridge ${named[0]}`);
}
