// What a benchmark says in the end: one line, with its number, its interval, its limit, and whether that holds.
import { summarize } from '../lib/statistics/summary.js';

export interface Verdict {
  name: string;
  /** The one number that the limit is about. */
  value: number;
  /** Bootstrap 95 % interval, where the number is a median of samples. */
  ci95?: [number, number] | undefined;
  n: number;
  /** Absent: the number is told for its own sake. */
  limit?: number;
  /** Which side of the limit is good; `most` where not said. */
  sense?: 'most' | 'least';
  unit: string;
  /** What else a reader needs to judge it, on the same line. */
  note?: string;
  /** What the number was computed from, by name; `--save` keeps it. */
  samples?: Record<string, readonly number[]>;
}

export interface Options {
  /** A few samples only: to see that it works, not to quote. */
  quick: boolean;
  /** How many samples, where the user said so. */
  count: number | undefined;
  /** Of what is drawn at random, where the user said so. */
  seed?: number | undefined;
  /** Number of the first sample, to take one of a series again. */
  from?: number | undefined;
  /** Progress, for the person. */
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

/** Three or four significant digits. */
export function short(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** The seed of every interval here: a benchmark's line can be computed again from its samples. */
const SEED = 1;

/** Median and its interval; the interval is undefined under three samples. */
export function medianOf(samples: readonly number[]): { median: number; ci95: [number, number] | undefined } {
  const summary = summarize(samples, SEED);
  if ('gap' in summary) throw new Error('no samples');
  return { median: summary.median, ci95: 'gap' in summary.ci95 ? undefined : summary.ci95 };
}

/** How many samples: what the user said, else the usual number, or a few. */
export function samples(options: Options, usual: number, few = 3): number {
  return options.count ?? (options.quick ? few : usual);
}
