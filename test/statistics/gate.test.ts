// The gate on simulated matches, whose truth is known: a few of those that `npm run bench -- gate`
// counts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { judgePair, LIMITS, type Sample } from '../../bench/gate.js';
import { packageRoot } from '../../lib/package.js';

const FEW = 8;
const seeds = (from: number) => Array.from({ length: FEW }, (_, index) => from + index);

test('pairs of matches between which nothing changed but the pace of the machine do not fail', () => {
  for (const seed of seeds(0)) expect(judgePair(seed, 0).failed).toEqual({ 0: [], 5: [], 10: [] });
});

test('a row that takes 20 % longer fails at a limit of 10 %, and no other does', () => {
  const failing = seeds(100).flatMap((seed) => judgePair(seed, 20).failed[10] ?? []);
  expect(new Set(failing.map((name) => name.split(' ')[0]))).toEqual(new Set(['docker']));
  expect(failing.filter((name) => name === 'docker total').length).toBeGreaterThanOrEqual(FEW - 1);
});

test('the samples of the benchmark are what this code makes of their seeds, and they hold the promise', () => {
  const kept: Record<'unchanged' | 'slower', Sample[]> = JSON.parse(
    readFileSync(join(packageRoot, 'bench/samples/gate.json'), 'utf8'),
  );
  const [unchanged, slower] = [kept.unchanged[0], kept.slower[0]] as [Sample, Sample];
  expect(judgePair(unchanged.seed, 0)).toEqual(unchanged);
  expect(judgePair(slower.seed, 20)).toEqual(slower);
  const share = (all: Sample[], limit: number) =>
    all.filter(({ failed }) => (failed[limit] ?? []).length > 0).length / all.length;
  for (const limit of LIMITS) expect(share(kept.unchanged, limit)).toBeLessThanOrEqual(0.02);
  for (const limit of [5, 10]) expect(share(kept.slower, limit)).toBeGreaterThanOrEqual(0.95);
});
