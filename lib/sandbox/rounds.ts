// The order in which each round runs the rows.
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { seeded } from '../statistics/seeded.js';

/** The order of every round: each round runs every entry once, in an order shuffled by the seed. */
export function* rounds(
  seed: number,
  count: number,
  entries: readonly string[],
): Generator<string[]> {
  const random = seeded(seed);
  for (let round = 0; round < count; round += 1) {
    const order = [...entries];
    for (let last = order.length - 1; last > 0; last -= 1) {
      const other = uniformInt(random, 0, last);
      [order[last], order[other]] = [order[other] as string, order[last] as string];
    }
    yield order;
  }
}
