// Matches that never ran: events with times drawn at random, folded by the product's own code, so that the truth is known beforehand.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Clocks, MatchEvent } from '../lib/record.js';
import type { Side } from '../lib/report/compare/compare.js';
import { createFold } from '../lib/report/fold.js';

export interface Simulation {
  seed: number;
  match: string;
  rounds: number;
  /** The first one is the baseline. */
  rows: readonly string[];
  /** How many times as long as on another day everything takes. */
  machine: number;
  /** How many times as long as usual a row takes; rows that are not named: once. */
  factors?: Record<string, number>;
}

/**
 * Deviations of the logarithm of a time. In three real matches of seven rows the noise of a run's startup was 2.8, 4.5 and 5.3 %, the
 * rounds' own 1.4, 2.4 and 5.3 %, and startup, work and end of one run went together little (correlations from -0.2 to 0.3).
 */
export const NOISE = { run: 0.045, round: 0.03, machine: 0.05, shared: 0.2, failures: 0.01 };

/** Of the baseline, in ms. */
const USUAL = { startup: 500, work: 190, end: 60 };

export function simulateMatch({ seed, match, rounds, rows, machine, factors = {} }: Simulation): Side {
  const random = randomFrom(seed);
  const fold = createFold();
  const push = (event: MatchEvent) => fold.push(event);
  push({
    type: 'match-started',
    atMs: 0,
    schemaVersion: 1,
    match,
    startedAt: '2026-11-21T04:00:00.000Z',
    // The order of rounds plays no part here: one seed for all, whose resamples are then drawn once.
    seed: 1,
    runs: rounds,
    until: 'count',
    concurrency: 1,
    warmup: 1,
    model: 'replay',
    modelWhy: 'simulated',
    task: 'hello',
    state: 'prepared',
    versions: { cagematch: '0', agent: '0', node: '0' },
    host: { cpu: 'simulated', cores: 2, memoryGiB: 8, kernel: '0', os: 'none', cgroup: 'v2', virtualization: 'none' },
  });
  for (const [index, entry] of rows.entries())
    push({
      type: 'entered',
      atMs: 0,
      entry,
      mode: entry,
      letter: 'A',
      title: entry,
      isolation: index === 0 ? 'none' : 'container',
      workspace: 'bind',
      options: {},
      state: 'prepared',
      task: 'hello',
      required: false,
      standIn: false,
    });
  for (let round = 1; round <= rounds; round += 1) {
    const pace = machine * Math.exp(NOISE.round * random.normal());
    for (const [index, entry] of rows.entries()) {
      const usual = pace * (factors[entry] ?? 1) * (index === 0 ? 1 : 1.1 + index / 10);
      const whole = random.normal();
      const drawn = (ms: number) =>
        ms * usual * Math.exp(NOISE.run * (Math.sqrt(NOISE.shared) * whole + Math.sqrt(1 - NOISE.shared) * random.normal()));
      const clocks = clocksOf(drawn(USUAL.startup), drawn(USUAL.work), drawn(USUAL.end));
      push(runOf(entry, round, clocks, random.uniform() < NOISE.failures));
    }
  }
  push({ type: 'match-ended', atMs: 1, endedAt: '2026-11-21T04:10:00.000Z', how: 'done' });
  return { report: fold.finish(), tallyOf: fold.tallyOf };
}

export function randomFrom(seed: number): { uniform(): number; normal(): number } {
  // Its first numbers resemble those of neighbouring seeds.
  const generator = xoroshiro128plus(Math.imul(seed + 1, 0x9e3779b1));
  const uniform = () => uniformFloat64(generator);
  for (let skipped = 0; skipped < 20; skipped += 1) uniform();
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
}

function clocksOf(startup: number, work: number, end: number): Clocks {
  const none = { gap: 'not-reached' } as const;
  const total = startup + work + end;
  return {
    ...{ image: { gap: 'not-applicable' }, launch: none, firstProcess: none, startup, work, model: 0 },
    ...{ exit: end, collect: 0, teardown: 0, total },
  };
}

function runOf(entry: string, round: number, clocks: Clocks, failed: boolean): MatchEvent {
  return {
    type: 'run-ended',
    atMs: 0,
    run: `${entry}#${round}`,
    entry,
    round,
    warmup: false,
    level: 1,
    cost: { gap: 'not-captured' },
    outcome: failed ? { status: 'failed', cause: 'sandbox', message: 'simulated' } : { status: 'passed' },
    clocks,
    auth: { path: 'env', delivered: 'yes' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftovers: [],
    planted: [],
  };
}
