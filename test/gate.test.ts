// The gate on simulated matches, whose truth is known: a few of those that `npm run bench -- gate` counts.
import { expect, test } from 'vitest';
import { judgePair } from '../bench/gate.js';

const FEW = 8;
const seeds = (from: number) => Array.from({ length: FEW }, (_, index) => from + index);

test('pairs of matches between which nothing changed but the pace of the machine do not fail', () => {
  for (const seed of seeds(0)) expect(judgePair(seed, 0).failed).toEqual({ 0: [], 5: [], 10: [] });
});

test('a row that takes 20 % longer fails at a limit of 10 %, and no other does', () => {
  const failing = seeds(100).flatMap((seed) => judgePair(seed, 20).failed[10] ?? []);
  expect(new Set(failing.map((one) => one.split(' ')[0]))).toEqual(new Set(['docker']));
  expect(failing.filter((one) => one === 'docker total').length).toBeGreaterThanOrEqual(FEW - 1);
});
