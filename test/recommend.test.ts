// What a match speaks for: sentences that its rows bear out, and silence where they cannot.
import { describe, expect, test } from 'vitest';
import { recommend } from '../lib/report/advice/recommend.js';
import type { Report } from '../lib/report/document.js';
import { burstOf, HOST, type Made, type MadeRow, madeMatch } from './hand-made-match.js';

const OCI: MadeRow = { isolation: 'container', startup: 600, work: 220 };
/** Sooner up and gone than the other, but slower at work, so that a whole run of it takes longer. */
const FAST: MadeRow = { isolation: 'container', startup: 500, work: 260, teardown: 90 };
const SENTRY: MadeRow = { isolation: 'user-kernel', startup: 1500, work: 600 };

const ALL = { host: HOST, docker: OCI, podman: FAST, 'docker:runsc': SENTRY };

const made = (rows: Record<string, MadeRow>, options?: Made) => madeMatch(rows, options).recommendation;

function said({ recommendation }: Pick<Report, 'recommendation'>, profile: string) {
  const sentence = recommendation.profiles.find((one) => one.profile === profile);
  const silent = recommendation.silent.find((one) => one.profile === profile);
  expect(sentence === undefined, `${profile}: either a sentence or why there is none`).toBe(silent !== undefined);
  return { sentence: sentence?.sentence, rows: sentence?.rows, why: silent?.why };
}

const of = (profile: string, rows: Record<string, MadeRow>, options?: Made) => said(madeMatch(rows, options), profile);

test('the report holds what recommend says of it', () => {
  const { recommendation, ...report } = madeMatch(ALL);
  expect(recommend(report)).toEqual(recommendation);
  expect(recommendation.profiles.length).toBeGreaterThan(0);
});

describe('the Pareto set', () => {
  test('holds the rows that no other beats in everything at once, and names who beats the rest', () => {
    expect(made(ALL)).toMatchObject({
      pareto: ['host', 'docker', 'podman', 'docker:runsc'],
      dominated: [],
    });
    expect(made({ ...ALL, incus: { isolation: 'system-container', startup: 900, work: 300 } })).toMatchObject({
      pareto: ['host', 'docker', 'podman', 'docker:runsc'],
      dominated: [{ entry: 'incus', by: 'docker' }],
    });
  });

  test('a row that is not beaten itself is the one that is named', () => {
    const slow = (startup: number): MadeRow => ({ ...OCI, startup });
    expect(made({ slow: slow(900), middle: slow(700), fast: slow(500) }).dominated).toEqual([
      { entry: 'slow', by: 'fast' },
      { entry: 'middle', by: 'fast' },
    ]);
  });

  test('a row that passed in too few of the rounds is held against no other, though it fails more', () => {
    const seldom = made({ ...ALL, incus: { ...OCI, startup: 900, failed: [1, 2, 3, 4, 5] } }, { rounds: 14 });
    expect(seldom.dominated).toEqual([]);
    expect(seldom.pareto).toContain('incus');
    const often = made({ ...ALL, incus: { ...OCI, startup: 900, failed: [1, 2, 3, 4] } }, { rounds: 14 });
    expect(often.dominated).toEqual([{ entry: 'incus', by: 'docker' }]);
  });

  test('equal times and stronger isolation win', () => {
    const native: MadeRow = { ...OCI, isolation: 'os-sandbox', noise: 30 };
    expect(made({ host: HOST, native, docker: { ...OCI, noise: 30 } }).dominated).toEqual([{ entry: 'native', by: 'docker' }]);
  });

  test('a row whose files come back later, or which failed once, does not beat one that is slower', () => {
    const slower: MadeRow = { isolation: 'container', startup: 700, work: 300 };
    const copied: MadeRow = { ...OCI, run: { sync: { in: 'yes', out: 'yes', live: 'no' } } };
    expect(made({ host: HOST, docker: OCI, slower }).dominated).toEqual([{ entry: 'slower', by: 'docker' }]);
    expect(made({ host: HOST, docker: copied, slower }).dominated).toEqual([]);
    expect(made({ host: HOST, docker: { ...OCI, failed: [3] }, slower }).dominated).toEqual([]);
  });

  test('nobody is beaten on noise: with fewer than six rounds it is empty, and says why', () => {
    const five = made(ALL, { rounds: 5 });
    expect(five).toMatchObject({ pareto: [], dominated: [], breakEven: [] });
    expect(five.silent).toContainEqual({ profile: 'pareto', why: 'no two rows were run in rounds enough to be told apart' });
    expect(made(ALL, { rounds: 10 }).pareto).not.toEqual([]);
    expect(made({ host: HOST }).silent).toContainEqual({ profile: 'pareto', why: 'fewer than two rows have numbers of their own' });
  });

  test('a stand-in beats nobody and is in no set, nor is a row of which nothing passed', () => {
    const standIn: MadeRow = { isolation: 'microvm', startup: 100, work: 100, entry: { standIn: true } };
    const broken: MadeRow = { ...OCI, failed: Array.from({ length: 10 }, (_, at) => at + 1) };
    const all = made({ ...ALL, fly: standIn, incus: broken });
    expect(all.pareto).toEqual(['host', 'docker', 'podman', 'docker:runsc']);
    expect(all.dominated).toEqual([]);
    expect(JSON.stringify(all)).not.toMatch(/fly|incus/);
  });
});

