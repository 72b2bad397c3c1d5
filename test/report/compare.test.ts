// Two matches held against each other: what is slower, what may be called a regression, and what
// cannot be compared at all.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findRecord, finishedFold } from '../../commands/records.js';
import { packageRoot } from '../../lib/package.js';
import type { Clocks, Entry, EventOf, MatchEvent } from '../../lib/record/types.js';
import { compare, type Side } from '../../lib/report/compare/compare.js';
import { comparisonDocument } from '../../lib/report/compare/comparison.js';
import { sideOfReport } from '../../lib/report/compare/reread.js';
import { createFold } from '../../lib/report/fold.js';
import { buildReport } from '../../lib/report/report.js';
import { renderComparison } from '../../lib/report/terminal/compare-table.js';
import {
  baseline,
  ended,
  FAILED,
  HOST,
  ran,
  row,
  started,
  VERSIONS,
} from '../support/hand-made-record.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { thrownBy } from '../support/thrown.js';

const ROUNDS = 12;

interface Scenario {
  id?: string;
  start?: Partial<EventOf<'match-started'>>;
  /** How many times as long as usual. */
  slower?: number;
  /** How many times as long all rows take. */
  machine?: number;
  row?: Partial<Entry>;
  detection?: EventOf<'detected'>['detection'];
  image?: string;
  change?: (round: number) => Partial<EventOf<'run-ended'>>;
  hostChange?: (round: number) => Partial<EventOf<'run-ended'>>;
  content?: string;
  /** Node inside the sandbox; nobody looked where it is left out. */
  node?: string;
  extraEvents?: MatchEvent[];
  end?: MatchEvent[];
}

const clocks = (round: number, factor: number): Partial<Clocks> => {
  const spread = 1 + ((round * 7) % 12) / 200;
  return {
    startup: 300 * factor * spread,
    work: 200 * spread,
    model: 0,
    total: 600 * factor * spread,
  };
};

/** Noise of its own for each row, so that no two ratios are the same. */
const jitter = (round: number, seed: number) => 1 + ((round * 5 + seed) % 13) / 500;

const appraised = (entry: string, nodeVersion: string): MatchEvent => {
  const limits = { memoryBytes: 'none' as const, pids: 512 };
  const guest = {
    nodeVersion,
    gitVersion: '2.39.5',
    libc: 'glibc 2.36',
    os: 'Debian GNU/Linux 12',
    uid: 1000,
    ...limits,
  };
  return { type: 'appraised', atMs: 4, entry, disk: { imageBytes: 1, sandboxBytes: 1 }, guest };
};

function eventsOf(scenario: Scenario): MatchEvent[] {
  const [detected, entered] = row('docker', scenario.row) as [EventOf<'detected'>, MatchEvent];
  return [
    started({ match: scenario.id ?? '20261121-040000-aaaa', ...scenario.start }),
    ...baseline(),
    scenario.detection ? { ...detected, detection: scenario.detection } : detected,
    entered,
    {
      type: 'prepared',
      atMs: 3,
      entry: 'docker',
      imageMs: 5,
      image: scenario.image ?? 'sha256:1',
      ...(scenario.content ? { content: scenario.content } : {}),
    },
    ...(scenario.node ? [appraised('docker', scenario.node)] : []),
    ...Array.from({ length: ROUNDS }, (_, at) => at + 1).flatMap((round) => [
      ran(
        'host',
        round,
        clocks(round, (scenario.machine ?? 1) * jitter(round, scenario.id ? 3 : 0)),
        scenario.hostChange?.(round),
      ),
      ran(
        'docker',
        round,
        clocks(round, 2 * (scenario.machine ?? 1) * (scenario.slower ?? 1)),
        scenario.change?.(round),
      ),
    ]),
    ...(scenario.extraEvents ?? []),
    ...(scenario.end ?? [ended()]),
  ];
}

function sideOf(scenario: Scenario = {}): Side {
  const fold = createFold();
  for (const event of eventsOf(scenario)) fold.push(event);
  return { report: fold.finish(), tallyOf: fold.tallyOf };
}

const NEW = '20261121-050000-bbbb';

