// Writes a record like that of a very long match: seven rows, all phases, varying times, some
// failed runs.
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { roundMs } from '../lib/clock.js';
import { eventSchema, type MatchEvent, SCHEMA_VERSION } from '../lib/record/types.js';

const PHASES = ['launch', 'work', 'collect', 'destroy'] as const;
/**
 * Name and startup (in ms) of each row; no runtime has these names, so that nobody mistakes the
 * numbers for measurements.
 */
const ROWS: [string, number][] = [
  ['alpha', 400],
  ['beta', 700],
  ['gamma', 610],
  ['gamma:one', 1530],
  ['delta', 560],
  ['delta:two', 520],
  ['epsilon', 930],
];
const CHUNK = 1 << 20;

/**
 * @param count number of events, including the first and the last of the match
 * @param write called with complete lines, about 1 MiB at a time
 */
export function writeLongRecord(count: number, write: (text: string) => void): void {
  const random = xoroshiro128plus(1);
  /** A factor around 1 with a tail to the right, like the distribution of startups. */
  const scatter = () =>
    0.9 + uniformInt(random, 0, 2000) / 10_000 + (uniformInt(random, 0, 99) === 0 ? 0.5 : 0);
  let waiting = '';
  let written = 0;
  let atMs = 0;
  const emit = (event: MatchEvent) => {
    // Only the first 200 events are validated against the schema; validating a million would
    // benchmark the writer.
    if (written < 200) eventSchema.parse(event);
    waiting += `${JSON.stringify(event)}\n`;
    written += 1;
    if (waiting.length > CHUNK) {
      write(waiting);
      waiting = '';
    }
  };
  const now = (passedMs = 0.01) => {
    atMs = roundMs(atMs + passedMs);
    return atMs;
  };

  emit({
    type: 'match-started',
    atMs: 0,
    schemaVersion: SCHEMA_VERSION,
    match: '20260101-000000-0000',
    startedAt: '2026-01-01T00:00:00.000Z',
    seed: 1,
    runs: Math.ceil(count / (1 + ROWS.length * (PHASES.length + 2))),
    until: 'count',
    warmup: 0,
    concurrency: 1,
    model: 'replay',
    modelWhy: 'a record made for a benchmark',
    task: 'hello',
    state: 'prepared',
    versions: { cagematch: '0', agent: '0', node: process.version },
    host: {
      cpu: 'none',
      cores: 1,
      memoryGiB: 1,
      kernel: '0',
      os: 'none',
      cgroup: 'v2',
      virtualization: 'none',
    },
  });
  for (const [entry] of ROWS) {
    const [mode = '', variant] = entry.split(':');
    emit({
      type: 'entered',
      atMs: now(),
      entry,
      mode,
      ...(variant === undefined ? {} : { variant }),
      options: {},
      state: 'prepared',
      task: 'hello',
      letter: 'X',
      title: entry,
      isolation: entry === 'alpha' ? 'none' : 'container',
      workspace: 'bind',
      required: false,
      standIn: false,
    });
    emit({ type: 'prepared', atMs: now(), entry, imageMs: 12 });
  }
  for (let round = 1; written < count - 1; round += 1) {
    emit({ type: 'round-started', atMs: now(), round, order: ROWS.map(([entry]) => entry) });
    for (const [entry, startupMs] of ROWS) {
      const run = `${entry}#${round}`;
      const startup = roundMs(startupMs * scatter());
      const steps: MatchEvent[] = [
        { type: 'run-started', atMs: now(), run, entry, round, warmup: false, level: 1 },
        ...PHASES.map(
          (phase): MatchEvent => ({ type: 'phase', atMs: now(startup / 3), run, phase }),
        ),
        ended(
          entry,
          run,
          round,
          { startup, atMs: now(1) },
          scatter,
          uniformInt(random, 0, 999) === 0,
        ),
      ];
      for (const step of steps) if (written < count - 1) emit(step);
    }
  }
  emit({ type: 'match-ended', atMs: now(), endedAt: '2026-01-02T00:00:00.000Z', how: 'done' });
  write(waiting);
}

function ended(
  entry: string,
  run: string,
  round: number,
  at: { startup: number; atMs: number },
  scatter: () => number,
  failed: boolean,
): MatchEvent {
  const ms = (usual: number) => roundMs(usual * scatter());
  const work = ms(180);
  const exit = ms(90);
  return {
    type: 'run-ended',
    atMs: at.atMs,
    run,
    entry,
    round,
    warmup: false,
    level: 1,
    outcome: failed
      ? { status: 'failed', cause: 'agent', message: 'the agent ended with exit code 1' }
      : { status: 'passed' },
    clocks: {
      image: { gap: 'not-applicable' },
      launch: ms(200),
      firstProcess: ms(205),
      startup: at.startup,
      work,
      model: ms(6),
      exit,
      collect: 0.01,
      teardown: ms(2),
      total: roundMs(at.startup + work + exit + 2),
    },
    cost: {
      memoryPeakBytes: Math.round(ms(300_000_000)),
      cpuUserMs: ms(500),
      cpuSystemMs: ms(120),
    },
    auth: { path: 'env', delivered: 'authorization (oauth)' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftovers: [],
    planted: [],
  };
}
