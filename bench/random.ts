// Random draws for simulated matches, reproducible from the seed.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { seeded } from '../lib/statistics/seeded.js';

export interface Random {
  /** A number from 0 up to but not including 1. */
  uniform(): number;
  /** A number from the standard normal distribution (Box–Muller). */
  normal(): number;
}

export function randomFrom(seed: number): Random {
  const generator = seeded(seed);
  const uniform = () => uniformFloat64(generator);
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}