describe('break-even', () => {
  test('is twenty times the extra startup, for every isolated row that starts later than the baseline', () => {
    const { breakEven } = made({ host: { ...HOST, noise: 0 }, docker: { ...OCI, noise: 0 } });
    expect(breakEven).toEqual([{ entry: 'docker', against: 'host', kind: 'negligible', workMs: 4000 }]);
  });

  test('a slow start that faster work makes good, where both are known', () => {
    // 100 ms later; of each ms of the host's work 1.1 against 1.3: even after 500 ms of it.
    const quiet = { noise: 0 };
    const { breakEven } = made({ host: { ...HOST, ...quiet }, docker: { ...OCI, ...quiet }, podman: { ...FAST, ...quiet } });
    const [overtakes, ...more] = breakEven.filter(({ kind }) => kind === 'overtakes');
    expect(overtakes).toMatchObject({ entry: 'docker', against: 'podman' });
    expect(overtakes?.workMs).toBeCloseTo(500);
    expect(more).toEqual([]);
  });

  test('is silent where the work, or the start, cannot be told apart', () => {
    const kinds = (rows: Record<string, MadeRow>) => made(rows).breakEven.map(({ entry, kind }) => `${entry} ${kind}`);
    expect(kinds({ host: HOST, docker: OCI, podman: { ...FAST, work: 220 } })).toEqual(['docker negligible', 'podman negligible']);
    expect(kinds({ host: { ...HOST, noise: 80 }, docker: { ...OCI, startup: 402, noise: 80 } })).toEqual([]);
    expect(kinds({ docker: OCI, podman: FAST })).toEqual([]);
  });
});

