// What a match recommends: sentences that follow from its rows, and silence with a reason where
// they decide nothing.
import { describe, expect, test } from 'vitest';
import type { Wall } from '../../lib/record/probe.js';
import { recommend, withProbes } from '../../lib/report/advice/recommend.js';
import type { Report } from '../../lib/report/document.js';
import type { ProbeDocument } from '../../lib/report/probe/document.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { burstOf, HOST, type Made, type MadeRow, madeMatch } from '../support/hand-made-match.js';
import { foldProbe, probeEnded, probeStarted, rowOf, walled } from '../support/sample-probe.js';

const OCI: MadeRow = { isolation: 'container', startup: 600, work: 220 };
/** Starts sooner than the other, but works for longer, so that the whole run takes longer. */
const FAST: MadeRow = { isolation: 'container', startup: 500, work: 350 };
const SENTRY: MadeRow = { isolation: 'user-kernel', startup: 1500, work: 600 };

const ALL = { host: HOST, docker: OCI, podman: FAST, 'docker:runsc': SENTRY };

const made = (rows: Record<string, MadeRow>, options?: Made) =>
  madeMatch(rows, options).recommendation;

function advised({ recommendation }: Pick<Report, 'recommendation'>, profile: string) {
  const sentence = recommendation.profiles.find((candidate) => candidate.profile === profile);
  const silent = recommendation.silent.find((candidate) => candidate.profile === profile);
  expect(sentence === undefined, `${profile}: either a sentence or the reason for none`).toBe(
    silent !== undefined,
  );
  return {
    sentence: sentence?.sentence,
    rows: sentence?.rows,
    best: sentence?.best,
    why: silent?.why,
  };
}

const adviceFor = (profile: string, rows: Record<string, MadeRow>, options?: Made) =>
  advised(madeMatch(rows, options), profile);

const failing = (...rounds: number[]): Partial<MadeRow> => ({ failed: rounds });

test('the report holds what recommend makes of it', () => {
  const { recommendation, ...report } = madeMatch(ALL);
  expect(recommend(report)).toEqual(recommendation);
  expect(recommendation.profiles.length).toBeGreaterThan(0);
});

