// What the report concludes from p values, pairs and counts: against published tables, and by
// simulation.
import { describe, expect, test } from 'vitest';
import { isGap } from '../../lib/record/types.js';
import {
  ALPHA,
  canReject,
  detectableRatio,
  equivalence,
  fewestPairs,
  fisher,
  holm,
  MARGIN,
  noiseOf,
  pairsNeeded,
  ratioEstimate,
  wilson,
} from '../../lib/statistics/inference.js';
import {
  hodgesLehmann,
  normalBelow,
  rankSum,
  shift,
  signedRank,
} from '../../lib/statistics/ranks.js';
import { normals } from '../support/random.js';

const times = (count: number, run: (at: number) => boolean) =>
  Array.from({ length: count }, (_, at) => run(at)).filter(Boolean).length / count;
const drawn = (random: () => number, n: number, centre = 0, deviation = 1) =>
  Array.from({ length: n }, () => centre + deviation * random());

describe("Wilcoxon's signed-rank test", () => {
  test('gives the exact p of tables, zeros and ties included', () => {
    expect(signedRank([1, 2, 3, 4, 5, 6])).toBe(2 / 64);
    expect(signedRank([-1, 2, 3, 4, 5, 6])).toBe(4 / 64);
    // Hollander and Wolfe's depression scores: R's wilcox.test gives 0.0390625, and 0.01953125
    // one-sided.
    const scores = [-0.952, 0.147, -1.022, -0.43, -0.62, -0.59, -0.49, 0.08, -0.01].map((x) =>
      Number(x.toFixed(3)),
    );
    expect(signedRank(scores)).toBe(0.0390625);
    expect(signedRank(scores, 'less')).toBe(0.01953125);
    // All sign patterns of what is tied, counted by hand: |values| 1 1 2, ranks 1.5 1.5 3.
    expect(signedRank([1, 1, 2])).toBe(0.25);
    expect(signedRank([1, -1, 2])).toBe(0.75);
    // Pratt: the zero takes rank 1, so that 2 and 3 are left; both above is 1 of 4 patterns.
    expect(signedRank([0, 1, 2], 'greater')).toBe(0.25);
    expect(signedRank([0, 0, 0])).toBe(1);
    expect(signedRank([])).toBe(1);
  });

  test('of many pairs is the normal approximation, and goes on where the exact one ends', () => {
    const random = normals(3);
    const values = drawn(random, 301, 0.12);
    const [exact, normal] = [signedRank(values.slice(1)), signedRank(values)];
    expect(Math.abs(Math.log(exact / normal))).toBeLessThan(0.3);
    expect(normalBelow(-3.290527)).toBeCloseTo(0.0005, 8);
    expect(normalBelow(1.959964)).toBeCloseTo(0.975, 6);
  });

  test('calls what is the same different in at most 5 % at every n', () => {
    const random = normals(11);
    for (const n of [6, 7, 8, 10, 15, 20, 50])
      expect(
        times(1500, () => signedRank(drawn(random, n)) < ALPHA),
        `n=${n}`,
      ).toBeLessThanOrEqual(0.065);
  });

  test('sees a true +5 % more often with every further pair', () => {
    // The same noise at every n: only the number of pairs differs.
    const random = normals(5);
    const matches = Array.from({ length: 600 }, () => drawn(random, 20, Math.log(1.05), 0.057));
    const seen = Array.from({ length: 15 }, (_, at) =>
      times(
        matches.length,
        (match) => signedRank((matches[match] as number[]).slice(0, at + 6)) < ALPHA,
      ),
    );
    for (const [at, share] of seen.entries())
      if (at > 0)
        expect(share, `n=${at + 6}`).toBeGreaterThanOrEqual((seen[at - 1] as number) - 0.02);
    expect(seen.at(-1)).toBeGreaterThan(0.9);
  });
});

