// The only seeded random number generator: the same seed gives the same rounds and resamples
// everywhere.
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

const MASK = (1n << 64n) - 1n;

/**
 * xoroshiro128+ with its state derived from the seed by splitmix64, as its authors recommend:
 * without that mixing, neighbouring seeds gave the same order in the first rounds.
 */
export function seeded(seed: number): ReturnType<typeof xoroshiro128plusFromState> {
  let state = BigInt.asUintN(64, BigInt(Math.trunc(seed)));
  const words = [0, 1].flatMap(() => {
    state = (state + 0x9e3779b97f4a7c15n) & MASK;
    let mixed = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK;
    mixed ^= mixed >> 31n;
    return [Number(BigInt.asIntN(32, mixed)), Number(BigInt.asIntN(32, mixed >> 32n))];
  });
  return xoroshiro128plusFromState(words);
}