describe('the Pareto set', () => {
  test('holds the rows that no other dominates, and the others are named with the row that does', () => {
    expect(made(ALL)).toMatchObject({
      pareto: ['host', 'docker', 'podman', 'docker:runsc'],
      dominated: [],
    });
    const slow: MadeRow = { isolation: 'system-container', startup: 900, work: 300 };
    expect(made({ ...ALL, incus: slow })).toMatchObject({
      pareto: ['host', 'docker', 'podman', 'docker:runsc'],
      dominated: [{ entry: 'incus', by: 'docker' }],
    });
  });

  test('a row that is not dominated itself is the one that is named', () => {
    const slow = (startup: number): MadeRow => ({ ...OCI, startup });
    expect(made({ slow: slow(900), middle: slow(700), fast: slow(500) }).dominated).toEqual([
      { entry: 'slow', by: 'fast' },
      { entry: 'middle', by: 'fast' },
    ]);
  });

  test('times that are shown to be equal and stronger isolation dominate; times that only do not differ significantly decide nothing', () => {
    const native: MadeRow = { ...OCI, isolation: 'os-sandbox' };
    expect(made({ host: HOST, native, docker: OCI }).dominated).toEqual([
      { entry: 'native', by: 'docker' },
    ]);
    const loud = { noise: 200 };
    const noisy = madeMatch({
      host: HOST,
      native: { ...native, ...loud },
      docker: { ...OCI, ...loud },
    });
    expect(noisy.comparisons.find(({ a }) => a === 'native')).toMatchObject({
      separable: false,
      equal: false,
    });
    expect(noisy.recommendation.dominated).toEqual([]);
  });

  test('a row whose files come back later, that failed once, or that leaves something once does not dominate a slower one', () => {
    const slower: MadeRow = { isolation: 'container', startup: 700, work: 300 };
    const dominatedBy = (docker: MadeRow) => made({ host: HOST, docker, slower }).dominated;
    expect(dominatedBy(OCI)).toEqual([{ entry: 'slower', by: 'docker' }]);
    expect(dominatedBy({ ...OCI, run: { sync: { in: 'yes', out: 'yes', live: 'no' } } })).toEqual(
      [],
    );
    expect(dominatedBy({ ...OCI, ...failing(3) })).toEqual([]);
    expect(dominatedBy({ ...OCI, run: { leftovers: [{ kind: 'volume', id: 'v' }] } })).toEqual([]);
  });

  test('equal rows of which one leaves something in every run: the clean one dominates', () => {
    const dirty: MadeRow = { ...OCI, run: { leftovers: [{ kind: 'volume', id: 'v' }] } };
    expect(made({ dirty, clean: OCI }).dominated).toEqual([{ entry: 'dirty', by: 'clean' }]);
  });

  test('more failures dominate nothing unless the difference is significant', () => {
    const once = made({ seldom: { ...OCI, ...failing(1) }, always: OCI }, { rounds: 12 });
    expect(once).toMatchObject({ pareto: ['seldom', 'always'], dominated: [] });
    const often = made(
      { seldom: { ...OCI, ...failing(1, 2, 3, 4, 5) }, always: OCI },
      { rounds: 14 },
    );
    expect(often.dominated).toEqual([{ entry: 'seldom', by: 'always' }]);
  });

  test('a row with too few rounds in common is neither in the set nor dominated, and is named', () => {
    const seldom = made({
      ...ALL,
      incus: { ...OCI, startup: 900, ...failing(1, 2, 3, 4, 5, 6, 7) },
    });
    expect(seldom.pareto).not.toContain('incus');
    expect(seldom.dominated).toEqual([]);
    expect(seldom.silent).toContainEqual({
      profile: 'pareto',
      why: 'too few rounds in common with the others: incus',
    });
  });

  test('below the rounds with which a difference can be significant it is empty, and the reason names how many that are', () => {
    const eight = made(ALL, { rounds: 8 });
    expect(eight).toMatchObject({ pareto: [], dominated: [] });
    expect(eight.silent).toContainEqual({
      profile: 'pareto',
      why: 'n=8: no difference between this many rows can be significant below n=9; rerun with --runs 12',
    });
    expect(made(ALL, { rounds: 9 }).pareto).not.toEqual([]);
    expect(made({ host: HOST }).silent).toContainEqual({
      profile: 'pareto',
      why: 'fewer than two rows have numbers of their own',
    });
  });

  test('a stand-in dominates nothing and is in no set, nor is a row of which nothing passed', () => {
    const standIn: MadeRow = {
      isolation: 'microvm',
      startup: 100,
      work: 100,
      entry: { standIn: true },
    };
    const broken: MadeRow = {
      ...OCI,
      ...failing(...Array.from({ length: 10 }, (_, index) => index + 1)),
    };
    const all = made({ ...ALL, fly: standIn, incus: broken });
    expect(all.pareto).toEqual(['host', 'docker', 'podman', 'docker:runsc']);
    expect(all.dominated).toEqual([]);
    expect(
      JSON.stringify([all.pareto, all.dominated, all.profiles.flatMap(({ best }) => best)]),
    ).not.toMatch(/fly|incus/);
  });
});

