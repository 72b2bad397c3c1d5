// Simulated matches whose true times are known, drawn at random and folded by the product's own
// code: how often is the report wrong?
import { roundMs } from '../lib/clock.js';
import { type Entry, type EventOf, type MatchEvent, SCHEMA_VERSION } from '../lib/record/types.js';
import type { Report } from '../lib/report/document.js';
import { createFold } from '../lib/report/fold.js';
import { randomFrom } from './random.js';

/** The true times of one row, in ms, without noise. */
export interface TrueRow {
  isolation: Entry['isolation'];
  startup: number;
  work: number;
  end: number;
  /** The task that the row runs; `hello` by default. */
  task?: string;
}

/** Standard deviations of the logarithm. */
export interface Noise {
  /** Noise of a single run. */
  run: number;
  /** Noise of a whole round: all rows of a round are slower or faster together. */
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
  host: {
    cpu: 'simulated',
    cores: 2,
    memoryGiB: 8,
    kernel: '0',
    os: 'simulated',
    cgroup: 'v2',
    virtualization: 'none',
  },
} as const;

/** Simulates a match in which every run passes and every time is the true one plus noise. */
export function simulateMatch(
  rows: Record<string, TrueRow>,
  rounds: number,
  noise: Noise,
  seed: number,
): Report {
  const { normal } = randomFrom(seed);
  const fold = createFold();
  fold.push(started(rounds));
  for (const [entry, row] of Object.entries(rows))
    for (const event of entered(entry, row)) fold.push(event);
  for (let round = 1; round <= rounds; round += 1) {
    fold.push({ type: 'round-started', atMs: round, round, order: Object.keys(rows) });
    const pace = noise.round * normal();
    for (const [entry, row] of Object.entries(rows)) {
      const time = (ms: number) => roundMs(ms * Math.exp(pace + noise.run * normal()));
      // The time after the first request has independent noise, so that startup and total are two
      // measurements.
      fold.push(
        ran(entry, round, { startup: time(row.startup), work: time(row.work), end: time(row.end) }),
      );
    }
  }
  fold.push(ended(rounds));
  return fold.finish();
}

/** All matches have the same seed for intervals, so that the resampling is drawn only once. */
export const started = (rounds: number, more: { match?: string } = {}): MatchEvent => ({
  ...STARTED,
  seed: 1,
  runs: rounds,
  ...more,
});

export const ended = (rounds: number): MatchEvent => ({
  type: 'match-ended',
  atMs: rounds + 1,
  endedAt: '2026-01-01T01:00:00.000Z',
  how: 'done',
});

export function entered(
  entry: string,
  { isolation, task = 'hello' }: Pick<TrueRow, 'isolation' | 'task'>,
): MatchEvent[] {
  const [mode = entry, label] = entry.split('@');
  const common = { mode, letter: '-', title: mode, isolation };
  return [
    {
      type: 'detected',
      atMs: 0,
      ...common,
      detection: { status: 'ready', version: '0', facts: {} },
    },
    {
      type: 'entered',
      atMs: 0,
      entry,
      ...common,
      ...(label === undefined ? {} : { label }),
      options: {},
      state: 'prepared',
      task,
      workspace: 'bind',
      required: false,
      standIn: false,
    },
  ];
}

export function ran(
  entry: string,
  round: number,
  { startup, work, end }: { startup: number; work: number; end: number },
  outcome: EventOf<'run-ended'>['outcome'] = { status: 'passed' },
): MatchEvent {
  return {
    type: 'run-ended',
    atMs: round,
    run: `${entry}#${round}`,
    entry,
    round,
    warmup: false,
    level: 1,
    outcome,
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
