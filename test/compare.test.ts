// Two matches held against each other: what is slower, what may be called a regression, and what cannot be compared at all.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clocks, Entry, EventOf, MatchEvent } from '../lib/record.js';
import { compare, type Side } from '../lib/report/compare/compare.js';
import { comparisonDocument } from '../lib/report/compare/comparison.js';
import { sideOfReport } from '../lib/report/compare/reread.js';
import { createFold } from '../lib/report/fold.js';
import { buildReport } from '../lib/report/report.js';
import { renderComparison } from '../lib/report/terminal/compare-table.js';
import { baseline, ended, FAILED, HOST, ran, row, started, VERSIONS } from './hand-made-record.js';
import { cagematch, ownHouse, standSomewhere } from './house.js';
import { thrownBy } from './thrown.js';

const ROUNDS = 12;

interface Told {
  id?: string;
  start?: Partial<EventOf<'match-started'>>;
  /** How many times as long as usual. */
  slower?: number;
  row?: Partial<Entry>;
  detection?: EventOf<'detected'>['detection'];
  image?: string;
  change?: (round: number) => Partial<EventOf<'run-ended'>>;
  more?: MatchEvent[];
  end?: MatchEvent[];
}

const clocks = (round: number, factor: number): Partial<Clocks> => {
  const spread = 1 + ((round * 7) % 12) / 200;
  return { startup: 300 * factor * spread, work: 200 * spread, model: 20, total: 600 * factor * spread };
};

function eventsOf(told: Told): MatchEvent[] {
  const [detected, entered] = row('docker', told.row) as [EventOf<'detected'>, MatchEvent];
  return [
    started({ match: told.id ?? '20261121-040000-aaaa', ...told.start }),
    ...baseline(),
    told.detection ? { ...detected, detection: told.detection } : detected,
    entered,
    { type: 'prepared', atMs: 3, entry: 'docker', imageMs: 5, image: told.image ?? 'sha256:1' },
    ...Array.from({ length: ROUNDS }, (_, at) => at + 1).flatMap((round) => [
      ran('host', round, clocks(round, 1)),
      ran('docker', round, clocks(round, 2 * (told.slower ?? 1)), told.change?.(round)),
    ]),
    ...(told.more ?? []),
    ...(told.end ?? [ended()]),
  ];
}

function sideOf(told: Told = {}): Side {
  const fold = createFold();
  for (const event of eventsOf(told)) fold.push(event);
  return { report: fold.finish(), tallyOf: fold.tallyOf };
}

const NEW = '20261121-050000-bbbb';