describe('the Hodges–Lehmann estimate', () => {
  test('is the median of all means of two, and its interval is made of those', () => {
    const values = [1, 2, 4, 8, 16, 32];
    const means = values
      .flatMap((a, at) => values.slice(at).map((b) => (a + b) / 2))
      .sort((a, b) => a - b);
    expect(hodgesLehmann(values)).toEqual({ estimate: means[10], ci95: [1, 32] });
    expect(hodgesLehmann(values.slice(1))).toEqual({ estimate: 10, ci95: { gap: 'too-few-runs' } });
    // Of eight values, a rank sum of 3 or less has a chance of 5 in 256: three of the 36 means lie
    // outside at each end.
    expect(hodgesLehmann([...values, 64, 128]).ci95).toEqual([2.5, 72]);
    expect(hodgesLehmann([7])).toEqual({ estimate: 7, ci95: { gap: 'too-few-runs' } });
    expect(hodgesLehmann([3, 3, 3, 3, 3, 3])).toEqual({ estimate: 3, ci95: [3, 3] });
  });

  test.each([6, 7, 8, 9, 10, 12, 15, 20, 30, 50])(
    'covers the truth in at least 93 of 100 samples of n=%i',
    (n) => {
      const random = normals(n);
      const covers = (values: number[]) => {
        const { ci95 } = hodgesLehmann(values);
        return !isGap(ci95) && ci95[0] <= 0 && ci95[1] >= 0;
      };
      expect(times(400, () => covers(drawn(random, n)))).toBeGreaterThanOrEqual(0.93);
      // Differences of two skewed times are symmetric.
      const skewed = () => Math.exp(0.3 * random());
      expect(
        times(400, () => covers(Array.from({ length: n }, () => skewed() - skewed()))),
      ).toBeGreaterThanOrEqual(0.93);
    },
  );

  test('of ratios is a ratio, and turned round it is the other way round', () => {
    const ratios = [1.1, 1.2, 1.05, 1.3, 1.15, 1.25, 1.12].map(Math.log);
    const estimate = ratioEstimate(ratios);
    const other = ratioEstimate(ratios.map((value) => -value));
    expect(estimate.estimate * other.estimate).toBeCloseTo(1, 9);
    expect(ratioEstimate([2.5, 2.5].map(Math.log)).estimate).toBe(2.5);
  });

  test('of a hundred thousand values is found without their five billion means', () => {
    const values = drawn(normals(1), 100_000, 5);
    const { estimate, ci95 } = hodgesLehmann(values);
    expect(estimate).toBeCloseTo(5, 1);
    if (isGap(ci95)) throw new Error('a gap');
    expect(ci95[1] - ci95[0]).toBeCloseTo(
      (2 * 1.96 * Math.sqrt(Math.PI / 3)) / Math.sqrt(100_000),
      3,
    );
  });
});

