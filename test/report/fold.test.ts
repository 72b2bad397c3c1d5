// What a report holds of costs, bursts, pairs and gaps; and a record that is read as a stream.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../lib/package.js';
import { readRecord } from '../../lib/record/read.js';
import type { Clocks, MatchEvent } from '../../lib/record/types.js';
import type { Report } from '../../lib/report/document.js';
import { createFold } from '../../lib/report/fold.js';
import { buildReport, parseEvents } from '../../lib/report/report.js';
import { HOST, type MadeRow, madeMatch } from '../support/hand-made-match.js';
import { baseline, ended, FAILED, ran, row, started } from '../support/hand-made-record.js';
import { reportOf } from '../support/report-of.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const rounds = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

describe('a row against the baseline', () => {
  const { modeOf, report } = reportOf([
    started(),
    ...baseline(),
    ...row('docker'),
    ...rounds(3).map((round) =>
      ran('host', round, {
        startup: 100 * round,
        firstProcess: 10,
        total: 500,
        model: 100,
        work: 200,
      }),
    ),
    ...rounds(3).map((round) =>
      ran('docker', round, {
        startup: 100 * round + 50,
        firstProcess: 30,
        total: 900,
        model: 100,
        work: 250,
      }),
    ),
    ended(),
  ]);

  test('is a difference of startup round by round', () => {
    expect(modeOf('docker').startupDifferenceMs).toEqual({
      median: 50,
      ci95: { gap: 'too-few-runs' },
    });
    expect(modeOf('host').startupDifferenceMs).toEqual({
      median: 0,
      ci95: { gap: 'too-few-runs' },
    });
  });

  test('is a tax in ms and as a ratio, and a ratio of work, nothing taken out of a replay', () => {
    expect(modeOf('docker')).toMatchObject({
      taxMs: { median: 400 },
      taxRatio: { median: 1.8 },
      workRatio: { median: 1.25 },
    });
  });

  test('has the agent’s own part of its startup taken run by run', () => {
    expect(modeOf('docker').bootMs).toMatchObject({ samples: [120, 220, 320] });
  });

  test('is compared with every other row, in ratio and difference of startup and of the whole run', () => {
    const gap = { gap: 'too-few-runs' };
    // Three pairs of one sign: 2 of 8 patterns, twice, in a family of two.
    const few = { ci95: gap, p: 0.5, separable: gap, equal: gap };
    expect(report.comparisons).toEqual([
      {
        a: 'host',
        b: 'docker',
        n: 3,
        // Between the third and the fourth of the six means of two: √(2/3 · 6/7) and 4/5.
        ratio: expect.closeTo(Math.sqrt(Math.sqrt((2 / 3) * (6 / 7)) * 0.8), 9),
        ...few,
        noise: expect.closeTo(0.13, 2),
        differenceMs: { median: -50, ci95: { gap: 'too-few-runs' } },
        total: {
          ratio: expect.closeTo(5 / 9, 9),
          differenceMs: { median: -400, ci95: { gap: 'too-few-runs' } },
          ...few,
          noise: 0,
        },
      },
    ]);
  });

  test('has no ratio to nothing: a baseline of 0 ms is a difference only', () => {
    const { modeOf } = reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      ran('host', 1, { startup: 0, total: 10, model: 10 }),
      ran('docker', 1, { startup: 150, total: 60, model: 10 }),
      ended(),
    ]);
    expect(modeOf('docker')).toMatchObject({
      startupRatio: { gap: 'not-reached' },
      taxRatio: { median: 6 },
      taxMs: { median: 50 },
      startupDifferenceMs: { median: 150 },
    });
  });

  test('of another task is none: they have nothing in common', () => {
    const { modeOf, report } = reportOf([
      started(),
      ...baseline(),
      ...row('docker', { task: 'another' }),
      ran('host', 1, { startup: 100, total: 500, model: 100 }),
      ran('docker', 1, { startup: 150, total: 900, model: 100 }),
      ended(),
    ]);
    expect(modeOf('docker')).toMatchObject({
      startupRatio: { gap: 'no-baseline' },
      taxRatio: { gap: 'no-baseline' },
    });
    expect(report.comparisons).toEqual([]);
  });
});

