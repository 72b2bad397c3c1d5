// Estimated cost, at list price, of machines that are billed by the second; printed once per match.
import type { Closable, Context } from '../../lib/contract.js';

/** Dollars per month of `hours` hours, for one processor and for one GiB of memory. */
export interface ListPrice {
  cpu: number;
  gib: number;
  hours: number;
  /** What the estimate is based on, with its date: prices change. */
  basis: string;
}

interface Bill extends Closable {
  add(ms: number, perSecond: number): void;
}

export function perSecond(price: ListPrice, cpus: number, memoryMiB: number): number {
  return (cpus * price.cpu + (memoryMiB / 1024) * price.gib) / (price.hours * 3600);
}

/** Formats an amount with two significant digits, however small it is. */
export function dollars(amount: number): string {
  const digits = amount > 0 ? 1 - Math.floor(Math.log10(amount)) : 0;
  return `$${amount.toFixed(Math.min(Math.max(digits, 2), 9))}`;
}

/** @param rate dollars per second */
export async function charge(
  ctx: Context,
  whose: string,
  price: ListPrice,
  ms: number,
  rate: number,
): Promise<void> {
  const bill = await ctx.keep<Bill>('bill', () => {
    const sum = { machines: 0, seconds: 0, dollars: 0 };
    return {
      add(ranMs, perSecond) {
        sum.machines += 1;
        sum.seconds += ranMs / 1000;
        sum.dollars += (ranMs / 1000) * perSecond;
      },
      close() {
        const { machines, seconds } = sum;
        const each = machines === 1 ? '' : `, ${dollars(sum.dollars / machines)} each`;
        const what = `${machines} machine${machines === 1 ? '' : 's'} ran ${seconds.toFixed(0)} s`;
        ctx.say(`${whose}: ${what}, about ${dollars(sum.dollars)}${each} (${price.basis})`);
      },
    };
  });
  bill.add(ms, rate);
}