describe('short tasks', () => {
  test('are for the row whose whole run is shortest, not for the one that starts soonest', () => {
    const { sentence, rows, best } = adviceFor('short tasks', ALL);
    expect(sentence).toMatch(
      /^Short tasks: docker: 850 ms \[\d+–\d+\] \(1\.35 × host\) from launch to gone \(task hello\); passed 10\/10, 72–100 %\.$/,
    );
    expect(best).toEqual(['docker']);
    expect(rows).toEqual(['docker', 'host']);
  });

  test('name all rows that do not differ significantly from the best, in the order of the table', () => {
    const noisy = { ...OCI, noise: 40 };
    const { sentence, best } = adviceFor('short tasks', {
      ...ALL,
      docker: { ...noisy, startup: 602 },
      podman: noisy,
    });
    expect(best).toEqual(['docker', 'podman']);
    expect(sentence).toMatch(
      /^Short tasks: docker and podman \(no significant difference at n=10\): /,
    );
  });

  test('no isolation is never recommended, however fast', () => {
    const { best, rows } = adviceFor('short tasks', {
      ...ALL,
      bare: { isolation: 'none', startup: 1 },
    });
    expect(best).toEqual(['docker']);
    expect(rows).not.toContain('bare');
  });

  test('a faster row that failed once is not recommended, and is named with the interval of its successes', () => {
    const { sentence, best } = adviceFor('short tasks', {
      ...ALL,
      native: { isolation: 'os-sandbox', startup: 420, ...failing(4) },
    });
    expect(best).toEqual(['docker']);
    expect(sentence).toMatch(/; left out: native \(9\/10, 60–98 %\)\.$/);
  });

  test('an interrupted run counts neither for a row nor against it', () => {
    const cut = {
      outcome: { status: 'failed', cause: 'interrupted', message: 'interrupted by the user' },
    } as const;
    const whole = madeMatch(ALL, { rounds: 11 });
    const report = madeMatch(
      { ...ALL, docker: { ...OCI, failedAs: cut, ...failing(11) } },
      { rounds: 11 },
    );
    expect(report.modes.find(({ entry }) => entry === 'docker')).toMatchObject({
      n: 11,
      passed: 10,
      interrupted: 1,
    });
    expect(advised(report, 'short tasks').best).toEqual(advised(whole, 'short tasks').best);
    expect(advised(report, 'short tasks').sentence).toContain('passed 10/10, 72–100 %');
  });

  test('a row that leaves something in every run is left out with the reason', () => {
    const dirty: MadeRow = {
      ...OCI,
      startup: 450,
      run: {
        leftovers: [
          { kind: 'container', id: 'c' },
          { kind: 'volume', id: 'v' },
        ],
      },
    };
    const { sentence, best } = adviceFor('short tasks', { ...ALL, incus: dirty });
    expect(best).toEqual(['docker']);
    expect(sentence).toContain('left out: incus (every run leaves a container and a volume)');
  });

  test('rows in another state or with other options are not compared, and are named', () => {
    const warm: MadeRow = {
      ...OCI,
      startup: 300,
      entry: { mode: 'docker', label: 'warm', state: 'warm' },
    };
    const small: MadeRow = {
      ...OCI,
      startup: 300,
      entry: { mode: 'docker', label: 'half', options: { cpus: 0.5 } },
    };
    const report = madeMatch({ ...ALL, 'docker@warm': warm, 'docker@half': small }, { rounds: 12 });
    const { sentence, best } = advised(report, 'short tasks');
    expect(best).toEqual(['docker']);
    expect(sentence).toContain(
      'left out: docker@warm (warm) (another state or other options), docker@half (another state or other options)',
    );
    expect(
      JSON.stringify([report.recommendation.pareto, report.recommendation.dominated]),
    ).not.toMatch(/@warm|@half/);
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    ['with a single round', ALL, { rounds: 1 }, /^n=1 is too few: at least n=6 is needed$/],
    ['with five', ALL, { rounds: 5 }, /^n=5 is too few: at least n=6 is needed$/],
    [
      'with rounds that cannot show a difference',
      ALL,
      { rounds: 8 },
      /^n=8: .* below n=9; rerun with --runs 12$/,
    ],
    [
      'with one isolated row',
      { host: HOST, docker: OCI },
      {},
      /^docker is the only isolated row that can be chosen$/,
    ],
    ['with none', { host: HOST }, {}, /^no row is isolated$/],
    [
      'where none passed whole',
      { host: HOST, docker: { ...OCI, failed: [1] } },
      {},
      /^no isolated row .*; left out: docker \(9\/10, 60–98 %\)$/,
    ],
    [
      'of stand-ins',
      { host: HOST, docker: { ...OCI, entry: { standIn: true } } },
      {},
      /^a stand-in's numbers are no finding$/,
    ],
    [
      'where nothing differs significantly',
      { host: HOST, docker: { ...OCI, noise: 90 }, podman: { ...OCI, startup: 601, noise: 90 } },
      {},
      /^no significant difference in total between docker and podman at n=10$/,
    ],
    [
      'where the end is not known',
      { host: HOST, docker: { ...OCI, clocks: { total: { gap: 'not-reported' } } }, podman: FAST },
      {},
      /^the time from launch to gone is known of fewer than two isolated rows$/,
    ],
  ])('are silent %s', (_, rows, options, why) => {
    expect(adviceFor('short tasks', rows, options)).toMatchObject({
      sentence: undefined,
      why: expect.stringMatching(why),
    });
  });
});

/**
 * Two tasks in every sandbox: `work` of the host is 200 and 2000 ms; a sandbox adds a fixed cost
 * and works at its rate.
 */
function twoLengths(
  sandboxes: Record<string, { isolation: MadeRow['isolation']; fixed: number; rate: number }>,
): Record<string, MadeRow> {
  const all = { host: { isolation: 'none' as const, fixed: 400, rate: 1 }, ...sandboxes };
  return Object.fromEntries(
    Object.entries({ hello: 200, refactor: 2000 }).flatMap(([task, work]) =>
      Object.entries(all).map(([mode, { isolation, fixed, rate }]) => [
        `${mode}@${task}`,
        {
          isolation,
          startup: fixed,
          work: work * rate,
          exit: 0,
          teardown: 0,
          entry: { mode, label: task, task },
        },
      ]),
    ),
  );
}