describe('rows under labels', () => {
  test('are rows of their own, and are held against each other', () => {
    const { report } = reportOf([
      started(),
      ...row('docker@a', { mode: 'docker', label: 'a' }),
      ...row('docker@b', { mode: 'docker', label: 'b' }),
      ...rounds(8).flatMap((round) => [
        ran('docker@a', round, { startup: 200 + round }),
        ran('docker@b', round, { startup: 100 + round }),
      ]),
      ended(),
    ]);
    expect(report.comparisons).toMatchObject([
      { a: 'docker@a', b: 'docker@b', n: 8, separable: true },
    ]);
  });
});

describe('outliers', () => {
  test('are shown by their run, and stay in every number', () => {
    const startups = [100, 101, 102, 103, 104, 500];
    const { modeOf } = reportOf([
      started(),
      ...baseline(),
      ...startups.map((startup, at) => ran('host', at + 1, { startup })),
      ended(),
    ]);
    expect(modeOf('host').outliers).toEqual([{ run: 'host#6', ms: 500 }]);
    expect(modeOf('host').startupMs).toMatchObject({ max: 500, samples: startups });
  });

  test('are not looked for among five', () => {
    const { modeOf } = reportOf([
      started(),
      ...baseline(),
      ...[1, 1, 1, 1, 900].map((startup, at) => ran('host', at + 1, { startup })),
      ended(),
    ]);
    expect(modeOf('host').outliers).toEqual([]);
  });
});

describe('what a sandbox costs', () => {
  const cost = (memoryPeakBytes: number) => ({
    cost: { memoryPeakBytes, cpuUserMs: 300, cpuSystemMs: 100 },
  });

  test('is summed up over the runs that passed', () => {
    const { modeOf } = reportOf([
      started(),
      ...row('docker'),
      ran('docker', 1, {}, cost(1000)),
      ran('docker', 2, {}, cost(3000)),
      ran('docker', 3, {}, { ...cost(9), outcome: FAILED }),
      {
        type: 'appraised',
        atMs: 5,
        entry: 'docker',
        disk: { imageBytes: 5_000, sandboxBytes: { gap: 'not-attributable' } },
      },
      ended(),
    ]);
    expect(modeOf('docker').cost).toMatchObject({
      memoryPeakBytes: { median: 2000, samples: [1000, 3000] },
      cpuMs: { median: 400 },
      imageBytes: 5_000,
      sandboxBytes: { gap: 'not-attributable' },
    });
  });

  test('that could not be told is a gap with the cause that the runs give', () => {
    const gap = { gap: 'other-machine' } as const;
    const { modeOf } = reportOf([
      started(),
      ...row('fly'),
      ...row('docker'),
      ran('fly', 1, {}, { cost: gap }),
      ran(
        'docker',
        1,
        {},
        { cost: { memoryPeakBytes: 5, cpuUserMs: { gap: 'vanished' }, cpuSystemMs: 4 } },
      ),
      ended(),
    ]);
    expect(modeOf('fly').cost).toEqual({
      memoryPeakBytes: gap,
      cpuMs: gap,
      imageBytes: { gap: 'not-captured' },
      sandboxBytes: { gap: 'not-captured' },
    });
    expect(modeOf('docker').cost).toMatchObject({
      memoryPeakBytes: { samples: [5] },
      cpuMs: { gap: 'vanished' },
    });
  });
});

