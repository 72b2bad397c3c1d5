// Events of a match that never was, so that what is made of them can be known beforehand.
import type { Clocks, Entry, EventOf, MatchEvent, Outcome } from '../../lib/record/types.js';

const GAP = { gap: 'not-reached' } as const;

const NOWHERE: Clocks = {
  image: { gap: 'not-applicable' },
  launch: GAP,
  firstProcess: GAP,
  startup: GAP,
  work: GAP,
  model: GAP,
  exit: GAP,
  collect: GAP,
  teardown: GAP,
  total: GAP,
};

/**
 * Every event has copies of its own, as those that are read back have: nothing may hold them equal
 * by being one.
 */
export const VERSIONS = { cagematch: '0.1.0', agent: '2.1.329', node: 'v20.20.2' };
export const HOST = {
  cpu: 'A CPU',
  cores: 2,
  memoryGiB: 8,
  kernel: '6.1.0',
  os: 'Debian',
  cgroup: 'v2',
  virtualization: 'none',
};

export const started = (change: Partial<EventOf<'match-started'>> = {}): MatchEvent => ({
  type: 'match-started',
  atMs: 0,
  schemaVersion: 1,
  match: '20261121-040000-abcd',
  startedAt: '2026-11-21T04:00:00.000Z',
  seed: 7,
  runs: 3,
  until: 'count',
  concurrency: 1,
  warmup: 0,
  model: 'replay',
  modelWhy: '--model replay',
  task: 'hello',
  state: 'prepared',
  versions: { ...VERSIONS },
  host: { ...HOST },
  ...change,
});

export const ended = (how: EventOf<'match-ended'>['how'] = 'done'): MatchEvent => ({
  type: 'match-ended',
  atMs: 9000,
  endedAt: '2026-11-21T04:00:09.000Z',
  how,
});

/** A row, as it was detected and entered. */
export function row(entry: string, change: Partial<Entry> = {}): MatchEvent[] {
  const [mode = entry, variant] = entry.split(':');
  const known = {
    entry,
    mode,
    ...(variant === undefined ? {} : { variant }),
    letter: 'A',
    title: mode,
    isolation: 'container',
    workspace: 'bind',
    options: {},
    state: 'prepared',
    task: 'hello',
    required: false,
    standIn: false,
    ...change,
  } as const;
  return [
    {
      type: 'detected',
      atMs: 1,
      mode,
      letter: known.letter,
      title: known.title,
      isolation: known.isolation,
      detection: { status: 'ready', version: '1.2.3', facts: {} },
    },
    { type: 'entered', atMs: 2, ...known },
  ];
}

export const baseline = () => row('host', { letter: '-', title: 'Host', isolation: 'none' });

export const FAILED: Outcome = {
  status: 'failed',
  cause: 'agent',
  message: 'the agent ended with exit code 3',
};

/** One run. @param clocks what is not given was not reached */
export function ran(
  entry: string,
  round: number,
  clocks: Partial<Clocks> = {},
  change: Partial<EventOf<'run-ended'>> = {},
): EventOf<'run-ended'> {
  return {
    type: 'run-ended',
    atMs: 100 * round,
    run: `${entry}#${round}`,
    entry,
    round,
    warmup: false,
    level: 1,
    cost: { gap: 'not-captured' },
    outcome: { status: 'passed' },
    clocks: { ...NOWHERE, ...clocks },
    auth: { path: 'env', delivered: 'authorization (oauth)' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftovers: [],
    planted: [],
    ...change,
  };
}
