// Summaries of samples: what is counted, what is too few, and that the same samples always say the
// same.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { describe, expect, test } from 'vitest';
import { isGap } from '../../lib/record/types.js';
import { RESAMPLED_UP_TO } from '../../lib/statistics/resample.js';
import { fences, summarize, summarizePairs, summarizeWaves } from '../../lib/statistics/summary.js';

const summaryOf = (samples: number[], seed = 1) => {
  const summary = summarize(samples, seed);
  if (isGap(summary)) throw new Error('a gap');
  return summary;
};

describe('a summary', () => {
  test('of no sample is a gap, not a 0', () => {
    expect(summarize([], 1)).toEqual({ gap: 'not-reached' });
  });

  test.each([
    [[5], 5],
    [[1, 2], 1.5],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
    [[0, 0, 0], 0],
    [[0.1, 0.2, 1000], 0.2],
  ])('has the median in the middle: %j', (samples, median) => {
    expect(summaryOf(samples).median).toBeCloseTo(median, 10);
  });

  test('keeps every sample in its order, drops nothing, and leaves the caller’s list alone', () => {
    const samples = Object.freeze([300, 100, 100_000, 200]);
    const summary = summaryOf([...samples]);
    expect(summary).toMatchObject({ samples: [300, 100, 100_000, 200], min: 100, max: 100_000 });
  });

  test.each([[[1]], [[1, 2]], [[1, 2, 3, 4, 5]]])(
    'has no interval under six samples, of which none covers 95 of 100: %j',
    (samples) => {
      expect(summaryOf(samples).ci95).toEqual({ gap: 'too-few-runs' });
    },
  );

  test('has an interval that holds its median, within its extremes, for any seed', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const samples = Array.from(
        { length: 6 + seed },
        (_, at) => ((at * 37 + seed * 11) % 101) + 1,
      );
      const { median, ci95, min, max } = summaryOf(samples, seed);
      if (isGap(ci95)) throw new Error('a gap');
      expect(ci95[0]).toBeGreaterThanOrEqual(min);
      expect(ci95[0]).toBeLessThanOrEqual(median);
      expect(ci95[1]).toBeGreaterThanOrEqual(median);
      expect(ci95[1]).toBeLessThanOrEqual(max);
    }
  });

  test('is the same for the same samples and seed', () => {
    const samples = [12, 15, 11, 19, 14, 13, 30];
    expect(summarize(samples, 5)).toEqual(summarize(samples, 5));
  });

  test('of samples that are all the same has an interval of no width', () => {
    expect(summaryOf([7, 7, 7, 7, 7, 7]).ci95).toEqual([7, 7]);
  });

  test('grows surer with more samples', () => {
    const spread = (count: number) =>
      Array.from({ length: count }, (_, at) => 100 + ((at * 7919) % 50));
    const width = (count: number) => {
      const { ci95 } = summaryOf(spread(count));
      if (isGap(ci95)) throw new Error('a gap');
      return ci95[1] - ci95[0];
    };
    expect(width(200)).toBeLessThan(width(10));
  });
});

/** Normal noise around 1, by Box and Muller; the same for the same seed. */
function noise(seed: number, deviation: number) {
  const random = xoroshiro128plus(seed);
  return () =>
    1 +
    deviation *
      Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) *
      Math.cos(2 * Math.PI * uniformFloat64(random));
}

const listOf = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));

describe('quantiles', () => {
  const upTo = (count: number) => listOf(count, (at) => at + 1);

  test('there is no p95 under 59 samples, and no p99 under 299: no upper bound of them can be had', () => {
    const few = { gap: 'too-few-runs' };
    expect(summaryOf(upTo(58))).toMatchObject({ p95: few, p95Below: few, p99: few, p99Below: few });
    // The greatest of 59 lies above the true p95 in 1 - .95^59 = 95.2 of 100 cases.
    expect(summaryOf(upTo(59))).toMatchObject({ p95Below: 59, p99: few });
    expect(summaryOf(upTo(59)).p95).toBeCloseTo(56.1, 9);
    expect(summaryOf(upTo(298)).p99).toEqual(few);
    expect(summaryOf(upTo(299)).p99Below).toBe(299);
  });

  test('the true p95 lies below its bound in at least 95 of 100 samples, and the bound is no wider than it has to be', () => {
    for (const count of [59, 100, 300]) {
      const draw = noise(count, 1);
      const bounds = listOf(300, () => summaryOf(listOf(count, draw)).p95Below as number);
      const above = bounds.filter((bound) => bound >= 1 + 1.644854).length / bounds.length;
      expect(above, `n=${count}`).toBeGreaterThanOrEqual(0.93);
      if (count > 59) expect(above, `n=${count}`).toBeLessThan(0.995);
    }
  });
});