describe('a burst', () => {
  const wave = (
    round: number,
    level: number,
    wallMs: number,
    change: object = {},
  ): MatchEvent[] => [
    ...Array.from({ length: level }, (_, at) =>
      ran(
        'docker',
        round,
        { startup: 100 * level + at },
        { run: `docker*${level}#${round}.${at}`, level, ...change },
      ),
    ),
    {
      type: 'wave-ended',
      atMs: 1,
      entry: 'docker',
      round,
      warmup: false,
      level,
      wallMs,
      passed: 'outcome' in change ? 0 : level,
    },
  ];
  const burstOf = (...waves: MatchEvent[][]) =>
    reportOf([started({ concurrency: 8 }), ...row('docker'), ...waves.flat(), ended()]);

  test('tells for each level how many runs a minute, how many passed, and their startup', () => {
    const { report } = burstOf(
      ...[1, 2, 3].flatMap((round) => [wave(round, 1, 60_000), wave(round, 2, 30_000)]),
    );
    expect(report.burst).toMatchObject([
      {
        entry: 'docker',
        levels: [
          { level: 1, n: 3, passed: 3, runsPerMinute: { median: 1 }, startupMs: { median: 100 } },
          {
            level: 2,
            n: 6,
            passed: 6,
            runsPerMinute: { median: 4 },
            startupMs: { samples: [200, 201, 200, 201, 200, 201] },
          },
        ],
      },
    ]);
  });

  test('stops scaling at the smallest level whose next one brings no more than 10 % more', () => {
    // 1, 2, 2.2 (exactly 10 % more) runs a minute, and then much more.
    const { report } = burstOf(
      wave(1, 1, 60_000),
      wave(1, 2, 60_000),
      wave(1, 4, 60_000 * (4 / 2.2)),
      wave(1, 8, 60_000),
    );
    expect(report.burst[0]?.stopsAt).toBe(2);
  });

  test('that was not seen to stop says so, and one of a single level was no burst', () => {
    expect(burstOf(wave(1, 1, 60_000), wave(1, 2, 60_000)).report.burst[0]?.stopsAt).toEqual({
      gap: 'not-reached',
    });
    expect(burstOf(wave(1, 4, 60_000)).report.burst[0]?.stopsAt).toEqual({ gap: 'not-exercised' });
    expect(burstOf(wave(1, 1, 60_000)).report.burst).toEqual([]);
  });

  test('leaves the row’s own numbers to the runs that went alone', () => {
    const { modeOf } = burstOf(wave(1, 1, 60_000), wave(1, 4, 60_000));
    expect(modeOf('docker')).toMatchObject({ n: 1, passed: 1, startupMs: { samples: [100] } });
  });

  test('tells failures at a level, and what they were, and keeps them out of its times', () => {
    const { report, modeOf } = burstOf(wave(1, 1, 60_000), wave(1, 2, 60_000, { outcome: FAILED }));
    expect(report.burst[0]?.levels[1]).toMatchObject({
      n: 2,
      passed: 0,
      runsPerMinute: { median: 0 },
      startupMs: { gap: 'not-reached' },
    });
    expect(modeOf('docker').failures.map(({ run }) => run)).toEqual([
      'docker*2#1.0',
      'docker*2#1.1',
    ]);
    expect(modeOf('docker')).toMatchObject({ n: 1, passed: 1 });
  });

  test('names the levels that the machine had no room for, and counts no warm-up', () => {
    const { report } = reportOf([
      started(),
      ...row('docker'),
      { type: 'level-left-out', atMs: 1, entry: 'docker', level: 8, reason: 'not enough memory' },
      ...wave(1, 1, 60_000),
      {
        type: 'wave-ended',
        atMs: 1,
        entry: 'docker',
        round: 1,
        warmup: true,
        level: 1,
        wallMs: 1,
        passed: 1,
      },
      ended(),
    ]);
    expect(report.burst).toMatchObject([
      {
        leftOut: [{ level: 8, reason: 'not enough memory' }],
        levels: [{ runsPerMinute: { samples: [1] } }],
      },
    ]);
  });
});