describe('two samples that are no pairs', () => {
  test('have the exact p of tables', () => {
    // Every one of C(8, 4) = 70 choices alike; none is more extreme than all of one side above.
    expect(rankSum([5, 6, 7, 8], [1, 2, 3, 4])).toBeCloseTo(2 / 70, 12);
    expect(rankSum([5, 6, 7, 8], [1, 2, 3, 4], 'greater')).toBeCloseTo(1 / 70, 12);
    expect(rankSum([5, 6, 7, 8], [1, 2, 3, 4], 'less')).toBeCloseTo(1, 12);
    // R: wilcox.test(c(0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46), c(1.15, 0.88,
    // 0.90, 0.74, 1.21), alternative = "g")
    const [x, y] = [
      [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
      [1.15, 0.88, 0.9, 0.74, 1.21],
    ];
    expect(rankSum(x, y, 'greater')).toBeCloseTo(0.1272, 4);
    expect(rankSum([1, 1], [1, 1])).toBe(1);
    expect(rankSum([], [1])).toBe(1);
  });

  test('have the median of all differences as their shift', () => {
    expect(shift([4, 6], [1, 3])).toEqual({ estimate: 3, ci95: { gap: 'too-few-runs' } });
    const random = normals(4);
    const covers = (n: number) =>
      times(500, () => {
        const { ci95 } = shift(drawn(random, n, 2), drawn(random, n + 2));
        return !isGap(ci95) && ci95[0] <= 2 && ci95[1] >= 2;
      });
    for (const n of [6, 12, 40]) expect(covers(n), `n=${n}`).toBeGreaterThanOrEqual(0.93);
  });

  test('are called different in at most 5 % where they are not', () => {
    const random = normals(9);
    for (const n of [6, 10, 30, 40])
      expect(
        times(600, () => rankSum(drawn(random, n), drawn(random, n)) < ALPHA),
        `n=${n}`,
      ).toBeLessThan(0.075);
  });
});

describe('a family of tests', () => {
  test('is adjusted step by step (Holm)', () => {
    expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
    expect(holm([0.6, 0.7])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });

  test('has a least number of pairs', () => {
    expect(canReject(6, 1)).toBe(true);
    expect(canReject(5, 1)).toBe(false);
    expect([1, 2, 42, 56].map(fewestPairs)).toEqual([6, 7, 11, 12]);
  });
});

describe('equality', () => {
  test('is shown where ratios lie within the margin, and not by a lack of pairs', () => {
    const near = drawn(normals(2), 20, 0, 0.02);
    expect(equivalence(near)).toBeLessThan(ALPHA);
    expect(equivalence(near.slice(0, 3))).toBeGreaterThan(ALPHA);
    expect(equivalence(drawn(normals(2), 20, Math.log(1.2), 0.02))).toBeGreaterThan(0.9);
  });

  test('is not shown of a true difference at the margin in more than 5 %', () => {
    const random = normals(8);
    for (const n of [8, 20])
      expect(
        times(1500, () => equivalence(drawn(random, n, Math.log(1 + MARGIN), 0.01)) < ALPHA),
      ).toBeLessThan(0.065);
  });
});

describe('shares', () => {
  test("are compared by Fisher's exact test", () => {
    // The lady who tastes tea: 3 and 1 of 4.
    expect(fisher({ passed: 3, n: 4 }, { passed: 1, n: 4 }, 'greater')).toBeCloseTo(17 / 70, 12);
    expect(fisher({ passed: 3, n: 4 }, { passed: 1, n: 4 })).toBeCloseTo(34 / 70, 12);
    expect(fisher({ passed: 10, n: 10 }, { passed: 9, n: 10 })).toBe(1);
    expect(fisher({ passed: 10, n: 10 }, { passed: 3, n: 10 })).toBeCloseTo(0.003095975, 8);
    expect(fisher({ passed: 3, n: 10 }, { passed: 10, n: 10 }, 'greater')).toBe(1);
    expect(fisher({ passed: 0, n: 0 }, { passed: 5, n: 10 })).toBe(1);
  });

  test("have Wilson's interval", () => {
    const [low, high] = wilson({ passed: 10, n: 10 }) as [number, number];
    expect(low).toBeCloseTo(0.7225, 4);
    expect(high).toBe(1);
    expect(wilson({ passed: 0, n: 0 })).toEqual({ gap: 'not-reached' });
    expect((wilson({ passed: 5, n: 10 }) as number[])[0]).toBeCloseTo(0.2366, 4);
  });
});

describe('what a match could have seen', () => {
  test('is nothing below the fewest pairs, and less with every further pair above', () => {
    expect(detectableRatio(0.05, 10, ALPHA / 42)).toBeUndefined();
    const sizes = [11, 12, 15, 20, 50].map((n) => detectableRatio(0.05, n, ALPHA / 42) as number);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(noiseOf([1])).toEqual({ gap: 'too-few-runs' });
  });

  test.each([10, 20, 40])('is seen in some 90 of 100 matches of n=%i', (n) => {
    const ratio = detectableRatio(0.06, n, ALPHA) as number;
    const random = normals(n);
    const power = times(800, () => signedRank(drawn(random, n, Math.log(ratio), 0.06)) < ALPHA);
    expect(power).toBeGreaterThan(0.85);
    expect(power).toBeLessThan(0.95);
    expect(pairsNeeded(0.06, ratio + 1e-9, ALPHA)).toBeLessThanOrEqual(n);
    expect(pairsNeeded(0.06, ratio, ALPHA)).toBeGreaterThanOrEqual(n - 1);
  });
});
