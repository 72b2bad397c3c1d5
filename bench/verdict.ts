// The result of a benchmark: one line with its number, its confidence interval, its limit, and
// whether the limit is met.
import { summarize } from '../lib/statistics/summary.js';

export interface Verdict {
  name: string;
  /** The number that the limit applies to. */
  value: number;
  /** Bootstrap 95 % confidence interval, if the number is a median of samples. */
  ci95?: [number, number] | undefined;
  n: number;
  /** If absent, the number is only informational. */
  limit?: number;
  /** Whether the limit is a maximum or a minimum; `most` by default. */
  sense?: 'most' | 'least';
  unit: string;
  /** Additional context for the reader, on the same line. */
  note?: string;
  /** The samples that the number was computed from, by name; saved by `--save`. */
  samples?: Record<string, readonly number[]>;
}

export interface Options {
  /** Take only a few samples: to check that the benchmark works, not to quote. */
  quick: boolean;
  /** Number of samples, if the user set one. */
  count: number | undefined;
  /** Seed of random draws, if the user set one. */
  seed?: number | undefined;
  /** Index of the first sample, to repeat one of a series. */
  from?: number | undefined;
  /** Prints progress for the user. */
  say(line: string): void;
}

export interface Benchmark {
  about: string;
  run(options: Options): Promise<Verdict[]>;
}

function bound({ value, limit, sense, unit }: Verdict): string {
  if (limit === undefined) return '';
  const met = sense === 'least' ? value >= limit : value <= limit;
  return ` (${sense === 'least' ? 'at least' : 'limit'} ${short(limit)}${unit}) ${met ? 'met' : 'not met'}`;
}

export function lineOf(verdict: Verdict): string {
  const { name, value, ci95, n, unit, note } = verdict;
  const interval = ci95 === undefined ? '' : ` [${short(ci95[0])}–${short(ci95[1])}]`;
  return `${name}: ${short(value)}${unit}${interval} n=${n}${bound(verdict)}${note === undefined ? '' : `; ${note}`}`;
}

/** Formats a number with three or more significant digits. */
export function short(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/**
 * The seed of all intervals here, so that a benchmark's line can be recomputed from its samples.
 */
const SEED = 1;

/**
 * The median and its confidence interval; the interval is undefined for fewer than three samples.
 */
export function medianOf(samples: readonly number[]): {
  median: number;
  ci95: [number, number] | undefined;
} {
  const summary = summarize(samples, SEED);
  if ('gap' in summary) throw new Error('no samples');
  return { median: summary.median, ci95: 'gap' in summary.ci95 ? undefined : summary.ci95 };
}

/** Number of samples: what the user set, otherwise the usual number, or a few for a quick run. */
export function samples(options: Options, usual: number, few = 3): number {
  return options.count ?? (options.quick ? few : usual);
}