describe('long tasks', () => {
  const THREE = twoLengths({
    docker: { isolation: 'container', fixed: 700, rate: 1.02 },
    podman: { isolation: 'container', fixed: 600, rate: 1.2 },
    incus: { isolation: 'system-container', fixed: 900, rate: 1.02 },
  });

  test('are judged by the slope of two task lengths, and the fits are in the document', () => {
    const report = madeMatch(THREE, { rounds: 12 });
    const { sentence, best } = advised(report, 'long tasks');
    expect(best).toEqual(['docker', 'incus']);
    expect(sentence).toMatch(
      /^Long tasks: docker and incus \(no significant difference at n=12\): \d+ \[.*\] ms \+ 1\.02 \[.*\] × host's work and .* \(fitted to hello and refactor, n=12\)\.$/,
    );
    expect(report.lengths).toMatchObject({ baseline: 'host', tasks: ['hello', 'refactor'] });
    const fits = Object.fromEntries(report.lengths?.fits.map((fit) => [fit.sandbox, fit]) ?? []);
    expect(fits.docker?.interceptMs.median).toBeCloseTo(700, -1);
    expect(fits.docker?.slope.median).toBeCloseTo(1.02, 2);
    expect(fits.podman).toMatchObject({ entries: ['podman@hello', 'podman@refactor'], n: 12 });
    expect(renderTable(report)).toMatch(
      /^podman +12 +\d+ \[\d+–\d+\] +1\.20 \[1\.\d\d–1\.\d\d\]$/m,
    );
  });

  test('one length says nothing of them, whatever its work; the reason is the command that would', () => {
    expect(adviceFor('long tasks', ALL)).toMatchObject({
      sentence: undefined,
      why: 'one task length says nothing about another: rerun with --task hello --task refactor',
    });
  });

  test('short tasks are judged by the shorter of the two', () => {
    expect(adviceFor('short tasks', THREE, { rounds: 14 })).toMatchObject({
      best: ['podman@hello'],
      sentence: expect.stringContaining('(task hello)'),
    });
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    [
      'with too few rounds',
      THREE,
      { rounds: 7 },
      /^n=7: no difference between this many rows can be significant below n=11/,
    ],
    [
      'where no slope differs significantly',
      twoLengths({
        docker: { isolation: 'container', fixed: 700, rate: 1.02 },
        podman: { isolation: 'container', fixed: 500, rate: 1.02 },
      }),
      { rounds: 12 },
      /^no significant difference in slope between docker and podman at n=12$/,
    ],
  ])('are silent %s', (_, rows, options, why) => {
    expect(adviceFor('long tasks', rows, options)).toMatchObject({
      sentence: undefined,
      why: expect.stringMatching(why),
    });
  });
});

describe('break-even', () => {
  const breakEvenOf = (rows: Record<string, MadeRow>) => made(rows, { rounds: 12 }).breakEven;

  test('is twenty times the extra start and end, with its interval', () => {
    const [first, ...rest] = breakEvenOf(
      twoLengths({ docker: { isolation: 'container', fixed: 700, rate: 1 } }),
    );
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ entry: 'docker', against: 'host', kind: 'negligible' });
    expect(first?.workMs).toBeCloseTo(20 * 300, -2);
    const [low, high] = (first as { ci95: [number, number] }).ci95;
    expect(low).toBeLessThanOrEqual(6000);
    expect(high).toBeGreaterThanOrEqual(6000);
  });

  test('an end that takes long counts as a start does', () => {
    const rows = twoLengths({ docker: { isolation: 'container', fixed: 500, rate: 1 } });
    const late = Object.fromEntries(
      Object.entries(rows).map(([name, row]) => [
        name,
        name.startsWith('docker') ? { ...row, teardown: 800 } : row,
      ]),
    );
    expect(breakEvenOf(late)[0]?.workMs).toBeCloseTo(20 * 900, -2);
  });

  test('a larger fixed cost is made good by a lower slope, at a length with an interval', () => {
    const overtakes = breakEvenOf(
      twoLengths({
        docker: { isolation: 'container', fixed: 700, rate: 1 },
        podman: { isolation: 'container', fixed: 600, rate: 1.2 },
      }),
    ).filter(({ kind }) => kind === 'overtakes');
    expect(overtakes).toMatchObject([{ entry: 'docker', against: 'podman' }]);
    expect(overtakes[0]?.workMs).toBeCloseTo(500, -1);
    expect(overtakes[0]?.ci95).toEqual([expect.any(Number), expect.any(Number)]);
  });

  test('is silent with one length, and where the fixed cost does not differ significantly', () => {
    expect(breakEvenOf(ALL)).toEqual([]);
    expect(
      breakEvenOf(twoLengths({ docker: { isolation: 'container', fixed: 400, rate: 1 } })),
    ).toEqual([]);
  });
});