describe('an interval', () => {
  test('is never narrower than the exact one between two of the samples', () => {
    // n: the ranks, from 1, between which the median lies in 95 of 100 cases (tables of the sign
    // test).
    const ranks: [number, number, number][] = [
      [6, 1, 6],
      [7, 1, 7],
      [8, 1, 8],
      [9, 2, 8],
      [10, 2, 9],
      [20, 6, 15],
      [50, 18, 33],
      [100, 40, 61],
    ];
    for (const [count, low, high] of ranks) {
      // Steps that widen, so that a mean of two samples never is a sample.
      const { ci95 } = summaryOf(listOf(count, (at) => (at + 1) ** 2));
      if (isGap(ci95)) throw new Error('a gap');
      expect(ci95[0], `n=${count}`).toBeLessThanOrEqual(low ** 2);
      expect(ci95[1], `n=${count}`).toBeGreaterThanOrEqual(high ** 2);
    }
  });

  test('read off at ranks agrees with one that is resampled, where the one takes over from the other', () => {
    for (let seed = 0; seed < 10; seed += 1) {
      const draw = noise(seed + 1, 0.05);
      const samples = listOf(RESAMPLED_UP_TO, () => draw() * 1000);
      const resampled = summaryOf(samples, seed);
      // One more sample, in the very middle, moves nothing else.
      const readOff = summaryOf([...samples, resampled.median], seed);
      if (isGap(resampled.ci95) || isGap(readOff.ci95)) throw new Error('a gap');
      const width = resampled.ci95[1] - resampled.ci95[0];
      expect(Math.abs(readOff.ci95[0] - resampled.ci95[0])).toBeLessThan(width / 6);
      expect(Math.abs(readOff.ci95[1] - resampled.ci95[1])).toBeLessThan(width / 6);
    }
  });

  test('of a million samples needs no resampling of a million', () => {
    const samples = new Float64Array(1_000_000).map((_, at) => (at * 7919) % 1_000_003);
    expect(summarizePairs(samples, 1)).toMatchObject({
      ci95: [expect.any(Number), expect.any(Number)],
    });
  });
});

describe('far out', () => {
  test('is what lies four interquartile ranges beyond the quartiles, and nothing among fewer than six', () => {
    expect(fences([1, 2, 3, 4, 5])).toBeUndefined();
    // Quartiles 2.5 and 5.5.
    expect(fences([1, 2, 3, 4, 5, 6, 7])).toEqual([-9.5, 17.5]);
  });

  test('is seldom anything in a row without trouble', () => {
    for (const count of [6, 8, 10, 20]) {
      const draw = noise(count, 0.05);
      const flagged = listOf(500, () => listOf(count, draw)).filter((row) => {
        const [low, high] = fences(row) as [number, number];
        return row.some((value) => value < low || value > high);
      });
      expect(flagged.length / 500, `n=${count}`).toBeLessThan(0.06);
    }
  });
});

describe('runs of one wave', () => {
  /** Six waves of so many runs; half of the variance is the wave's own. */
  const burst = (draw: () => number, level: number, waves = 6) => {
    const rounds = listOf(waves, (at) => at).flatMap((wave) => {
      const own = draw() - 1;
      return listOf(level, () => ({ wave, ms: 500 * (draw() + own) }));
    });
    return [rounds.map(({ ms }) => ms), rounds.map(({ wave }) => wave)] as const;
  };

  test('are resampled as a wave: the interval covers the truth as often as it promises', () => {
    for (const level of [4, 16]) {
      const draw = noise(level, 0.05);
      const covers = listOf(150, (at) => summarizeWaves(...burst(draw, level), at)).filter(
        (summary) =>
          !isGap(summary) &&
          !isGap(summary.ci95) &&
          summary.ci95[0] <= 500 &&
          summary.ci95[1] >= 500,
      );
      expect(covers.length / 150, `level ${level}`).toBeGreaterThanOrEqual(0.93);
    }
  });

  test('have no interval with fewer than six waves, and no p95 with fewer than 59, however many runs a wave has', () => {
    const draw = noise(1, 0.05);
    expect(summarizeWaves(...burst(draw, 16, 5), 1)).toMatchObject({
      ci95: { gap: 'too-few-runs' },
      p95: { gap: 'too-few-runs' },
    });
    expect(summarizeWaves(...burst(draw, 2, 58), 1)).toMatchObject({
      p95: { gap: 'too-few-runs' },
    });
    expect(summarizeWaves(...burst(draw, 2, 59), 1)).toMatchObject({
      p95: expect.any(Number),
      p95Below: expect.any(Number),
    });
  });
});
