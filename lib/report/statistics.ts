// Summaries of samples: tinybench's median and extremes, and a seeded bootstrap for the median's interval.
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { Bench } from 'tinybench';
import type { Gap } from '../record.js';
import type { Summary } from './document.js';

export type { Summary };

const RESAMPLES = 2000;
const ENOUGH = 3;

/** @param samples finished measurements in ms; a failed run has none */
export async function summarize(samples: readonly number[], seed: number): Promise<Summary | Gap> {
  if (samples.length === 0) return { gap: 'not-reached' };
  const { median, min, max } = await replay(samples);
  return {
    median,
    ci95: bootstrap(samples, seed),
    min,
    max,
    p95: { gap: 'too-few-runs' },
    p99: { gap: 'too-few-runs' },
    samples: [...samples],
  };
}

/** tinybench owns the formulas; the samples are ours, replayed through it. Async: it calls any other function once too often. */
async function replay(samples: readonly number[]): Promise<{ median: number; min: number; max: number }> {
  let next = 0;
  const bench = new Bench({ warmup: false, time: 0, iterations: samples.length, throws: true });
  bench.add('samples', async () => ({ overriddenDuration: samples[next++] as number }));
  const [task] = await bench.run();
  if (task?.result.state !== 'completed') throw new Error('tinybench did not complete');
  const { p50, min, max } = task.result.latency;
  return { median: p50, min, max };
}

function bootstrap(samples: readonly number[], seed: number): [number, number] | Gap {
  if (samples.length < ENOUGH) return { gap: 'too-few-runs' };
  const random = xoroshiro128plus(seed);
  const medians = Array.from({ length: RESAMPLES }, () =>
    medianOf(samples.map(() => samples[uniformInt(random, 0, samples.length - 1)] as number)),
  );
  medians.sort((a, b) => a - b);
  const at = (share: number) => medians[Math.min(RESAMPLES - 1, Math.floor(share * RESAMPLES))] as number;
  return [at(0.025), at(0.975)];
}

function medianOf(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