describe('hostile code', () => {
  const wall = (name: string, observed: Wall['observed'], declared?: Wall['declared']): Wall => ({
    wall: name,
    observed,
    ...(declared === undefined ? {} : { declared }),
    evidence: 'as a test has it',
  });

  /** The walls that are open in each row; all others of these five are closed. */
  function probeOf(
    open: Record<string, string[]>,
    change: Parameters<typeof rowOf>[1] = {},
  ): ProbeDocument {
    const names = ['host-kernel', 'root', 'fork-limit', 'memory-limit', 'tcp-out'];
    const isolationOf = (entry: string) => (entry === 'docker:runsc' ? 'user-kernel' : 'container');
    return foldProbe([
      probeStarted({ only: ['walls'] }),
      ...Object.keys(open).flatMap((entry) =>
        rowOf(entry, { isolation: isolationOf(entry), ...change }),
      ),
      ...Object.entries(open).flatMap(([entry, mine]) =>
        names.map((name) =>
          walled(entry, wall(name, mine.includes(name) ? 'open' : 'closed', 'closed')),
        ),
      ),
      probeEnded(),
    ]);
  }

  const THREE_ROWS = {
    docker: ['host-kernel'],
    podman: ['host-kernel', 'root'],
    'docker:runsc': ['fork-limit', 'memory-limit', 'tcp-out'],
  };
  const probed = (rows: Record<string, MadeRow>, probe = probeOf(THREE_ROWS), options?: Made) =>
    advised(withProbes(madeMatch(rows, options), [probe]), 'hostile code');

  test('is for the row that closes the most walls; open ones are named, with the rows that close them', () => {
    const { sentence, rows, best } = probed(ALL);
    expect(best).toEqual(['docker']);
    expect(rows).toEqual(['docker', 'podman', 'docker:runsc']);
    expect(sentence).toBe(
      'Hostile code: docker passes the most isolation checks (each counts as one): 4 of 5; open: host-kernel (declared closed); closed elsewhere: host-kernel by docker:runsc; as observed by probe 20261121-100000-beef; passed 10/10, 72–100 %.',
    );
  });

  test('rows that close equally many are a group', () => {
    const { sentence, best } = probed(
      ALL,
      probeOf({ docker: ['root'], podman: ['host-kernel'], 'docker:runsc': ['root', 'tcp-out'] }),
    );
    expect(best).toEqual(['docker', 'podman']);
    expect(sentence).toMatch(
      /^Hostile code: docker and podman pass the most isolation checks, equally many .*: docker: 4 of 5; .*; podman: 4 of 5; /,
    );
  });

  test('without a probe, or with one of another version of the runtime, it is silent with the command', () => {
    const why =
      'no probe of this runtime version has run the isolation checks of docker, podman and docker:runsc: cagematch probe --only walls';
    expect(adviceFor('hostile code', ALL)).toMatchObject({ sentence: undefined, why });
    const report = madeMatch(ALL);
    const older = probeOf(THREE_ROWS);
    for (const mode of older.modes)
      if (mode.detection.status === 'ready')
        mode.detection = { ...mode.detection, version: '1.2.2' };
    expect(advised(withProbes(report, [older]), 'hostile code')).toMatchObject({
      sentence: undefined,
      why,
    });
    const otherOptions = probeOf(THREE_ROWS, { options: { network: 'none' } });
    expect(advised(withProbes(report, [otherOptions]), 'hostile code')).toMatchObject({
      sentence: undefined,
      why,
    });
  });

  test('a row that no probe has tried is left out and named', () => {
    const { sentence } = probed({ ...ALL, incus: OCI }, undefined, { rounds: 12 });
    expect(sentence).toContain('left out: incus (not probed: cagematch probe --only walls)');
  });

  test("the runtime's own facts are named", () => {
    const report = madeMatch(ALL);
    for (const mode of report.modes)
      if (mode.detection.status === 'ready' && mode.mode === 'docker')
        mode.detection = {
          ...mode.detection,
          facts: { hostNetwork: 'kata runsc', ignoresLimits: 'runsc' },
        };
    const open = {
      docker: ['host-kernel', 'root'],
      podman: ['host-kernel', 'root'],
      'docker:runsc': ['fork-limit'],
    };
    const { sentence } = advised(withProbes(report, [probeOf(open)]), 'hostile code');
    expect(sentence).toMatch(
      /^Hostile code: docker:runsc passes .*; shares the host's network; ignores limits of CPU and memory;/,
    );
  });

  test('a run that was interrupted changes nothing; one that failed leaves the row out', () => {
    const cut = {
      outcome: { status: 'failed', cause: 'interrupted', message: 'interrupted by the user' },
    } as const;
    expect(
      probed({ ...ALL, docker: { ...OCI, failedAs: cut, ...failing(10) } }, undefined, {
        rounds: 10,
      }).best,
    ).toEqual(['docker']);
    const failed = probed({ ...ALL, docker: { ...OCI, ...failing(10) } });
    expect(failed.best).toEqual(['podman']);
    expect(failed.sentence).toContain('left out: docker (9/10, 60–98 %)');
  });

  test('with five rounds it is silent, whatever the walls', () => {
    expect(probed(ALL, undefined, { rounds: 5 })).toMatchObject({
      sentence: undefined,
      why: 'n=5 is too few: at least n=6 is needed',
    });
  });
});

