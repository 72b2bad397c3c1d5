// Summaries of samples: what is counted, what is too few, and that the same samples always say the same.
import { describe, expect, test } from 'vitest';
import { isGap } from '../lib/record.js';
import { summarize } from '../lib/report/statistics.js';

const summaryOf = async (samples: number[], seed = 1) => {
  const summary = await summarize(samples, seed);
  if (isGap(summary)) throw new Error('a gap');
  return summary;
};

describe('a summary', () => {
  test('of no sample is a gap, not a 0', async () => {
    expect(await summarize([], 1)).toEqual({ gap: 'not-reached' });
  });

  test.each([
    [[5], 5],
    [[1, 2], 1.5],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
    [[0, 0, 0], 0],
    [[0.1, 0.2, 1000], 0.2],
  ])('has the median in the middle: %j', async (samples, median) => {
    expect((await summaryOf(samples)).median).toBeCloseTo(median, 10);
  });

  test('keeps every sample in its order, drops nothing, and leaves the caller’s list alone', async () => {
    const samples = Object.freeze([300, 100, 100_000, 200]);
    const summary = await summaryOf([...samples]);
    expect(summary).toMatchObject({ samples: [300, 100, 100_000, 200], min: 100, max: 100_000 });
  });

  test.each([[[1]], [[1, 2]]])('has no interval under three samples: %j', async (samples) => {
    expect((await summaryOf(samples)).ci95).toEqual({ gap: 'too-few-runs' });
  });

  test('has an interval that holds its median, within its extremes, for any seed', async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const samples = Array.from({ length: 3 + seed }, (_, at) => ((at * 37 + seed * 11) % 101) + 1);
      const { median, ci95, min, max } = await summaryOf(samples, seed);
      if (isGap(ci95)) throw new Error('a gap');
      expect(ci95[0]).toBeGreaterThanOrEqual(min);
      expect(ci95[0]).toBeLessThanOrEqual(median);
      expect(ci95[1]).toBeGreaterThanOrEqual(median);
      expect(ci95[1]).toBeLessThanOrEqual(max);
    }
  });

  test('is the same for the same samples and seed', async () => {
    const samples = [12, 15, 11, 19, 14, 13, 30];
    expect(await summarize(samples, 5)).toEqual(await summarize(samples, 5));
  });

  test('of samples that are all the same has an interval of no width', async () => {
    expect((await summaryOf([7, 7, 7, 7])).ci95).toEqual([7, 7]);
  });

  test('grows surer with more samples', async () => {
    const spread = (count: number) => Array.from({ length: count }, (_, at) => 100 + ((at * 7919) % 50));
    const width = async (count: number) => {
      const { ci95 } = await summaryOf(spread(count));
      if (isGap(ci95)) throw new Error('a gap');
      return ci95[1] - ci95[0];
    };
    expect(await width(200)).toBeLessThan(await width(10));
  });
});
