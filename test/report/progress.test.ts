// What a person sees while a match runs: one live line at a terminal, and little elsewhere.
import { describe, expect, test } from 'vitest';
import type { EventOf, MatchEvent } from '../../lib/record/types.js';
import { createProgress } from '../../lib/report/terminal/progress.js';
import { remainingText } from '../../lib/report/terminal/remaining.js';
import { FAILED, ran, row, started } from '../support/hand-made-record.js';

const at = <E extends MatchEvent>(event: E, atMs: number): E => ({ ...event, atMs });

/** Every run takes as long as its row says. */
function rounds(rows: Record<string, number>, count: number, fromMs = 0, first = 1): MatchEvent[] {
  let now = fromMs;
  return Array.from({ length: count }, (_, index) => first + index).flatMap((round) => [
    at({ type: 'round-started', round, order: Object.keys(rows), atMs: 0 } as const, now),
    ...Object.entries(rows).flatMap(([entry, ms]): MatchEvent[] => {
      const run = `${entry}#${round}`;
      const begun = now;
      now += ms;
      return [
        { type: 'run-started', atMs: begun, run, entry, round, warmup: false, level: 1 },
        { type: 'phase', atMs: begun, run, phase: 'work' },
        at(ran(entry, round), now),
      ];
    }),
  ]);
}

function wave(
  entry: string,
  level: number,
  round: number,
  fromMs: number,
  ms: number,
): MatchEvent[] {
  const runs = Array.from({ length: level }, (_, place) => ({
    run: `${entry}*${level}#${round}.${place + 1}`,
    entry,
    round,
    warmup: false,
    level,
  }));
  return [
    ...runs.map((change): MatchEvent => ({ type: 'run-started', atMs: fromMs, ...change })),
    ...runs.map((change) => at(ran(entry, round, {}, change), fromMs + ms / 2)),
    {
      type: 'wave-ended',
      atMs: fromMs + ms,
      entry,
      round,
      warmup: false,
      level,
      wallMs: ms,
      passed: level,
    },
  ];
}

function progressOf(
  events: MatchEvent[],
  { live = false, columns = 100 }: { live?: boolean; columns?: number } = {},
) {
  let written = '';
  const progress = createProgress(
    (text) => (written += text),
    live,
    () => columns,
  );
  for (const event of events) progress.onEvent(event);
  return { written: () => written, lines: () => written.split('\n').slice(0, -1), progress };
}

/** The live line as it stood after each event. */
const statuses = (events: MatchEvent[], columns?: number) =>
  progressOf(events, { live: true, ...(columns === undefined ? {} : { columns }) })
    .written()
    .split(/[\r\n]/)
    .map((text) => text.trimEnd())
    .filter((text) => text !== '');

const failure = (round: number): EventOf<'run-ended'> =>
  ran('docker', round, {}, { outcome: FAILED });