describe('gaps', () => {
  test('of a row are all listed, each by its path', () => {
    const { report } = reportOf([
      started(),
      ...baseline(),
      ran(
        'host',
        1,
        { startup: 5 },
        { sync: { in: 'yes', out: 'yes', live: { gap: 'not-reported' } } },
      ),
      ended(),
    ]);
    const gaps = Object.fromEntries(report.gaps.map(({ value, gap }) => [value, gap]));
    expect(gaps).toMatchObject({
      'startupMs.ci95': 'too-few-runs',
      'startupMs.p95': 'too-few-runs',
      'phasesMs.image': 'not-applicable',
      'phasesMs.work': 'not-reached',
      'cost.cpuMs': 'not-captured',
      'cost.imageBytes': 'not-captured',
      'sync.live': 'not-reported',
      taxRatio: 'not-reached',
    });
    expect(gaps).not.toHaveProperty('startupMs');
  });
});

describe('a match', () => {
  test('counts the rounds that were begun, warm-up not counted, and never fewer than none', () => {
    const begun = (count: number): MatchEvent[] =>
      rounds(count).map((round) => ({
        type: 'round-started',
        atMs: round,
        round,
        order: ['host'],
      }));
    const ofWarmup = (count: number) =>
      reportOf([started({ warmup: 2 }), ...baseline(), ...begun(count), ended()]).report.match
        .rounds;
    expect([5, 2, 1].map(ofWarmup)).toEqual([3, 0, 0]);
  });

  test('tells the load before and after, and the commit, where they were recorded', () => {
    const versions = { cagematch: '0.1.0', agent: '2', node: 'v20', commit: 'abc' };
    const end = { ...ended(), load: [3, 2, 1] } as MatchEvent;
    const { report } = reportOf([started({ load: [1, 2, 3], versions }), ...baseline(), end]);
    expect(report.match).toMatchObject({ load: { before: [1, 2, 3], after: [3, 2, 1] }, versions });
    expect(reportOf([started(), ended()]).report.match.load).toEqual({});
  });

  test('that begins twice in one record is refused: numbers of two would be one', () => {
    expect(() => buildReport([started(), started()])).toThrow(
      'a second match begins in this record',
    );
  });

  test('of before there were levels, costs and options still reports', () => {
    const text = readFileSync(
      join(packageRoot, 'results', '20261121-051031-fd17', 'events.jsonl'),
      'utf8',
    );
    const { report } = reportOf(parseEvents(text));
    expect(report.modes.map(({ n, passed, state }) => [n, passed, state])).toEqual(
      report.modes.map(() => [10, 10, 'prepared']),
    );
    expect(report.match).toMatchObject({ how: 'done', rounds: 10, baseline: 'host' });
    expect(report.comparisons).toHaveLength(21);
  });
});

describe('a record in a file', () => {
  const clocks = (round: number): Partial<Clocks> => ({
    startup: 100 + (round % 7),
    total: 300,
    model: 10,
  });
  const events = [
    started(),
    ...baseline(),
    ...rounds(3000).map((round) => ran('host', round, clocks(round))),
    ended(),
  ];
  const write = (lines: string) => {
    const path = join(temporaryFolder(), 'events.jsonl');
    writeFileSync(path, lines);
    return path;
  };
  const linesOf = (list: readonly MatchEvent[]) =>
    list.map((event) => `${JSON.stringify(event)}\n`).join('');
  const foldOf = async (path: string) => {
    const fold = createFold();
    await readRecord(path, fold.push);
    return fold.finish();
  };

  test('is read in pieces, wherever they are cut, and says what it would say whole', async () => {
    // A letter of more than one byte at every place where a piece could end.
    const warning: MatchEvent = {
      type: 'warning',
      atMs: 1,
      code: 'x',
      message: 'ü€😀'.repeat(100_000),
    };
    const all = [...events.slice(0, -1), warning, ended()];
    const report = await foldOf(write(linesOf(all)));
    expect(report).toEqual({ ...buildReport(all), runs: [] });
    expect(report.warnings[0]?.message).toBe(warning.type === 'warning' ? warning.message : '');
  });

  test('whose last line a crash cut short reports, as of a match that crashed', async () => {
    const path = write(linesOf(events.slice(0, -1)));
    appendFileSync(path, '{"type":"run-ended","run":"ho');
    expect(await foldOf(path)).toMatchObject({ match: { how: 'crashed' }, modes: [{ n: 3000 }] });
    appendFileSync(path, '\u0000\u0000\n\n');
    expect(await foldOf(path)).toMatchObject({ match: { how: 'crashed' }, modes: [{ n: 3000 }] });
  });

  test('with a broken line before its last is an error with the line’s number', async () => {
    const path = write(`${linesOf(events.slice(0, 10))}{"type":\n${linesOf(events.slice(10))}`);
    await expect(foldOf(path)).rejects.toThrow(/^line 11 is no JSON$/);
  });

  test('with a key that no event has is refused, also in events that no number is made of', async () => {
    const phase = { type: 'phase', run: 'host#1', phase: 'work', atMs: 1, surprise: 1 };
    const path = write(
      `${linesOf(events.slice(0, 3))}${JSON.stringify(phase)}\n${linesOf([ended()])}`,
    );
    await expect(foldOf(path)).rejects.toThrow(/^line 4: .*surprise/);
  });

  test('that does not begin as one is an error in words', async () => {
    await expect(foldOf(write(linesOf(events.slice(1))))).rejects.toThrow(
      'the record does not begin with match-started',
    );
    await expect(foldOf(write(''))).rejects.toThrow('the record does not begin with match-started');
  });
});

