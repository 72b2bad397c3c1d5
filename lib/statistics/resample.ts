// The seeded bootstrap of a median: determines the ranks of a sorted sample at which the medians of
// its resamples lie.
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { seeded } from './seeded.js';

export const RESAMPLES = 2000;

/**
 * Up to this many samples are actually resampled; above, the ranks follow from the binomial
 * distribution.
 */
export const RESAMPLED_UP_TO = 300;

/**
 * For each resample, the two ranks (from 0) whose values' mean is its median; both are the same if
 * the count is odd.
 */
interface Draws {
  lower: Uint32Array;
  upper: Uint32Array;
}

const kept = new Map<string, Draws>();

/**
 * A resample of n values consists of n ranks drawn with replacement, whatever the values are, so
 * the same draws serve every sample of that size.
 * @param count at least 1, at most RESAMPLED_UP_TO
 */
export function drawMedians(count: number, seed: number): Draws {
  const key = `${count} ${seed}`;
  const known = kept.get(key);
  if (known) return known;
  const draws = resample(count, seed);
  if (kept.size > 500) kept.clear();
  kept.set(key, draws);
  return draws;
}

function resample(count: number, seed: number): Draws {
  const random = seeded(seed);
  const lower = new Uint32Array(RESAMPLES);
  const upper = new Uint32Array(RESAMPLES);
  const times = new Uint32Array(count);
  const [low, high] = [Math.floor((count - 1) / 2), Math.floor(count / 2)];
  for (let resample = 0; resample < RESAMPLES; resample += 1) {
    times.fill(0);
    for (let drawn = 0; drawn < count; drawn += 1) {
      const rank = uniformInt(random, 0, count - 1);
      times[rank] = (times[rank] as number) + 1;
    }
    let rank = 0;
    let seen = times[0] as number;
    const upTo = (place: number) => {
      while (seen <= place) {
        rank += 1;
        seen += times[rank] as number;
      }
      return rank;
    };
    lower[resample] = upTo(low);
    upper[resample] = upTo(high);
  }
  return { lower, upper };
}
