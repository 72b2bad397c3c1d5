// The size and the price of a machine.

import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { dollars, type ListPrice, perSecond } from './bill.js';

/** Price of shared processors in the cheapest regions. */
export const PRICE: ListPrice = {
  cpu: 0.695,
  gib: 5,
  hours: 730,
  basis:
    'estimate: list price of 2024-10-03 in the cheapest region, up to 1.9 times that elsewhere',
};

/** The sizes that Fly.io sells with shared processors. */
const SIZES = { cpus: [1, 2, 4, 8], stepMiB: 256, mostMiBEach: 2048 };

/** @throws `not-ready` if Fly.io does not sell the requested size */
export function guestOf(ctx: Context) {
  const { cpus = 2 } = ctx.options;
  const { stepMiB, mostMiBEach } = SIZES;
  const memory = ctx.options.memoryMiB ?? Math.min(4096, cpus * mostMiBEach);
  if (!SIZES.cpus.includes(cpus))
    throw new CagematchError(
      'not-ready',
      `Fly.io has machines with ${SIZES.cpus.join(', ')} processors, not ${cpus}`,
      'cpus: 2',
    );
  if (memory % stepMiB !== 0 || memory < cpus * stepMiB || memory > cpus * mostMiBEach)
    throw new CagematchError(
      'not-ready',
      `Fly.io gives ${cpus} shared processors ${cpus * stepMiB} to ${cpus * mostMiBEach} MiB, in steps of ${stepMiB}; not ${memory}`,
      `memory: ${cpus * mostMiBEach}m`,
    );
  return { cpu_kind: 'shared', cpus, memory_mb: memory };
}

type Guest = ReturnType<typeof guestOf>;

export function rateOf({ cpus, memory_mb }: Guest): number {
  return perSecond(PRICE, cpus, memory_mb);
}

export function priceOf(guest: Guest): string {
  return `about ${dollars(rateOf(guest) * 60)} a minute of ${guest.cpus} CPUs and ${guest.memory_mb} MiB (${PRICE.basis})`;
}