describe('where it is no terminal', () => {
  test('a match is its first line and one for each of a few rounds; no run that passed has its own', () => {
    const { lines } = progressOf([
      started(),
      ...row('host'),
      ...row('docker'),
      ...rounds({ host: 1000, docker: 2000 }, 3),
      end(),
    ]);
    expect(lines()).toEqual([
      'match 20261121-040000-abcd: model replay (--model replay)',
      'round 1 of 3: 2 of 2 runs passed so far, about 10 s left',
      'round 2 of 3: 4 of 4 runs passed so far, a few seconds left',
      'round 3 of 3: 6 of 6 runs passed so far',
    ]);
  });

  test('a thousand rounds are ten lines', () => {
    const { lines } = progressOf([
      started({ runs: 1000 }),
      ...row('host'),
      ...rounds({ host: 1000 }, 1000),
      end(),
    ]);
    expect(lines()).toHaveLength(11);
    expect(lines()[1]).toBe('round 100 of 1000: 100 of 100 runs passed so far, about 15 min left');
    expect(lines().at(-1)).toBe('round 1000 of 1000: 1000 of 1000 runs passed so far');
  });

  test('what failed, warned, took long to prepare or could not be prepared has a line at once', () => {
    const { lines } = progressOf([
      started({ runs: 1 }),
      ...row('docker'),
      { type: 'prepared', atMs: 1, entry: 'docker', imageMs: 41_200 },
      {
        type: 'unprepared',
        atMs: 1,
        entry: 'podman',
        outcome: { status: 'failed', cause: 'image', message: 'no base image' },
      },
      { type: 'level-left-out', atMs: 1, entry: 'docker', level: 16, reason: 'not memory enough' },
      { type: 'warning', atMs: 1, code: 'x', message: 'something was left' },
      { type: 'round-started', atMs: 1, round: 1, order: ['docker'] },
      failure(1),
    ]);
    expect(lines().slice(1)).toEqual([
      'docker: prepared in 41.2 s',
      'podman: not prepared: no base image',
      'docker: 16 at once left out: not memory enough',
      'warning: something was left',
      'docker#1 failed: agent: the agent ended with exit code 3',
    ]);
  });

  test('a row that fails in one way all the time is told three times', () => {
    const other = ran(
      'docker',
      9,
      {},
      { outcome: { status: 'failed', cause: 'timeout', message: 'too long' } },
    );
    const { lines } = progressOf([
      started(),
      ...Array.from({ length: 8 }, (_, round) => failure(round + 1)),
      other,
    ]);
    expect(lines().slice(1)).toEqual([
      'docker#1 failed: agent: the agent ended with exit code 3',
      'docker#2 failed: agent: the agent ended with exit code 3',
      'docker#3 failed: agent: the agent ended with exit code 3 (more like this of docker are not shown)',
      'docker#9 failed: timeout: too long',
    ]);
  });

  test('what is waited for is not shown, and nothing is written over', () => {
    const { written, progress } = progressOf([
      started(),
      ...row('host'),
      ...rounds({ host: 10 }, 2),
    ]);
    progress.waiting('looking for runtimes');
    progress.end();
    expect(written()).not.toMatch(/\r|looking|preparing/);
  });

  test('a run of warm-up counts in no line, but its failure has one', () => {
    const warm = ran('host', 1, {}, { warmup: true, outcome: FAILED });
    const { lines } = progressOf([
      started({ runs: 1, warmup: 1 }),
      ...row('host'),
      { type: 'round-started', atMs: 0, round: 1, order: ['host'] },
      warm,
      ...rounds({ host: 10 }, 1, 100, 2),
      end(),
    ]);
    expect(lines().slice(1)).toEqual([
      'host#1 failed: agent: the agent ended with exit code 3',
      'round 1 of 1: 1 of 1 runs passed so far',
    ]);
  });

  test('what a runtime said cannot move the cursor', () => {
    const message = 'gone\r\u001b[2Kwrong\b';
    const { written } = progressOf([
      started(),
      ran('host', 1, {}, { outcome: { status: 'failed', cause: 'sandbox', message } }),
    ]);
    expect(written()).toContain('host#1 failed: sandbox: gone wrong');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(written()).not.toMatch(/[\u001b\b\r]/);
  });
});

describe('at a terminal', () => {
  test('one line says the round, what runs now, and takes itself away', () => {
    const { written, lines, progress } = progressOf(
      [started(), ...row('host'), ...rounds({ host: 10 }, 2)],
      { live: true },
    );
    expect(lines()).toHaveLength(1);
    expect(written()).toContain('\rround 1 of 3 · host#1 work');
    progress.end();
    expect(written()).toMatch(/\r *\r$/);
  });

  test('it says what is prepared while nothing runs yet', () => {
    const shown = statuses([
      started(),
      ...row('docker'),
      ...row('podman'),
      { type: 'prepared', atMs: 1, entry: 'docker', imageMs: 1 },
    ]);
    expect(shown.slice(1)).toEqual([
      'preparing docker',
      'preparing docker and podman',
      'preparing podman',
    ]);
  });

  test.each([100, 40, 12, 2])(
    'it never is as wide as the %i columns there are, so that it cannot wrap',
    (columns) => {
      const name = 'docker:io.containerd.kata-with-a-very-long-name-of-a-runtime.v2';
      const { written } = progressOf(
        [started(), ...row(name), ...rounds({ [name]: 1000, host: 1000 }, 3)],
        { live: true, columns },
      );
      const drawn = written().split('\n').slice(1).join('').split('\r');
      expect(drawn.length).toBeGreaterThan(2);
      for (const text of drawn) expect(text.length, text).toBeLessThan(columns);
    },
  );

  test('every shorter text covers all of the longer one before it', () => {
    const { progress, written } = progressOf([], { live: true });
    progress.waiting('a long text');
    progress.waiting('short');
    expect(written()).toBe('\ra long text\rshort      ');
  });

  test('a line from elsewhere stands above it, and the live line comes back', () => {
    const { progress, written } = progressOf([], { live: true });
    progress.waiting('now');
    progress.say('built');
    expect(written()).toBe('\rnow\r   \rbuilt\n\rnow');
  });

  test('warm-up and rounds that may end early are called that', () => {
    const warm = statuses([
      started({ warmup: 2 }),
      { type: 'round-started', atMs: 0, round: 2, order: ['host'] },
      begun('host', 2),
    ]);
    expect(warm.at(-1)).toBe('warm-up 2 of 2 · host#2');
    const auto = statuses([started({ runs: 50, until: 'precise' }), ...rounds({ host: 3000 }, 2)]);
    expect(auto.at(-1)).toBe('round 2 of at most 50, at most 3 min left · host#2');
  });
});