describe('a comparison of two rows', () => {
  const pairNames = (comparisons: Report['comparisons']) =>
    comparisons.map(({ a, b }) => `${a} ${b}`);
  const many = (rows: Record<string, MadeRow>, count = 12) =>
    madeMatch(rows, { rounds: count }).comparisons;
  const OTHER: MadeRow = { isolation: 'container', startup: 520, work: 200, noise: 20 };

  test('is never made across states or options, unless they are two rows of one mode', () => {
    const half = { ...OTHER, entry: { mode: 'docker', label: 'half', options: { cpus: 0.5 } } };
    const warm = { ...OTHER, entry: { state: 'warm' as const } };
    const pairs = pairNames(many({ host: HOST, docker: OTHER, 'docker@half': half, podman: warm }));
    expect(pairs).toEqual(['host docker', 'docker docker@half']);
  });

  test('is one of a family: its p is adjusted over all pairs of startup and total, and needs the rounds for it', () => {
    const seven = Object.fromEntries(
      Array.from({ length: 7 }, (_, at) => [
        `row${at}`,
        { ...OTHER, startup: 500 + 100 * at, noise: 1 },
      ]),
    );
    const twelve = many(seven);
    expect(twelve).toHaveLength(21);
    // Each of the 42 tests has the least p that 12 pairs can have.
    expect(twelve[0]?.p).toBeCloseTo((42 * 2) / 2 ** 12, 12);
    expect(twelve.every(({ separable, equal }) => separable === true && equal === false)).toBe(
      true,
    );
    expect(many(seven, 10).map(({ separable, equal }) => [separable, equal])).toEqual(
      Array.from({ length: 21 }, () => [{ gap: 'too-few-runs' }, { gap: 'too-few-runs' }]),
    );
  });

  test('calls equal what is shown to lie within ±5 %, and neither equal nor different what is too noisy', () => {
    const [near] = many({ docker: { ...OTHER, noise: 2 }, podman: { ...OTHER, noise: 2 } }, 20);
    expect(near).toMatchObject({ separable: false, equal: true, total: { equal: true } });
    const [noisy] = many({ docker: { ...OTHER, noise: 90 }, podman: { ...OTHER, noise: 100 } }, 20);
    expect(noisy).toMatchObject({ separable: false, equal: false });
  });

  test('with a stand-in is in a family of its own, and costs the others nothing', () => {
    const standIn = { ...OTHER, startup: 900, entry: { standIn: true } };
    const [real, ...others] = many(
      { docker: OTHER, podman: { ...OTHER, startup: 700 }, fly: standIn },
      7,
    );
    expect(real).toMatchObject({ separable: true });
    expect(real?.p).toBeCloseTo((2 * 2) / 2 ** 7, 12);
    expect(others.map(({ standIn }) => standIn)).toEqual([true, true]);
  });
});
