// Draws for simulated matches: the same ones for the same seed.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { seeded } from '../lib/statistics/seeded.js';

export interface Random {
  /** From 0 up to, not including, 1. */
  uniform(): number;
  /** Of a standard normal distribution (Box and Muller). */
  normal(): number;
}

export function randomFrom(seed: number): Random {
  const generator = seeded(seed);
  const uniform = () => uniformFloat64(generator);
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
}