function compared(base: Scenario, next: Scenario, failOver?: number) {
  const document = compare(sideOf(base), sideOf({ id: NEW, ...next }), failOver);
  expect(comparisonDocument.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
  const docker = document.rows.find(({ entry }) => entry === 'docker');
  return { document, docker, text: renderComparison(document) };
}

describe('a row', () => {
  test('that takes longer against the baseline is slower, in startup and total, by how much with an interval', () => {
    const { docker, document } = compared({}, { slower: 1.3 });
    for (const name of ['startup', 'total'] as const) {
      const measure = docker?.measures[name];
      if (!measure || 'gap' in measure || 'gap' in measure.ci95) throw new Error(`no ${name}`);
      expect(measure).toMatchObject({ direction: 'slower', n: { base: ROUNDS, new: ROUNDS } });
      expect(measure.base, name).toBeCloseTo(2, 1);
      expect(measure.change, name).toBeCloseTo(1.3, 1);
      expect(measure.ci95[0], name).toBeGreaterThan(1.25);
      expect(measure.ci95[1], name).toBeLessThan(1.35);
    }
    // Two measures of the one row that is held against another; where no run failed there is no
    // test of passes.
    expect(document.tests).toBe(2);
  });

  test('that takes less is faster, and no regression', () => {
    const { docker, document } = compared({}, { slower: 0.7 }, 0);
    expect(docker?.measures.startup).toMatchObject({ direction: 'faster' });
    expect(document).toMatchObject({
      verdict: 'none',
      regressions: [],
      sentence: 'no regression over 0 %',
    });
  });

  test('that takes the same is not separable, and says at how many runs', () => {
    const { docker, text } = compared({}, {});
    expect(docker?.measures.startup).toMatchObject({ direction: 'not separable' });
    expect(text).toContain('not separable at n=12');
  });

  test("is judged by its ratio to the baseline: a slower machine is said, and is nobody's regression", () => {
    const { document, docker, text } = compared({}, { machine: 1.1 }, 0);
    expect(docker?.measures.startup).toMatchObject({ direction: 'not separable' });
    expect(document).toMatchObject({
      verdict: 'none',
      baseline: 'host',
      control: { entry: 'host', startup: { separable: true } },
    });
    expect(text).toMatch(
      /The machine was 1\d % slower \(host startup \d+ → \d+ ms, 1\.1\d \[1\.\d\d–1\.\d\d\], total/,
    );
    expect(compared({}, {}).text).toContain(
      'The machine was about as fast as before (host startup',
    );
  });

  test('that is slower on a machine that is faster is still a regression', () => {
    expect(compared({}, { machine: 0.7, slower: 1.3 }, 10).document.sentence).toBe(
      'regression over 10 %: docker startup, docker total',
    );
  });

  test('of too few rounds is judged by nobody: at how many it could be is said', () => {
    const few = (scenario: Scenario) => {
      const fold = createFold();
      for (const event of eventsOf(scenario))
        if (event.type !== 'run-ended' || event.round <= 3) fold.push(event);
      return { report: fold.finish(), tallyOf: fold.tallyOf };
    };
    const document = compare(few({}), few({ id: NEW, slower: 3 }), 5);
    expect(document.rows[1]?.measures.startup).toMatchObject({
      direction: { gap: 'too-few-runs' },
      ci95: { gap: 'too-few-runs' },
    });
    expect(document).toMatchObject({
      verdict: 'cannot-say',
      sentence: 'cannot say of docker (3 rounds are too few, at least 5 in each are needed)',
    });
    expect(renderComparison(document)).toContain('n=3 is too few');
  });

  test('whose baseline is not in both is not judged by its speed', () => {
    const without = (side: Side) => ({
      ...side,
      report: { ...side.report, match: { ...side.report.match, baseline: undefined } },
    });
    const document = compare(
      without(sideOf()) as Side,
      without(sideOf({ id: NEW, slower: 3 })) as Side,
      5,
    );
    expect(document.rows[1]?.measures.startup).toEqual({ gap: 'no-baseline' });
    expect(document).toMatchObject({ verdict: 'cannot-say', regressions: [] });
    expect(document.sentence).toBe(
      'cannot say of host, docker (no baseline row in both matches to hold its speed against)',
    );
  });

  test('that only one of them has is named; one that is gone leaves the gate open', () => {
    const podman = [...row('podman'), ran('podman', 1, clocks(1, 1))];
    const { document, text } = compared({ extraEvents: podman }, { extraEvents: row('incus') });
    expect(document.onlyIn).toEqual({ base: ['podman'], new: ['incus'] });
    expect(text).toMatch(/podman: only in BASE\n +incus: only in NEW/);
    expect(document.sentence).toBe(
      'cannot say of podman (only in BASE); no regression in the other rows',
    );
    expect(compared({}, { extraEvents: row('incus') }).document.verdict).toBe('none');
  });

  test.each<[string, Partial<Entry>, string]>([
    ['options', { options: { network: 'host' } }, 'options {} and {"network":"host"}'],
    ['state', { state: 'warm' }, 'state prepared and warm'],
    ['task', { task: 'other' }, 'task hello and other'],
    ['stand-in', { standIn: true }, 'one of them is of a stand-in'],
  ])('of another %s is not compared, and says why', (_, change, why) => {
    const { document, text } = compared({}, { row: change, slower: 9 }, 5);
    expect(document.notCompared).toEqual([{ entry: 'docker', why }]);
    expect(document.rows.map(({ entry }) => entry)).toEqual(['host']);
    expect(document).toMatchObject({
      verdict: 'cannot-say',
      sentence: `cannot say of docker (${why})`,
    });
    expect(text).toContain(`docker: ${why}`);
  });

  test('of a task that only has the same name is not compared; of one whose content nobody has recorded it is', () => {
    const withDigest = (taskDigest: string) => ({ row: { taskDigest } });
    expect(compared(withDigest('aaaa'), withDigest('bbbb')).document.notCompared).toEqual([
      { entry: 'docker', why: 'the task hello is not the same: its content is aaaa and bbbb' },
    ]);
    for (const base of [withDigest('aaaa'), {}])
      expect(compared(base, withDigest('aaaa')).document.notCompared).toEqual([]);
  });

  test('whose options stand in another order asks the same', () => {
    const { document } = compared(
      { row: { options: { tmpfs: true, cpus: 2 } } },
      { row: { options: { cpus: 2, tmpfs: true } } },
    );
    expect(document.notCompared).toEqual([]);
  });
});

describe('a regression', () => {
  const failing = (...rounds: number[]) => ({
    change: (round: number) => (rounds.includes(round) ? { outcome: FAILED } : {}),
  });
  const all = Array.from({ length: ROUNDS }, (_, at) => at + 1);

  test('is a separable slow-down whose whole interval is over the limit', () => {
    const { document } = compared({}, { slower: 1.3 }, 10);
    expect(document).toMatchObject({ verdict: 'regression', failOver: 10 });
    expect(document.sentence).toBe('regression over 10 %: docker startup, docker total');
  });

  test('is none where the interval reaches below the limit, though the estimate is above it', () => {
    const { document, docker } = compared({}, { slower: 1.053 }, 5);
    const startup = docker?.measures.startup;
    if (!startup || 'gap' in startup || 'gap' in startup.ci95) throw new Error('no startup');
    expect(startup.direction).toBe('slower');
    expect(startup.change).toBeGreaterThan(1.05);
    expect(startup.ci95[0]).toBeLessThan(1.05);
    expect(document).toMatchObject({ verdict: 'none', sentence: 'no regression over 5 %' });
  });

  test('is no run of ten that fails: chance does that too', () => {
    const { document, docker, text } = compared({}, failing(4), 50);
    expect(docker?.passes).toEqual({
      base: { passed: 12, n: 12 },
      new: { passed: 11, n: 12 },
      p: 1,
      fewer: false,
    });
    expect(document).toMatchObject({ verdict: 'none', tests: 3 });
    expect(text).toMatch(/passed +12\/12 +11\/12 +not separable/);
  });

  test('is a row of which significantly fewer runs pass, whatever the limit', () => {
    const { document, docker, text } = compared({}, failing(...all.slice(0, 8)), 50);
    expect(docker?.passes).toMatchObject({
      base: { passed: 12, n: 12 },
      new: { passed: 4, n: 12 },
      fewer: true,
    });
    expect(document.regressions).toEqual([{ entry: 'docker', what: 'passes' }]);
    expect(text).toMatch(/passed +12\/12 +4\/12 +fewer pass/);
    expect(compared(failing(...all.slice(0, 8)), {}, 50).text).toMatch(
      /passed +4\/12 +12\/12 +more pass/,
    );
  });

  test('is a row that fails whole, of which there is no time at all', () => {
    const { document, docker } = compared({}, failing(...all), 5);
    expect(docker?.measures.startup).toEqual({ gap: 'not-reached' });
    expect(document.regressions).toEqual([{ entry: 'docker', what: 'passes' }]);
  });

  test('is also the baseline, where its runs fail', () => {
    const { document } = compared(
      {},
      { hostChange: (round) => (round <= 9 ? { outcome: FAILED } : {}) },
      5,
    );
    expect(document.regressions).toEqual([{ entry: 'host', what: 'passes' }]);
  });

  test('is a row that could not be prepared any more, unless the user interrupted that', () => {
    const unprepared = (outcome: EventOf<'run-ended'>['outcome']) => {
      const next = eventsOf({ id: NEW }).filter(
        (event) => event.type !== 'run-ended' || event.entry !== 'docker',
      );
      const fold = createFold();
      for (const event of next) fold.push(event);
      fold.push({ type: 'unprepared', atMs: 1, entry: 'docker', outcome });
      return compare(sideOf(), { report: fold.finish(), tallyOf: fold.tallyOf }, 5);
    };
    expect(unprepared(FAILED).regressions).toEqual([{ entry: 'docker', what: 'preparation' }]);
    expect(
      unprepared({ status: 'failed', cause: 'interrupted', message: 'interrupted' }),
    ).toMatchObject({
      verdict: 'cannot-say',
      sentence: 'cannot say of docker (no run of it passed in NEW)',
    });
  });

  test('is not a run that the user cut short, and a match that was cut short says so', () => {
    const interrupted = {
      outcome: { status: 'failed', cause: 'interrupted', message: 'interrupted' },
    } as const;
    const { document, docker, text } = compared(
      {},
      { change: (round) => (round === 12 ? interrupted : {}), end: [ended('interrupted')] },
      5,
    );
    expect(docker?.passes.new).toEqual({ passed: 11, n: 11 });
    expect(document).toMatchObject({ verdict: 'none' });
    expect(text).toContain(
      `warning: NEW (${NEW}) was interrupted: only what it had finished is compared`,
    );
    expect(compared({ end: [] }, {}).text).toContain('has crashed: only what it had finished');
  });
});

describe('where the surroundings differ', () => {
  const failing = { change: (round: number) => (round === 1 ? { outcome: FAILED } : {}) };
  const facts = (extra: object) => ({
    status: 'ready' as const,
    version: '1.2.3',
    facts: { ...extra },
  });

  test.each<[string, Scenario, string]>([
    ['another CPU', { start: { host: { ...HOST, cpu: 'Another' } } }, 'cpu'],
    ['other cores', { start: { host: { ...HOST, cores: 4 } } }, 'cores'],
    ['other memory', { start: { host: { ...HOST, memoryGiB: 16 } } }, 'memoryGiB'],
    ['another kernel', { start: { host: { ...HOST, kernel: '6.2.0' } } }, 'kernel'],
    ['another system', { start: { host: { ...HOST, os: 'Fedora' } } }, 'os'],
    ['another cgroup', { start: { host: { ...HOST, cgroup: 'v1' } } }, 'cgroup'],
    [
      'another virtualization',
      { start: { host: { ...HOST, virtualization: 'vm' } } },
      'virtualization',
    ],
    ['another agent', { start: { versions: { ...VERSIONS, agent: '3' } } }, 'agent'],
    ['another Node', { start: { versions: { ...VERSIONS, node: 'v24' } } }, 'node'],
    ['a burst', { start: { concurrency: 4 } }, 'concurrency'],
    ['first runs that are counted', { start: { warmup: 1 } }, 'the first run of a row'],
  ])('by %s, nothing is called a regression, and it says by what', (_, scenario, what) => {
    const { document, text } = compared({}, { ...scenario, slower: 3, ...failing }, 5);
    expect(document).toMatchObject({ verdict: 'cannot-say', regressions: [] });
    expect(document.sentence).toMatch(
      `cannot say whether there is a regression over 5 %, because the matches differ (${what}: `,
    );
    expect(document.rows[1]?.measures.startup).toMatchObject({ direction: 'slower' });
    expect(text.trimEnd().split('\n').slice(-3).join(' ')).toMatch(
      'cannot say whether there is a regression over 5 %',
    );
  });

  test.each<[string, Scenario, string]>([
    [
      'another version of the runtime',
      { detection: { ...facts({}), version: '2.0.0' } },
      'version',
    ],
    ['another fact of the runtime', { detection: facts({ storage: 'btrfs' }) }, 'storage'],
    ['another Node inside', { node: 'v24.0.0' }, 'Node inside'],
    ['another image, of which nobody knows what is in it', { image: 'sha256:2' }, 'image'],
    [
      'another image, of whose content one is unknown',
      { image: 'sha256:2', content: 'a' },
      'image',
    ],
  ])('by %s, that row is not judged, and the others are', (_, scenario, what) => {
    const podman = (factor: number) => [
      ...row('podman'),
      ...Array.from({ length: ROUNDS }, (_, at) => ran('podman', at + 1, clocks(at + 1, factor))),
    ];
    const base = { node: 'v22.1.0', extraEvents: podman(2) };
    const { document, docker } = compared(
      base,
      { node: 'v22.1.0', ...scenario, slower: 3, extraEvents: podman(2) },
      5,
    );
    expect(docker).toMatchObject({
      cannotSay: `${what} differs`,
      measures: { startup: { direction: 'slower' } },
    });
    expect(document).toMatchObject({
      verdict: 'cannot-say',
      sentence: `cannot say of docker (${what} differs); no regression over 5 % in the other rows`,
    });
    const also = compared(
      base,
      { node: 'v22.1.0', ...scenario, extraEvents: podman(3) },
      5,
    ).document;
    expect(also).toMatchObject({
      verdict: 'regression',
      sentence: `regression over 5 %: podman startup, podman total; cannot say of docker (${what} differs)`,
    });
  });

  test('by what the baseline is made on, no row that is held against it is judged', () => {
    const host = (cpus: number): MatchEvent => {
      const [detected] = baseline() as [EventOf<'detected'>];
      return { ...detected, detection: { status: 'ready', version: '1', facts: { cpus } } };
    };
    const { document } = compared(
      { extraEvents: [host(1)] },
      { extraEvents: [host(2)], slower: 3 },
      5,
    );
    expect(document.sentence).toBe(
      "cannot say of host (cpus differs); docker (host's cpus differs)",
    );
  });

  test('by an image that was built again from the same, they do not', () => {
    const content = 'a'.repeat(64);
    const { document } = compared({ content }, { content, image: 'sha256:2', slower: 3 }, 5);
    expect(document).toMatchObject({ differences: [], verdict: 'regression' });
    const other = compared(
      { content },
      { content: 'b'.repeat(64), image: 'sha256:2', slower: 3 },
      5,
    );
    expect(other.document.sentence).toBe('cannot say of docker (image content differs)');
    expect(other.text).toContain('docker image content: aaaaaaaaaaaa → bbbbbbbbbbbb\n');
  });

  test('by load, commit, how rounds ended or cagematch itself, it is shown and does not block: these are compared, or never the same', () => {
    const versions = { ...VERSIONS, cagematch: '0.2.0', commit: 'abc' };
    const start = {
      load: [1, 2, 3] as [number, number, number],
      versions,
      until: 'precise' as const,
    };
    const { document, text } = compared({}, { start, slower: 3 }, 5);
    expect(document.verdict).toBe('regression');
    expect(document.differences.map(({ what, blocks }) => [what, blocks])).toEqual([
      ['cagematch', false],
      ['rounds', false],
      ['load before', false],
      ['commit', false],
    ]);
    expect(text).toContain('cagematch: 0.1.0 → 0.2.0');
    expect(text).toContain('commit: not recorded → abc');
    expect(text).toContain('rounds: fixed in advance → auto');
  });

  test('by an image that is made anew in every cold run, it is no difference', () => {
    const cold = { row: { state: 'cold' } } as const;
    expect(compared(cold, { ...cold, image: 'sha256:2' }).document.differences).toEqual([]);
  });
});

describe('matches', () => {
  test.each<[string, Partial<EventOf<'match-started'>>]>([
    ['the two matches have different tasks: hello and other', { task: 'other' }],
    ['the two matches have different states: prepared and warm', { state: 'warm' }],
    ['the two matches have different models: replay and live', { model: 'live' }],
  ])('that do not ask the same are refused: %s', (message, start) => {
    expect(thrownBy(() => compared({}, { start }))).toMatchObject({ code: 'bad-input', message });
  });

  test('with no row that could be compared are refused with the reasons', () => {
    const without = (side: Side) => ({
      ...side,
      report: { ...side.report, modes: side.report.modes.slice(1) },
    });
    const next = sideOf({ id: NEW, row: { state: 'warm' } });
    expect(thrownBy(() => compare(without(sideOf()), without(next)))).toMatchObject({
      code: 'bad-input',
      message:
        'the two matches have no row in common that could be compared (docker: state prepared and warm)',
    });
  });

  test('that are one and the same say so', () => {
    expect(compare(sideOf(), sideOf(), 5)).toMatchObject({
      verdict: 'cannot-say',
      sentence: 'cannot say: BASE and NEW are the same match',
    });
  });

  test('of the same day on this machine, of which the second was 10 % slower as a whole, are no regression of any row', async () => {
    const kept = async (id: string) => {
      const { report, fold } = await finishedFold(findRecord(id, 'results', packageRoot));
      return { report, tallyOf: fold.tallyOf };
    };
    const [base, next] = [await kept('20261121-083021-e23f'), await kept('20261121-180632-935e')];
    // The images were built again in between, and these records do not say what is in them.
    const asTheyAre = compare(base, next, 10);
    expect(asTheyAre.verdict).toBe('cannot-say');
    expect(asTheyAre.sentence).toBe(
      'cannot say of native (uid differs); docker, docker:runsc, podman, podman:rootless, incus (image differs)',
    );
    const modes = next.report.modes.map((mode) => {
      const before = base.report.modes.find(({ entry }) => entry === mode.entry);
      return {
        ...mode,
        detection: before?.detection ?? mode.detection,
        ...(before?.image ? { image: before.image } : {}),
      };
    });
    for (const limit of [0, 5, 10]) {
      const document = compare(base, { ...next, report: { ...next.report, modes } }, limit);
      expect(document).toMatchObject({ verdict: 'none', regressions: [] });
      const { startup } = document.control ?? {};
      if (!startup || 'gap' in startup) throw new Error('no control');
      expect(startup.change).toBeCloseTo(1.1, 1);
      expect(startup.separable).toBe(true);
    }
  });

  test('kept as JSON say the same as their records', () => {
    const side = sideOfReport(JSON.stringify(buildReport(eventsOf({ slower: 1.3, id: NEW }))));
    expect(compare(sideOf(), side, 5)).toEqual(compared({}, { slower: 1.3 }, 5).document);
    expect(() => sideOfReport('{"schemaVersion":2}')).toThrow(/^no report of this version: /);
  });

  test('fit 100 columns, however long names and reasons are', () => {
    const name = 'docker:io.containerd.kata-with-a-very-long-name.v2@a-label-as-well';
    const long = (id: string, kernel: string) => {
      const fold = createFold();
      const events = [
        started({
          match: id,
          host: {
            cpu: 'c',
            cores: 1,
            memoryGiB: 1,
            kernel,
            os: 'o',
            cgroup: 'v2',
            virtualization: 'none',
          },
        }),
        ...row(name, { standIn: true }),
        ran(name, 1, { startup: 123456, total: 234567 }),
        ended(),
      ];
      for (const event of events) fold.push(event);
      return { report: fold.finish(), tallyOf: fold.tallyOf };
    };
    const text = renderComparison(
      compare(long('a', 'one word '.repeat(30)), long('b', 'another word '.repeat(30))),
    );
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
    expect(text).toContain('(stand-in)');
  });
});

describe('cagematch compare', () => {
  let place: ReturnType<typeof standSomewhere>;
  beforeEach(() => {
    place = standSomewhere();
    keep('base', {});
    keep('slow', { id: NEW, slower: 1.3 });
    keep('elsewhere', { id: NEW, slower: 1.3, image: 'sha256:2' });
    keep('other-task', { id: NEW, start: { task: 'other' } });
  });
  afterEach(() => place.close());

  function keep(name: string, scenario: Scenario): void {
    mkdirSync(join(place.cwd, name));
    const lines = eventsOf(scenario).map((event) => `${JSON.stringify(event)}\n`);
    writeFileSync(join(place.cwd, name, 'events.jsonl'), lines.join(''));
  }
  const run = (...args: string[]) => cagematch(ownHouse, ['compare', ...args], { cwd: place.cwd });

  test('exits 1 for a regression over --fail-over and 4 where it cannot say, and its last line is the verdict', async () => {
    const limited = await run('base', 'slow', '--fail-over', '10');
    expect([limited.exitCode, limited.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      'regression over 10 %: docker startup, docker total',
    ]);
    const unlimited = await run('base', 'slow');
    expect([unlimited.exitCode, unlimited.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      0,
      'regression: docker startup, docker total',
    ]);
    expect((await run('base', 'slow', '--fail-over', '50')).exitCode).toBe(0);
    expect((await run('slow', 'base', '--fail-over=0')).exitCode).toBe(0);
    const elsewhere = await run('base', 'elsewhere', '--fail-over', '10');
    expect([elsewhere.exitCode, elsewhere.stdout]).toEqual([
      4,
      expect.stringContaining('\ncannot say of docker (image differs)\n'),
    ]);
    expect((await run('base', 'elsewhere')).exitCode).toBe(0);
    const itself = await run('base', 'base', '--fail-over', '5');
    expect([itself.exitCode, itself.stdout]).toEqual([
      4,
      expect.stringContaining('are the same match\n'),
    ]);
  });

  test('prints Markdown for a comment, the verdict first', async () => {
    const { stdout, exitCode } = await run(
      'base',
      'slow',
      '--fail-over',
      '10',
      '--format',
      'markdown',
    );
    const lines = stdout.split('\n');
    expect([exitCode, lines[0]]).toEqual([
      1,
      '**regression over 10 %: docker startup, docker total**',
    ]);
    expect(lines).toContain('| mode | what | base | new | new/base [95 %] | verdict |');
    expect(
      lines.filter((line) =>
        /^\| `docker` \| startup × host \| [12]\.\d\d \| [12]\.\d\d \| 1\.\d\d \[.*\] \| slower \|$/.test(
          line,
        ),
      ),
    ).toHaveLength(1);
  });

  test('writes JSON to a file beside the table, or alone to stdout', async () => {
    const beside = await run('base', 'slow/events.jsonl', '--json', 'out.json');
    expect(beside.stdout).toContain('regression: docker startup');
    const alone = await run('base', 'slow', '--json', '-');
    expect(comparisonDocument.parse(JSON.parse(alone.stdout))).toEqual(
      JSON.parse(readFileSync(join(place.cwd, 'out.json'), 'utf8')),
    );
    expect(alone.stderr).toContain('regression: docker startup');
  });

  test.each([
    [
      ['base', 'other-task'],
      '✖ the two matches have different tasks: hello and other\nhint: cagematch run --task hello',
    ],
    [['base', 'nosuch'], '✖ no record of a match or probe nosuch\n'],
    [
      ['base', 'slow', '--fail-over', 'much'],
      '✖ --fail-over takes a percentage such as 5 or 2.5\n',
    ],
    [['base', 'slow', '--fail-over=-1'], '✖ --fail-over takes a percentage such as 5 or 2.5\n'],
    [['base', 'slow', '--json', 'no/such/folder.json'], 'cannot be written (ENOENT)\n'],
  ])('refuses %j in one line', async (args, message) => {
    const { exitCode, stderr, stdout } = await run(...args);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});