describe('short tasks', () => {
  test('are for the row that is up and gone soonest, with its numbers and what it is held against', () => {
    const { sentence, rows } = of('short tasks', ALL);
    expect(sentence).toMatch(/^Short tasks: podman starts in 500 ms \[\d+–\d+\], 1\.25 × host, and is gone 110 ms after the result\.$/);
    expect(rows).toEqual(['podman', 'host']);
  });

  test('the end counts: a sandbox that takes long to go is not the one', () => {
    expect(of('short tasks', { ...ALL, podman: { ...FAST, teardown: 500 } }).sentence).toMatch(/^Short tasks: docker starts in 600 ms/);
  });

  test('names the rows that cannot be told from it', () => {
    const noisy = { noise: 40 };
    const { sentence, rows } = of('short tasks', { ...ALL, podman: { ...OCI, ...noisy }, docker: { ...OCI, startup: 602, ...noisy } });
    expect(sentence).toMatch(/; \w+ cannot be told apart from it at n=10\.$/);
    expect(rows?.toSorted()).toEqual(['docker', 'host', 'podman']);
  });

  test('no isolation is never recommended, however fast', () => {
    const { sentence, rows } = of('short tasks', { ...ALL, bare: { isolation: 'none', startup: 1 } });
    expect(sentence).toMatch(/^Short tasks: podman /);
    expect(rows).not.toContain('bare');
  });

  test('a row that failed once is not recommended', () => {
    expect(of('short tasks', { ...ALL, podman: { ...FAST, failed: [4] } }).sentence).toMatch(/^Short tasks: docker /);
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    ['with few rounds', ALL, { rounds: 5 }, /^n=5: below n=6 no two rows can be told apart$/],
    ['with one isolated row', { host: HOST, docker: OCI }, {}, /^only docker is isolated and passed in every run/],
    ['with none', { host: HOST }, {}, /^no row is isolated$/],
    ['where none passed whole', { host: HOST, docker: { ...OCI, failed: [1] } }, {}, /^no isolated row passed in every run$/],
    ['of stand-ins', { host: HOST, docker: { ...OCI, entry: { standIn: true } } }, {}, /^a stand-in's numbers are no finding$/],
    ['of different tasks', { ...ALL, docker: { ...OCI, entry: { task: 'other' } } }, {}, /^the rows do different tasks$/],
    [
      'where nothing can be told apart',
      { host: HOST, docker: { ...OCI, noise: 90 }, podman: { ...OCI, startup: 601, noise: 90 } },
      {},
      /is ahead, but cannot be told apart from any other row$/,
    ],
    [
      'where the end is not known',
      { host: HOST, docker: { ...OCI, clocks: { teardown: { gap: 'not-reported' } } }, podman: FAST },
      {},
      /^start and end are known of fewer than two isolated rows$/,
    ],
  ])('is silent %s', (_, rows, options, why) => {
    expect(of('short tasks', rows, options)).toMatchObject({ sentence: undefined, why: expect.stringMatching(why) });
  });
});

describe('long tasks', () => {
  test('are for the row that works fastest; its start is said to be no matter, and from when on', () => {
    const { sentence, rows } = of('long tasks', ALL);
    expect(sentence).toMatch(
      /^Long tasks: docker works at 1\.10 \[1\.\d\d–1\.\d\d\] × host, the least; from 4\.0 s of work on, its extra start-up is under 5 %\.$/,
    );
    expect(rows).toEqual(['docker', 'host']);
  });

  test('names the rows whose work cannot be told from its', () => {
    const { sentence, rows } = of('long tasks', { ...ALL, podman: { ...FAST, work: 220 } });
    expect(sentence).toMatch(/; \w+ cannot be told apart from it at n=10\.$/);
    expect(rows?.toSorted()).toEqual(['docker', 'host', 'podman']);
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    ['with few rounds', ALL, { rounds: 5 }, /^n=5: below n=6/],
    ['without a baseline', { docker: OCI, podman: FAST }, {}, /^no baseline to hold the work against$/],
    ['with one isolated row', { host: HOST, docker: OCI }, {}, /^only docker is isolated/],
    [
      'where the work is all alike',
      { host: HOST, docker: OCI, podman: { ...OCI, startup: 500 } },
      {},
      /its work cannot be told apart from any other row's$/,
    ],
    [
      'where the work is not known',
      { host: HOST, docker: { ...OCI, clocks: { model: { gap: 'not-reported' } } }, podman: FAST },
      {},
      /^work is known of fewer than two isolated rows$/,
    ],
  ])('is silent %s', (_, rows, options, why) => {
    expect(of('long tasks', rows, options)).toMatchObject({ sentence: undefined, why: expect.stringMatching(why) });
  });
});

describe('hostile code', () => {
  test('is for the strongest isolation, whatever it costs, and says that it was not tried', () => {
    const { sentence, rows } = of('hostile code', ALL);
    expect(sentence).toMatch(
      /^Hostile code: docker:runsc is the strongest isolation that passed in every run \(user-kernel, 10\/10\), and starts in 1500 ms/,
    );
    expect(sentence).toMatch(/3\.75 × host; isolation is what the runtime declares: cagematch probe tries it from inside\.$/);
    expect(rows).toEqual(['docker:runsc', 'host']);
  });

  test('among equals it is the fastest, and a VM elsewhere is equal to one here', () => {
    const { sentence } = of('hostile code', {
      ...ALL,
      fly: { isolation: 'remote-vm', startup: 4000 },
      kata: { isolation: 'microvm', startup: 2000 },
    });
    expect(sentence).toMatch(/^Hostile code: kata is the fastest of the strongest isolation that passed in every run \(microvm/);
  });

  test('says so when there is only the kernel that all share', () => {
    const { sentence } = of('hostile code', { host: HOST, native: { isolation: 'os-sandbox', startup: 450 }, docker: OCI });
    expect(sentence).toMatch(/^Hostile code: docker .*; it shares this machine's kernel; /);
    expect(of('hostile code', ALL).sentence).not.toMatch(/shares/);
  });

  test('isolation is declared and needs no rounds; which of two equals is faster does', () => {
    expect(of('hostile code', ALL, { rounds: 3 }).sentence).toMatch(/^Hostile code: docker:runsc /);
    const two = { host: HOST, docker: OCI, podman: FAST };
    expect(of('hostile code', two).sentence).toMatch(/^Hostile code: podman /);
    expect(of('hostile code', two, { rounds: 3 })).toMatchObject({
      sentence: undefined,
      why: 'podman and docker are as strong, and n=3: below n=6 no two rows can be told apart',
    });
  });

  test.each<[string, Record<string, MadeRow>, RegExp]>([
    [
      'when the strongest failed and one is left',
      { host: HOST, docker: OCI, 'docker:runsc': { ...SENTRY, failed: [1] } },
      /^only docker is isolated/,
    ],
    ['of a host alone', { host: HOST }, /^no row is isolated$/],
    ['of stand-ins', { host: HOST, fly: { ...SENTRY, entry: { standIn: true } } }, /^a stand-in's/],
  ])('is silent %s', (_, rows, why) => {
    expect(of('hostile code', rows)).toMatchObject({ sentence: undefined, why: expect.stringMatching(why) });
  });
});

describe('many in parallel', () => {
  const bursts = (waves = 6, podman: Record<number, number> = { 1: 40, 2: 60, 4: 62 }) => [
    ...burstOf('docker', { 1: 50, 2: 90, 4: 120 }, waves, 4),
    ...burstOf('podman', podman, waves),
  ];

  test('is for the row that gets most done a minute, with its level, its failures and its memory', () => {
    const cost = { memoryPeakBytes: 200 * 2 ** 20, cpuUserMs: 500, cpuSystemMs: 100 };
    const { sentence, rows } = of('many in parallel', { ...ALL, docker: { ...OCI, run: { cost } } }, { more: bursts() });
    expect(sentence).toMatch(
      /^Many in parallel: docker gets most done, 1\d\d \[\d+–1\d\d\] runs a minute with 4 at once, 1 of 24 failed, 200 MiB of memory a run\.$/,
    );
    expect(rows).toEqual(['docker']);
    expect(of('many in parallel', ALL, { more: bursts() }).sentence).not.toMatch(/memory/);
  });

  test('names the row whose interval overlaps', () => {
    const third = burstOf('docker:runsc', { 1: 10, 2: 20 }, 6);
    const { sentence, rows } = of('many in parallel', ALL, { more: [...bursts(6, { 1: 40, 2: 100, 4: 120 }), ...third] });
    expect(sentence).toMatch(/; docker cannot be told apart from it at n=6 waves\.$/);
    expect(rows).toEqual(['podman', 'docker']);
  });

  test.each<[string, Record<string, MadeRow>, Made, RegExp]>([
    ['without a burst', ALL, {}, /^nothing was run in parallel; --concurrency N would$/],
    ['with few waves', ALL, { more: bursts(5) }, /^n=5 waves a level: below n=6/],
    [
      'with a burst of one row',
      ALL,
      { more: burstOf('docker', { 1: 50, 2: 90 }, 6) },
      /^runs a minute are known of fewer than two isolated rows$/,
    ],
    [
      'where all intervals overlap',
      ALL,
      { more: bursts(6, { 1: 40, 2: 100, 4: 120 }) },
      /is ahead, but its interval overlaps with that of every other row$/,
    ],
  ])('is silent %s', (_, rows, options, why) => {
    expect(of('many in parallel', rows, options)).toMatchObject({ sentence: undefined, why: expect.stringMatching(why) });
  });
});
