// Matches whose true times are known, drawn at random and folded by the product's own fold: how often is what the report states false?
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { roundMs } from '../lib/clock.js';
import { type Entry, type MatchEvent, SCHEMA_VERSION } from '../lib/record.js';
import type { Report } from '../lib/report/document.js';
import { createFold } from '../lib/report/fold.js';

/** The true times of one row in ms, before any noise. */
export interface TrueRow {
  isolation: Entry['isolation'];
  startup: number;
  work: number;
  end: number;
}

/** Standard deviations of the logarithm. */
export interface Noise {
  /** Of one run. */
  run: number;
  /** Of a whole round: all rows of a round are slower or faster together. */
  round: number;
}

const STARTED = {
  type: 'match-started',
  atMs: 0,
  schemaVersion: SCHEMA_VERSION,
  match: '20260101-000000-0000',
  startedAt: '2026-01-01T00:00:00.000Z',
  until: 'count',
  warmup: 0,
  concurrency: 1,
  model: 'replay',
  modelWhy: 'a simulated match',
  task: 'hello',
  state: 'prepared',
  versions: { cagematch: '0', agent: '0', node: process.version },
  host: { cpu: 'simulated', cores: 2, memoryGiB: 8, kernel: '0', os: 'simulated', cgroup: 'v2', virtualization: 'none' },
} as const;

/** Every run passes, and every number of a row is its true one but for the noise. */
export function simulateMatch(rows: Record<string, TrueRow>, rounds: number, noise: Noise, seed: number): Report {
  const normal = normals(seed);
  const fold = createFold();
  // One seed for the intervals of all matches: what is resampled for them is drawn once.
  fold.push({ ...STARTED, seed: 1, runs: rounds });
  for (const [entry, { isolation }] of Object.entries(rows)) for (const event of entered(entry, isolation)) fold.push(event);
  for (let round = 1; round <= rounds; round += 1) {
    fold.push({ type: 'round-started', atMs: round, round, order: Object.keys(rows) });
    const pace = noise.round * normal();
    for (const [entry, row] of Object.entries(rows)) {
      const time = (ms: number) => roundMs(ms * Math.exp(pace + noise.run * normal()));
      // What comes after the first request has a noise of its own, so that startup and total are two measurements.
      fold.push(ran(entry, round, { startup: time(row.startup), work: time(row.work), end: time(row.end) }));
    }
  }
  fold.push({ type: 'match-ended', atMs: rounds + 1, endedAt: '2026-01-01T01:00:00.000Z', how: 'done' });
  return fold.finish();
}

function entered(entry: string, isolation: Entry['isolation']): MatchEvent[] {
  const [mode = entry, label] = entry.split('@');
  const common = { mode, letter: '-', title: mode, isolation };
  return [
    { type: 'detected', atMs: 0, ...common, detection: { status: 'ready', version: '0', facts: {} } },
    {
      type: 'entered',
      atMs: 0,
      entry,
      ...common,
      ...(label === undefined ? {} : { label }),
      options: {},
      state: 'prepared',
      task: 'hello',
      workspace: 'bind',
      required: false,
      standIn: false,
    },
  ];
}

function ran(entry: string, round: number, { startup, work, end }: { startup: number; work: number; end: number }): MatchEvent {
  return {
    type: 'run-ended',
    atMs: round,
    run: `${entry}#${round}`,
    entry,
    round,
    warmup: false,
    level: 1,
    outcome: { status: 'passed' },
    clocks: {
      image: { gap: 'not-applicable' },
      launch: 0,
      firstProcess: 0,
      startup,
      work,
      model: 0,
      exit: end,
      collect: 0,
      teardown: 0,
      total: startup + work + end,
    },
    cost: { gap: 'not-captured' },
    auth: { path: 'gateway', delivered: 'yes' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftovers: [],
    planted: [],
  };
}

/** Independent draws of a standard normal (Box and Muller). */
function normals(seed: number): () => number {
  const random = xoroshiro128plus(mixed(seed));
  const uniform = () => (random.next() >>> 0) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Neighbouring seeds give unrelated draws (splitmix32). */
function mixed(seed: number): number {
  let state = (seed + 0x9e3779b9) | 0;
  state = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
  state = Math.imul(state ^ (state >>> 15), 0x735a2d97);
  return state ^ (state >>> 15);
}