describe('the time that is left', () => {
  const withLeft = (events: MatchEvent[]) =>
    statuses(events).map((text) => /, (.* left) ·/.exec(text)?.[1]);

  test('is not guessed before every row has run once', () => {
    const [first = [], second = []] = [
      rounds({ host: 10_000, docker: 20_000 }, 1),
      rounds({ host: 10_000, docker: 20_000 }, 1, 30_000, 2),
    ];
    const guesses = withLeft([started(), ...first, ...second]);
    const known = guesses.findIndex((guess) => guess !== undefined);
    expect(statuses([started(), ...first])[known - 1]).toBe('round 1 of 3 · docker#1 work');
    expect(guesses[known]).toBe('about 60 s left');
    expect(guesses.at(-1)).toBe('about 30 s left');
  });

  test('goes down while a run goes on, but no further than that run takes', () => {
    const before: MatchEvent[] = [
      started({ runs: 2 }),
      ...rounds({ host: 30_000 }, 1),
      { type: 'round-started', atMs: 30_000, round: 2, order: ['host'] } satisfies MatchEvent,
    ];
    const during = (atMs: number) =>
      withLeft([
        ...before,
        begun('host', 2, 30_000),
        { type: 'phase', atMs, run: 'host#2', phase: 'work' },
      ]).at(-1);
    expect(during(30_000)).toBe('about 30 s left');
    expect(during(50_000)).toBe('about 10 s left');
    expect(during(300_000)).toBe('a few seconds left');
    const two = { host: 30_000, docker: 30_000 };
    const hangs: MatchEvent = { type: 'phase', atMs: 900_000, run: 'host#2', phase: 'work' };
    const second: MatchEvent = {
      type: 'round-started',
      atMs: 60_000,
      round: 2,
      order: ['host', 'docker'],
    };
    expect(
      withLeft([
        started({ runs: 2 }),
        ...rounds(two, 1),
        second,
        begun('host', 2, 60_000),
        hangs,
      ]).at(-1),
    ).toBe('about 30 s left');
  });

  test('counts a wave of a burst as one, by its own length, and no level that was left out', () => {
    const order = ['docker', 'docker*4', 'docker*8'];
    const events: MatchEvent[] = [
      started({ runs: 3, concurrency: 8 }),
      { type: 'round-started', atMs: 0, round: 1, order },
      begun('docker', 1),
      at(ran('docker', 1), 2000),
      {
        type: 'wave-ended',
        atMs: 2000,
        entry: 'docker',
        round: 1,
        warmup: false,
        level: 1,
        wallMs: 2000,
        passed: 1,
      },
      ...wave('docker', 4, 1, 2000, 8000),
      {
        type: 'level-left-out',
        atMs: 10_000,
        entry: 'docker',
        level: 8,
        reason: 'not memory enough',
      },
      { type: 'round-started', atMs: 10_000, round: 2, order },
      begun('docker', 2, 10_000),
    ];
    const shown = statuses(events);
    expect(shown).toContain('round 1 of 3 · docker, 4 at once: 2 of 4 ended');
    expect(shown.at(-1)).toBe('round 2 of 3, about 20 s left · docker#2');
  });

  test('is nothing after rounds that have settled', () => {
    const settled: MatchEvent = { type: 'settled', atMs: 9000, round: 3, how: 'precise', wide: [] };
    const { lines } = progressOf([
      started({ runs: 50, until: 'precise' }),
      ...rounds({ host: 3000 }, 3),
      settled,
      end(),
    ]);
    expect(lines().at(-1)).toBe('settled after 3 rounds: every ratio of startups is known to ±5 %');
    const none: MatchEvent = { type: 'settled', atMs: 9000, round: 3, how: 'limit', wide: [] };
    expect(
      progressOf([started({ runs: 3, until: 'precise' }), none])
        .lines()
        .at(-1),
    ).toBe('not settled after 3 rounds, the most there may be');
    const wide: MatchEvent = {
      type: 'settled',
      atMs: 9000,
      round: 3,
      how: 'limit',
      wide: ['host', 'docker'],
    };
    expect(
      progressOf([started({ runs: 3, until: 'precise' }), wide])
        .lines()
        .at(-1),
    ).toBe('not settled after 3 rounds, the most there may be: wider than ±5 %: host and docker');
  });

  test.each([
    [100, 'a few seconds left'],
    [5100, 'about 10 s left'],
    [36_000, 'about 40 s left'],
    [95_000, 'about 2 min left'],
    [3_000_000, 'about 50 min left'],
    [5_500_000, 'about 2 h left'],
    [8_000_000, 'about 2.5 h left'],
  ])('is coarse: %i ms', (ms, text) => {
    expect(remainingText(ms, false)).toBe(text);
    expect(remainingText(ms, true)).toBe(text.replace('about', 'at most'));
  });
});

function begun(entry: string, round: number, atMs = 0): MatchEvent {
  return {
    type: 'run-started',
    atMs,
    run: `${entry}#${round}`,
    entry,
    round,
    warmup: false,
    level: 1,
  };
}

function end(): MatchEvent {
  return {
    type: 'match-ended',
    atMs: 99_000_000,
    endedAt: '2026-11-21T04:00:09.000Z',
    how: 'done',
  };
}