describe('many in parallel', () => {
  const bursts = (waves = 6, podman: Record<number, number> = { 1: 40, 2: 60, 4: 62 }) => [
    ...burstOf('docker', { 1: 50, 2: 90, 4: 120 }, waves, 4),
    ...burstOf('podman', podman, waves),
  ];

  test('is for the row that gets most done a minute, with its level, its failures and its memory', () => {
    const cost = { memoryPeakBytes: 200 * 2 ** 20, cpuUserMs: 500, cpuSystemMs: 100 };
    const { sentence, best } = adviceFor(
      'many in parallel',
      { ...ALL, docker: { ...OCI, run: { cost } } },
      { extraEvents: bursts() },
    );
    expect(sentence).toMatch(
      /^Many in parallel: docker: 1\d\d \[\d+–1\d\d\] runs a minute with 4 at once \(1 of 24 failed, 200 MiB of memory a run\)\.$/,
    );
    expect(best).toEqual(['docker']);
    expect(adviceFor('many in parallel', ALL, { extraEvents: bursts() }).sentence).not.toMatch(
      /memory/,
    );
  });

  test('names all rows that do not differ significantly from the best', () => {
    const third = burstOf('docker:runsc', { 1: 10, 2: 20 }, 6);
    const { sentence, best } = adviceFor('many in parallel', ALL, {
      extraEvents: [...bursts(6, { 1: 40, 2: 100, 4: 120 }), ...third],
    });
    expect(sentence).toMatch(
      /^Many in parallel: docker and podman \(no significant difference at n=6 waves\): /,
    );
    expect(best).toEqual(['docker', 'podman']);
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    ['without a burst', ALL, {}, /^rerun with --concurrency N$/],
    [
      'with few waves',
      ALL,
      { extraEvents: bursts(5) },
      /^n=5 waves a level is too few: at least n=6 is needed$/,
    ],
    [
      'with a burst of one row',
      ALL,
      { extraEvents: burstOf('docker', { 1: 50, 2: 90 }, 6) },
      /^runs a minute are known of fewer than two isolated rows$/,
    ],
    [
      'where nothing differs significantly',
      ALL,
      { extraEvents: bursts(6, { 1: 40, 2: 100, 4: 120 }) },
      /^no significant difference between docker and podman at n=6 waves$/,
    ],
  ])('is silent %s', (_, rows, options, why) => {
    expect(adviceFor('many in parallel', rows, options)).toMatchObject({
      sentence: undefined,
      why: expect.stringMatching(why),
    });
  });
});

test('the heading names a match that did not run to its end', () => {
  expect(renderTable(madeMatch(ALL))).toMatch(/^recommendations$/m);
  expect(renderTable(madeMatch(ALL, { how: 'interrupted' }))).toMatch(
    /^recommendations \(from a match that was interrupted\)$/m,
  );
  expect(renderTable(madeMatch(ALL, { how: 'crashed' }))).toMatch(
    /^recommendations \(from a match that crashed before its end\)$/m,
  );
});