function compared(base: Told, next: Told, failOver?: number) {
  const document = compare(sideOf(base), sideOf({ id: NEW, ...next }), failOver);
  expect(comparisonDocument.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
  const docker = document.rows.find(({ entry }) => entry === 'docker');
  return { document, docker, text: renderComparison(document) };
}

describe('a row', () => {
  test('that takes longer in all runs is slower, in startup, total and tax, and by how much is told with an interval', () => {
    const { docker, document } = compared({}, { slower: 1.3 });
    expect(docker?.measures.startup).toMatchObject({ direction: 'slower', n: { base: ROUNDS, new: ROUNDS } });
    for (const name of ['startup', 'total', 'tax'] as const) {
      const measure = docker?.measures[name];
      if (!measure || 'gap' in measure || 'gap' in measure.ci95) throw new Error(`no ${name}`);
      expect(measure.ratio, name).toBeCloseTo(1.3, 1);
      expect(measure.ci95[0], name).toBeGreaterThan(1);
      expect(measure.ci95[1], name).toBeGreaterThan(measure.ratio - 0.001);
    }
    expect(docker?.measures.work).toMatchObject({ direction: 'not separable' });
    expect(document.rows.find(({ entry }) => entry === 'host')?.measures.startup).toMatchObject({ direction: 'not separable' });
  });

  test('that takes less is faster, and no regression', () => {
    const { docker, document } = compared({}, { slower: 0.7 }, 0);
    expect(docker?.measures.startup).toMatchObject({ direction: 'faster' });
    expect(document).toMatchObject({ verdict: 'none', regressions: [], sentence: 'no regression over 0 %' });
  });

  test('that takes the same is not separable, and says at how many runs', () => {
    const { docker, text } = compared({}, {});
    expect(docker?.measures.startup).toMatchObject({ direction: 'not separable' });
    expect(text).toContain('not separable at n=12');
  });

  test('of fewer than six runs is told apart from nothing', () => {
    const few = (told: Told) => {
      const fold = createFold();
      for (const event of eventsOf(told)) if (event.type !== 'run-ended' || event.round <= 5) fold.push(event);
      return { report: fold.finish(), tallyOf: fold.tallyOf };
    };
    const document = compare(few({}), few({ id: NEW, slower: 3 }), 5);
    expect(document).toMatchObject({ verdict: 'none' });
    expect(document.rows[1]?.measures.startup).toMatchObject({ direction: { gap: 'too-few-runs' } });
    expect(renderComparison(document)).toContain('not separable at n=5: at least 6 are needed');
  });

  test('that only one of them has is named', () => {
    const podman = [...row('podman'), ran('podman', 1, clocks(1, 1))];
    const { document, text } = compared({ more: podman }, { more: row('incus') });
    expect(document.onlyIn).toEqual({ base: ['podman'], new: ['incus'] });
    expect(text).toMatch(/podman: only in BASE\n +incus: only in NEW/);
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
    expect(document.verdict).toBe('none');
    expect(text).toContain(`docker: ${why}`);
  });

  test('of a task that only has the same name is not compared; of one whose content nobody has recorded it is', () => {
    const of = (taskDigest: string) => ({ row: { taskDigest } });
    expect(compared(of('aaaa'), of('bbbb')).document.notCompared).toEqual([
      { entry: 'docker', why: 'the task hello is not the same: its content is aaaa and bbbb' },
    ]);
    for (const base of [of('aaaa'), {}]) expect(compared(base, of('aaaa')).document.notCompared).toEqual([]);
  });

  test('whose options stand in another order asks the same', () => {
    const { document } = compared({ row: { options: { tmpfs: true, cpus: 2 } } }, { row: { options: { cpus: 2, tmpfs: true } } });
    expect(document.notCompared).toEqual([]);
  });
});

describe('a regression', () => {
  test('is a separable slow-down over the limit', () => {
    const { document } = compared({}, { slower: 1.3 }, 10);
    expect(document).toMatchObject({ verdict: 'regression', failOver: 10 });
    expect(document.sentence).toBe('regression over 10 %: docker startup, docker total, docker tax');
  });

  test('is none where the slow-down is within the limit', () => {
    expect(compared({}, { slower: 1.3 }, 50).document).toMatchObject({ verdict: 'none', sentence: 'no regression over 50 %' });
  });

  test('is also a row that passed whole and now fails some, whatever the limit', () => {
    const { document, docker, text } = compared({}, { change: (round) => (round === 4 ? { outcome: FAILED } : {}) }, 50);
    expect(docker?.passes).toEqual({ base: { passed: 12, n: 12 }, new: { passed: 11, n: 12 }, lost: true });
    expect(document.regressions).toEqual([{ entry: 'docker', what: 'passed' }]);
    expect(text).toMatch(/passed +12\/12 +11\/12 +fails/);
  });

  test('is a row that could not be prepared any more', () => {
    const next = eventsOf({ id: NEW }).filter((event) => event.type !== 'run-ended' || event.entry !== 'docker');
    const fold = createFold();
    for (const event of next) fold.push(event);
    fold.push({ type: 'unprepared', atMs: 1, entry: 'docker', outcome: FAILED });
    const document = compare(sideOf(), { report: fold.finish(), tallyOf: fold.tallyOf }, 5);
    expect(document.regressions).toEqual([{ entry: 'docker', what: 'passed' }]);
  });

  test('is not one that had failures before, unless it lost more of its share than the limit', () => {
    const failing = (rounds: number[]) => ({
      change: (round: number) => (rounds.includes(round) ? { outcome: FAILED } : {}),
    });
    expect(compared(failing([1]), failing([1, 2]), 10).document.regressions).toEqual([]);
    expect(compared(failing([1]), failing([1, 2, 3, 4]), 10).document.regressions).toEqual([{ entry: 'docker', what: 'passed' }]);
  });

  test('is not a run that the user cut short, and a match that was cut short says so', () => {
    const interrupted = { outcome: { status: 'failed', cause: 'interrupted', message: 'interrupted' } } as const;
    const { document, text } = compared({}, { change: (round) => (round === 12 ? interrupted : {}), end: [ended('interrupted')] }, 5);
    expect(document).toMatchObject({ verdict: 'none' });
    expect(text).toContain(`warning: NEW (${NEW}) was interrupted: only what it had finished is compared`);
    expect(compared({ end: [] }, {}).text).toContain('has crashed: only what it had finished');
  });
});

describe('where the surroundings differ', () => {
  const facts = (more: object) => ({ status: 'ready' as const, version: '1.2.3', facts: { ...more } });

  test.each<[string, Told, string]>([
    ['another CPU', { start: { host: { ...HOST, cpu: 'Another' } } }, 'cpu'],
    ['other cores', { start: { host: { ...HOST, cores: 4 } } }, 'cores'],
    ['other memory', { start: { host: { ...HOST, memoryGiB: 16 } } }, 'memoryGiB'],
    ['another kernel', { start: { host: { ...HOST, kernel: '6.2.0' } } }, 'kernel'],
    ['another system', { start: { host: { ...HOST, os: 'Fedora' } } }, 'os'],
    ['another cgroup', { start: { host: { ...HOST, cgroup: 'v1' } } }, 'cgroup'],
    ['another virtualization', { start: { host: { ...HOST, virtualization: 'vm' } } }, 'virtualization'],
    ['another agent', { start: { versions: { ...VERSIONS, agent: '3' } } }, 'agent'],
    ['another Node', { start: { versions: { ...VERSIONS, node: 'v24' } } }, 'node'],
    ['another version of the runtime', { detection: { ...facts({}), version: '2.0.0' } }, 'docker version'],
    ['another fact of the runtime', { detection: facts({ storage: 'btrfs' }) }, 'docker storage'],
    ['another image', { image: 'sha256:2' }, 'docker image'],
  ])('by %s, nothing is called a regression, and it says by what', (_, told, what) => {
    const { document, text } = compared({}, { ...told, slower: 3 }, 5);
    expect(document).toMatchObject({ verdict: 'withheld', regressions: [], sentence: `not called a regression: ${what} differ` });
    expect(document.rows[1]?.measures.startup).toMatchObject({ direction: 'slower' });
    expect(text).toContain(`${what}: `);
    expect(text.trimEnd().split('\n').at(-1)).toBe(`not called a regression: ${what} differ`);
  });

  test('by load, commit or cagematch itself, it is shown and does not hold back: these are what one compares, or never the same', () => {
    const start = { load: [1, 2, 3] as [number, number, number], versions: { ...VERSIONS, cagematch: '0.2.0', commit: 'abc' } };
    const { document, text } = compared({}, { start, slower: 3 }, 5);
    expect(document.verdict).toBe('regression');
    expect(document.differences.map(({ what, blocks }) => [what, blocks])).toEqual([
      ['cagematch', false],
      ['load before', false],
      ['commit', false],
    ]);
    expect(text).toContain('cagematch: 0.1.0 → 0.2.0');
    expect(text).toContain('commit: not recorded → abc');
  });

  test('by an image that is made anew in every cold run, it is no difference', () => {
    const cold = { row: { state: 'cold' } } as const;
    expect(compared(cold, { ...cold, image: 'sha256:2' }).document.differences).toEqual([]);
  });

  test('by the baseline, tax is not compared', () => {
    const other = sideOf({ id: NEW });
    const bare = compare(sideOf(), { ...other, report: { ...other.report, match: { ...other.report.match, baseline: 'docker' } } });
    expect(bare.rows[1]?.measures.tax).toEqual({ gap: 'no-baseline' });
    expect(bare.warnings).toEqual(['tax is held against host in BASE and docker in NEW: it is not compared']);
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
    const without = (side: Side) => ({ ...side, report: { ...side.report, modes: side.report.modes.slice(1) } });
    const next = sideOf({ id: NEW, row: { state: 'warm' } });
    expect(thrownBy(() => compare(without(sideOf()), without(next)))).toMatchObject({
      code: 'bad-input',
      message: 'the two matches have no row in common that could be compared (docker: state prepared and warm)',
    });
  });

  test('that are one and the same say so', () => {
    expect(compare(sideOf(), sideOf()).warnings).toEqual(['both are the same match']);
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
        started({ match: id, host: { cpu: 'c', cores: 1, memoryGiB: 1, kernel, os: 'o', cgroup: 'v2', virtualization: 'none' } }),
        ...row(name, { standIn: true }),
        ran(name, 1, { startup: 123456, total: 234567 }),
        ended(),
      ];
      for (const event of events) fold.push(event);
      return { report: fold.finish(), tallyOf: fold.tallyOf };
    };
    const text = renderComparison(compare(long('a', 'one word '.repeat(30)), long('b', 'another word '.repeat(30))));
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

  function keep(name: string, told: Told): void {
    mkdirSync(join(place.cwd, name));
    const lines = eventsOf(told).map((event) => `${JSON.stringify(event)}\n`);
    writeFileSync(join(place.cwd, name, 'events.jsonl'), lines.join(''));
  }
  const run = (...args: string[]) => cagematch(ownHouse, ['compare', ...args], { cwd: place.cwd });

  test('exits 1 for a regression over --fail-over only, and its last line is the verdict', async () => {
    const limited = await run('base', 'slow', '--fail-over', '10');
    expect([limited.exitCode, limited.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      'regression over 10 %: docker startup, docker total, docker tax',
    ]);
    const unlimited = await run('base', 'slow');
    expect([unlimited.exitCode, unlimited.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      0,
      'regression: docker startup, docker total, docker tax',
    ]);
    expect((await run('base', 'slow', '--fail-over', '50')).exitCode).toBe(0);
    expect((await run('slow', 'base', '--fail-over=0')).exitCode).toBe(0);
    const elsewhere = await run('base', 'elsewhere', '--fail-over', '10');
    expect([elsewhere.exitCode, elsewhere.stdout]).toEqual([0, expect.stringContaining('not called a regression: docker image differ')]);
  });

  test('writes JSON to a file beside the table, or alone to stdout', async () => {
    const beside = await run('base', 'slow/events.jsonl', '--json', 'out.json');
    expect(beside.stdout).toContain('regression: docker startup');
    const alone = await run('base', 'slow', '--json', '-');
    expect(comparisonDocument.parse(JSON.parse(alone.stdout))).toEqual(JSON.parse(readFileSync(join(place.cwd, 'out.json'), 'utf8')));
    expect(alone.stderr).toContain('regression: docker startup');
  });

  test.each([
    [['base', 'other-task'], '✖ the two matches have different tasks: hello and other\nhint: cagematch run --task hello'],
    [['base', 'nosuch'], '✖ no record of a match or probe nosuch\n'],
    [['base', 'slow', '--fail-over', 'much'], '✖ --fail-over takes a percentage such as 5 or 2.5\n'],
    [['base', 'slow', '--fail-over=-1'], '✖ --fail-over takes a percentage such as 5 or 2.5\n'],
    [['base', 'slow', '--json', 'no/such/folder.json'], 'cannot be written (ENOENT)\n'],
  ])('refuses %j in one line', async (args, said) => {
    const { exitCode, stderr, stdout } = await run(...args);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(said);
  });
});
