// The record of a match: written so that nothing finished is lost, read back strictly, folded into
// a report and its tables.
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { CagematchError } from '../../lib/errors.js';
import type { MatchEvent } from '../../lib/record/types.js';
import { openRecord } from '../../lib/record/write.js';
import { renderMarkdown, replaceRegion } from '../../lib/report/export/markdown.js';
import { buildReport, parseEvents } from '../../lib/report/report.js';
import { renderDetected } from '../../lib/report/terminal/detected.js';
import { coloured, plain, renderTable, WIDTH } from '../../lib/report/terminal/table.js';
import { baseline, ended, FAILED, ran, row, started } from '../support/hand-made-record.js';
import { reportOf } from '../support/report-of.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

const NO_HOOKS = { onEvent: () => {} };

describe('writing', () => {
  test('every event is in the file when emit returns, stamped on the clock of the match', () => {
    const folder = join(temporaryFolder(), 'results', 'match');
    let now = 5000;
    const emitted: MatchEvent[] = [];
    const record = openRecord(folder, { onEvent: (event) => void emitted.push(event) }, () => now);
    now = 5012.3456;
    record.emit({ type: 'warning', code: 'a', message: 'one' });
    const text = readFileSync(join(folder, 'events.jsonl'), 'utf8');
    expect(text).toBe('{"type":"warning","code":"a","message":"one","atMs":12.35}\n');
    expect(parseEvents(text)).toEqual(emitted);
    expect(record.failure()).toBeUndefined();
    record.close();
  });

  test('a folder that is a file is told before anything starts', () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '');
    expect(thrownBy(() => openRecord(path, NO_HOOKS))).toMatchObject({
      code: 'bad-input',
      message: `the output folder ${path} cannot be written (EEXIST)`,
      hint: 'name another with --out DIR',
    });
    expect(thrownBy(() => openRecord(join(path, 'below'), NO_HOOKS))).toMatchObject({
      message: expect.stringContaining('(ENOTDIR)'),
    });
  });

  test('a folder that cannot be written is told before anything starts', () => {
    // Root may write everywhere but where the kernel itself says no.
    const root = process.getuid?.() === 0;
    const parent = root ? '/sys/kernel' : temporaryFolder();
    if (!root) chmodSync(parent, 0o500);
    expect(thrownBy(() => openRecord(join(parent, 'match'), NO_HOOKS))).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/cannot be written \((EACCES|ENOENT|EPERM)\)$/),
    });
  });

  test.runIf(process.platform === 'linux')(
    'a full disk never throws, is told once, and does not stop the events',
    () => {
      const folder = temporaryFolder();
      symlinkSync('/dev/full', join(folder, 'events.jsonl'));
      const types: string[] = [];
      const failures: CagematchError[] = [];
      const record = openRecord(folder, {
        onEvent: (event) => void types.push(event.type),
        onFailure: (error) => void failures.push(error),
      });
      expect(record.failure()).toBeUndefined();
      for (const event of [started(), ran('host', 1, { startup: 1 }), ended()]) record.emit(event);
      expect(types).toEqual(['match-started', 'run-ended', 'match-ended']);
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatchObject({
        code: 'record-failed',
        message: 'events cannot be written (ENOSPC)',
        hint: expect.any(String),
      });
      expect(record.failure()).toBe(failures[0]);
      expect(() => record.close()).not.toThrow();
    },
  );

  test('a record that is opened again is added to', () => {
    const folder = temporaryFolder();
    for (const message of ['one', 'two']) {
      const record = openRecord(folder, NO_HOOKS);
      record.emit({ type: 'warning', code: 'a', message });
      record.close();
    }
    expect(readFileSync(join(folder, 'events.jsonl'), 'utf8').split('\n')).toHaveLength(3);
  });
});

describe('reading back', () => {
  const line = (event: MatchEvent) => JSON.stringify(event);
  const ALL = [started(), ...baseline(), ran('host', 1, { startup: 10 }), ended()];

  test('what was written is what is read', () => {
    expect(parseEvents(`${ALL.map(line).join('\n')}\n`)).toEqual(ALL);
  });

  test('a last line that a crash cut short is left out', () => {
    const text = ALL.map(line).join('\n');
    for (const cut of [1, 10, line(ended()).length - 1])
      expect(parseEvents(text.slice(0, -cut))).toEqual(ALL.slice(0, -1));
  });

  test('any other broken line is an error, with its number', () => {
    const [first = '', ...rest] = ALL.map(line);
    expect(() => parseEvents([first, '{"type":', ...rest].join('\n'))).toThrow(
      /^line 2 is no JSON$/,
    );
    expect(() => parseEvents([first, '', 'null', ...rest].join('\n'))).toThrow(/^line 3: /);
    expect(() => parseEvents([first, '{"type":"run-ended","atMs":1}', ...rest].join('\n'))).toThrow(
      /^line 2: \w+/,
    );
    expect(() =>
      parseEvents([first, '{"type":"unheard-of","atMs":1}', ...rest].join('\n')),
    ).toThrow(/^line 2: type/);
  });

  test('a record of another version says so, and which this one reads', () => {
    const [first, ...rest] = ALL.map(line);
    const other = first?.replace('"schemaVersion":1', '"schemaVersion":2');
    expect(thrownBy(() => parseEvents([other, ...rest].join('\n')))).toMatchObject({
      code: 'bad-input',
      message: 'written by cagematch 0.1.0 (schemaVersion 2); this one reads 1',
      hint: 'npx cagematch@0.1.0 report',
    });
    const nameless = other?.replace('"cagematch":"0.1.0"', '"cagematch":"; rm -rf /"');
    expect(() => parseEvents([nameless, ...rest].join('\n'))).toThrow(
      'written by another cagematch (schemaVersion 2); this one reads 1',
    );
  });

  test('an empty record, or one without its beginning, is an error in words', () => {
    expect(parseEvents('')).toEqual([]);
    expect(() => buildReport([])).toThrow('the record does not begin with match-started');
  });
});

describe('the report', () => {
  const three = (entry: string, startups: number[], totals: number[] = startups) =>
    startups.map((startup, index) =>
      ran(entry, index + 1, { startup, total: (totals[index] ?? 0) + 100, model: 10 }),
    );

  test('holds medians, extremes and every sample in its order', async () => {
    const { modeOf } = await reportOf([
      started(),
      ...baseline(),
      ...three('host', [300, 100, 200]),
      ended(),
    ]);
    expect(modeOf('host')).toMatchObject({
      n: 3,
      passed: 3,
      startupMs: {
        median: 200,
        min: 100,
        max: 300,
        samples: [300, 100, 200],
        ci95: { gap: 'too-few-runs' },
      },
      startupRatio: { median: 1 },
      taxRatio: { median: 1 },
    });
  });

  test('holds each row against the baseline: startup and tax paired by round, and nothing taken out of a replay', async () => {
    const { modeOf } = await reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      // Paired 3, 2, 4.
      ...[100, 200, 400].map((total, at) =>
        ran('host', at + 1, { startup: 100, total, model: 10 }),
      ),
      ...[300, 400, 1600].map((total, at) =>
        ran('docker', at + 1, { startup: 250, total, model: 50 }),
      ),
      ended(),
    ]);
    expect(modeOf('docker').startupRatio).toMatchObject({ median: 2.5 });
    expect(modeOf('docker').taxRatio).toMatchObject({
      median: expect.closeTo(2 ** 0.25 * 6 ** 0.5, 9),
      ci95: { gap: 'too-few-runs' },
    });
  });

  test('pairs only rounds that both passed', async () => {
    const { modeOf, report } = await reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      ran('host', 1, { startup: 100, total: 100, model: 10 }),
      ran('host', 2, { startup: 1, total: 2, model: 1 }, { outcome: FAILED }),
      ran('docker', 1, { startup: 200, total: 200, model: 10 }),
      ran('docker', 2, { startup: 900, total: 910, model: 10 }),
      ended(),
    ]);
    expect(modeOf('docker').taxRatio).toEqual({ median: 2, ci95: { gap: 'too-few-runs' } });
    const gap = { gap: 'too-few-runs' };
    const few = { ci95: gap, p: 1, separable: gap, equal: gap, noise: gap };
    expect(report.comparisons).toEqual([
      {
        a: 'host',
        b: 'docker',
        n: 1,
        ratio: 0.5,
        differenceMs: { median: -100, ci95: { gap: 'too-few-runs' } },
        ...few,
        total: {
          ratio: 0.5,
          differenceMs: { median: -100, ci95: { gap: 'too-few-runs' } },
          ...few,
        },
      },
    ]);
  });

  test('a failed run never enters a time, however fast it was', async () => {
    const { modeOf } = await reportOf([
      started(),
      ...baseline(),
      ran('host', 1, { startup: 100 }),
      ran('host', 2, { startup: 1, total: 2 }, { outcome: FAILED }),
      ended(),
    ]);
    expect(modeOf('host')).toMatchObject({
      n: 2,
      passed: 1,
      startupMs: { samples: [100], median: 100, ci95: { gap: 'too-few-runs' } },
      failures: [{ run: 'host#2', outcome: FAILED }],
    });
  });

  test('warm-up rounds are kept among the runs and counted nowhere', async () => {
    const warmup = ran(
      'host',
      1,
      { startup: 9999 },
      { warmup: true, outcome: FAILED, leftovers: [{ kind: 'process', id: 'x' }] },
    );
    const { modeOf, report } = await reportOf([
      started({ warmup: 1 }),
      ...baseline(),
      warmup,
      ran('host', 2, { startup: 100 }),
      ended(),
    ]);
    expect(modeOf('host')).toMatchObject({
      n: 1,
      passed: 1,
      startupMs: { samples: [100] },
      failures: [],
      leftovers: [],
    });
    expect(report.runs).toHaveLength(2);
  });

  test('what was not measured is a gap with its cause, listed, and nowhere a 0', async () => {
    const { modeOf, report } = await reportOf([
      started(),
      ...row('docker'),
      ran('docker', 1, {}, { outcome: FAILED }),
      ended(),
    ]);
    const docker = modeOf('docker');
    expect(docker).toMatchObject({
      startupMs: { gap: 'not-reached' },
      startupRatio: { gap: 'no-baseline' },
      taxRatio: { gap: 'no-baseline' },
      imageMs: { gap: 'not-reached' },
    });
    for (const [name, value] of Object.entries(docker.phasesMs))
      expect(value, name).toEqual({ gap: 'not-reached' });
    expect(report.gaps).toEqual(
      expect.arrayContaining([
        { entry: 'docker', value: 'startupMs', gap: 'not-reached' },
        { entry: 'docker', value: 'startupRatio', gap: 'no-baseline' },
        { entry: 'docker', value: 'taxRatio', gap: 'no-baseline' },
      ]),
    );
  });

  test('a live match is held against the OS sandbox where it has no open host', async () => {
    const rows = [
      ...row('srt', { isolation: 'os-sandbox' }),
      ...row('docker'),
      ran('srt', 1, { startup: 100 }),
      ran('docker', 1, { startup: 250 }),
      ended(),
    ];
    const live = await reportOf([started({ model: 'live' }), ...rows]);
    expect(live.report.match.baseline).toBe('srt');
    expect(live.modeOf('docker').startupRatio).toMatchObject({ median: 2.5 });
    expect(renderTable(live.report)).toContain('× srt');
    const replayed = await reportOf([started(), ...rows]);
    expect(replayed.report.match.baseline).toBeUndefined();
    expect(replayed.modeOf('docker').startupRatio).toEqual({ gap: 'no-baseline' });
  });

  test('a measured 0 is a 0, and no gap', async () => {
    const { modeOf } = await reportOf([
      started(),
      ...baseline(),
      ran('host', 1, { startup: 10, collect: 0 }),
      ended(),
    ]);
    expect(modeOf('host').phasesMs.collect).toMatchObject({ median: 0, samples: [0] });
  });

  test('leftovers that the runtime could not tell are a gap, not none', async () => {
    const unknown = { leftovers: { gap: 'not-reported' } } as const;
    const some = { leftovers: [{ kind: 'container', id: 'c1' }] };
    const { modeOf, report } = await reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      ...row('podman'),
      ...row('incus'),
      ran('host', 1),
      ran('docker', 1, {}, unknown),
      ran('docker', 2),
      ran('podman', 1, {}, unknown),
      ran('podman', 2, {}, some),
      ended(),
    ]);
    expect(modeOf('host').leftovers).toEqual([]);
    expect(modeOf('docker').leftovers).toEqual({ gap: 'not-reported' });
    expect(modeOf('podman').leftovers).toEqual(some.leftovers);
    expect(modeOf('incus').leftovers).toEqual({ gap: 'not-reached' });
    expect(report.gaps).toContainEqual({
      entry: 'docker',
      value: 'leftovers',
      gap: 'not-reported',
    });
    const lines = renderTable(report).split('\n');
    const cells = (name: string) =>
      lines
        .find((line) => line.startsWith(`A ${name} `) || line.startsWith(`A ${name}`))
        ?.trimEnd();
    expect(cells('docker')).toMatch(/–$/);
    expect(cells('incus')).toMatch(/–$/);
    expect(cells('podman')).toMatch(/1 container$/);
  });

  test('a row that could not be prepared stands with its reason and without runs', async () => {
    const outcome = {
      status: 'failed',
      cause: 'image',
      message: 'no base image',
      hint: 'set CAGEMATCH_BASE_IMAGE',
    } as const;
    const { modeOf, report } = await reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      { type: 'unprepared', atMs: 5, entry: 'docker', outcome },
      ...three('host', [1, 2, 3]),
      ended(),
    ]);
    expect(modeOf('docker')).toMatchObject({
      n: 0,
      passed: 0,
      failures: [{ run: 'docker prepare', outcome }],
      sync: { gap: 'not-reached' },
    });
    expect(renderTable(report)).toMatch(
      /docker prepare: image: no base image\n +hint: set CAGEMATCH_BASE_IMAGE/,
    );
  });

  test('one run whose files did not come is what the row says of its sync', async () => {
    const lost = { sync: { in: 'yes', out: 'no', live: { gap: 'not-reached' } } } as const;
    const { modeOf } = await reportOf([
      started(),
      ...baseline(),
      ran('host', 1),
      ran('host', 2, {}, lost),
      ran('host', 3),
      ended(),
    ]);
    expect(modeOf('host').sync).toEqual({ in: 'yes', out: 'no', live: { gap: 'not-reached' } });
  });

  test('rows that always differ are separable, and rows that do not are not', async () => {
    const rounds = Array.from({ length: 8 }, (_, at) => at + 1);
    const { report } = await reportOf([
      started({ runs: 8 }),
      ...baseline(),
      ...row('docker'),
      ...row('podman'),
      ...rounds.map((round) => ran('host', round, { startup: 100 + round })),
      ...rounds.map((round) => ran('docker', round, { startup: 300 + round })),
      ...rounds.map((round) =>
        ran('podman', round, { startup: 300 + round + (round % 2 === 0 ? 20 : -20) }),
      ),
      ended(),
    ]);
    const separable = Object.fromEntries(
      report.comparisons.map(({ a, b, separable }) => [`${a} ${b}`, separable]),
    );
    expect(separable).toEqual({ 'host docker': true, 'host podman': true, 'docker podman': false });
  });

  test('the same record is the same report, every time', async () => {
    const events = [
      started(),
      ...baseline(),
      ...row('docker'),
      ...three('host', [1, 5, 9]),
      ...three('docker', [4, 7, 20]),
      ended(),
    ];
    expect(buildReport(events)).toEqual(buildReport(events));
  });

  test('a record without its end is of a match that crashed', async () => {
    const { report } = await reportOf([started(), ...baseline(), ran('host', 1, { startup: 5 })]);
    expect(report.match).toMatchObject({ how: 'crashed' });
    expect(report.match).not.toHaveProperty('endedAt');
    expect(renderTable(report)).toMatch(/cut short \(crashed\)/);
  });
});

describe('the table', () => {
  const ESCAPES = String.fromCharCode(27);

  /** Everything at its longest. */
  async function longReport() {
    const reason =
      'a reason that goes on and on, with many words in it and no end in sight; '.repeat(4);
    const path = `/a/very/long/path/${'without-any-space-in-it/'.repeat(8)}file`;
    const name = 'docker:io.containerd.kata-with-a-very-long-name.v2';
    const times = { startup: 12_345.6, total: 23_456.7, model: 1 };
    const { report } = await reportOf([
      started({ modelWhy: reason }),
      ...row('host', { letter: '-', isolation: 'none', title: 'Host' }),
      ...row(name, { standIn: true, isolation: 'system-container' }),
      ...row('a-mode-with-a-long-name', { isolation: 'system-container' }),
      ...[1, 2, 3].flatMap((round) => [
        ran('host', round, times),
        ran(
          name,
          round,
          { ...times, startup: times.startup * round },
          {
            auth: { path: 'remote-secret', delivered: { gap: 'not-reached' } },
            sync: { in: 'yes', out: 'yes', live: 'no' },
            leftovers: [
              { kind: 'container', id: 'x' },
              { kind: 'process', id: 'y' },
              { kind: 'network', id: 'z' },
            ],
          },
        ),
        ran(
          'a-mode-with-a-long-name',
          round,
          {},
          { outcome: { ...FAILED, message: `${reason} ${path}`, hint: reason } as typeof FAILED },
        ),
      ]),
      {
        type: 'left-out',
        atMs: 3,
        entry: 'fly',
        letter: 'C',
        title: 'Fly.io',
        status: 'absent',
        reason,
        hint: reason,
      },
      { type: 'warning', atMs: 3, code: 'swept', message: reason },
      ended(),
    ]);
    return { report, path };
  }

  test(`fits ${WIDTH} columns, however long names and reasons are; only a single word stands out`, async () => {
    const { report, path } = await longReport();
    for (const style of [plain, coloured]) {
      for (const line of stripVTControlCharacters(renderTable(report, style)).split('\n')) {
        if (line.trim() !== path) expect(line.length, line).toBeLessThanOrEqual(WIDTH);
      }
    }
  });

  test('shortens nothing: every name stands in it whole, over as many lines as it takes', async () => {
    const { report } = await longReport();
    const text = renderTable(report);
    const firstColumn = text
      .split('\n\n')[0]
      ?.split('\n')
      .map((line) => line.slice(0, line.indexOf('  ') === -1 ? undefined : line.indexOf('  ')))
      .join('');
    expect(firstColumn).toContain('docker:io.containerd.kata-with-a-very-long-name.v2');
  });

  test('has no escape codes in plain style, also where a runtime printed some', async () => {
    const reason = `${ESCAPES}[31mcannot connect${ESCAPES}[0m`;
    const { report } = await reportOf([
      started(),
      ...baseline(),
      ran('host', 1, {}, { outcome: { status: 'failed', cause: 'sandbox', message: reason } }),
      {
        type: 'left-out',
        atMs: 3,
        entry: 'fly',
        letter: 'C',
        title: 'Fly.io',
        status: 'broken',
        reason,
        hint: reason,
      },
      { type: 'warning', atMs: 3, code: 'x', message: reason },
      ended(),
    ]);
    expect(renderTable(report, plain)).not.toContain(ESCAPES);
    expect(renderTable(report, plain)).toContain('cannot connect');
    expect(renderMarkdown(report)).not.toContain(ESCAPES);
    expect(renderTable(report, coloured)).toContain(`${ESCAPES}[`);
  });

  test('marks the numbers of a stand-in as no finding', async () => {
    const { report } = await reportOf([
      started(),
      ...row('docker', { standIn: true }),
      ran('docker', 1, { startup: 5 }),
      ended(),
    ]);
    expect(renderTable(report)).toMatch(/docker \(stand-in\)/);
    expect(renderTable(report)).toMatch(/its numbers are no finding/);
    expect(renderMarkdown(report)).toMatch(/docker \(stand-in\)/);
    const { report: real } = await reportOf([
      started(),
      ...row('docker'),
      ran('docker', 1, { startup: 5 }),
      ended(),
    ]);
    expect(renderTable(real)).not.toMatch(/stand-in/);
  });

  test('shows a gap as a dash and never as a 0', async () => {
    const { report } = await reportOf([
      started(),
      ...row('docker'),
      ran('docker', 1, {}, { outcome: FAILED }),
      ended(),
    ]);
    const line = renderTable(report)
      .split('\n')
      .find((line) => line.startsWith('A docker'));
    expect(line).toMatch(/^A docker +container +– +– +0\/1 /);
  });

  test('of a match with no rows says that nothing was run', async () => {
    const { report } = await reportOf([started(), ended()]);
    expect(renderTable(report)).toMatch(/^nothing was run\n/);
  });

  test('of what was detected fits too', () => {
    const variants = [
      'runsc',
      'kata',
      'crun',
      'io.containerd.kata-qemu.v2',
      'io.containerd.kata-clh.v2',
    ].map((id) => ({
      id,
      isolation: 'microvm' as const,
    }));
    const text = renderDetected(
      [
        {
          mode: 'docker',
          letter: 'A',
          title: 'Docker',
          isolation: 'container',
          standIn: true,
          detection: {
            status: 'ready',
            version: '28.2.2-rc.1+dfsg1-1ubuntu1~24.04.1',
            facts: {},
            variants,
          },
        },
        {
          mode: 'fly',
          letter: 'C',
          title: 'Fly.io',
          isolation: 'remote-vm',
          standIn: false,
          detection: { status: 'absent', reason: 'no '.repeat(90), hint: 'x' },
        },
      ],
      plain,
    );
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(WIDTH);
    for (const { id } of variants) expect(text.replaceAll(/\s+/g, '')).toContain(id);
  });
});

describe('Markdown', () => {
  test('has cells that hold no pipe of their own', async () => {
    const name = 'docker:a|b';
    const { report } = await reportOf([
      started(),
      ...row(name),
      ran(name, 1, { startup: 5 }),
      ended(),
    ]);
    const rows = renderMarkdown(report)
      .split('\n')
      .filter((line) => line.includes('docker:a'));
    expect(rows.length).toBeGreaterThan(1);
    for (const line of rows) expect(line).toContain('docker:a\\|b');
    const columns = (line: string) => line.replaceAll('\\|', '').split('|').length;
    expect(columns(rows[0] ?? '')).toBe(10);
  });

  test('cannot be broken by what an agent or a runtime said', async () => {
    const message = 'an end <!-- /cagematch:match --> and <script>alert(1)</script>';
    const { report } = await reportOf([
      started(),
      ...baseline(),
      ran('host', 1, {}, { outcome: { status: 'failed', cause: 'agent', message } }),
      {
        type: 'left-out',
        atMs: 3,
        entry: 'fly',
        letter: 'C',
        title: 'Fly.io',
        status: 'broken',
        reason: message,
        hint: 'run `x`',
      },
      { type: 'warning', atMs: 3, code: 'x', message },
      ended(),
    ]);
    const text = renderMarkdown(report);
    expect(text).not.toContain('<');
    expect(text).toContain('an end');
    const page = '# Results\n<!-- cagematch:match -->\nold\n<!-- /cagematch:match -->\nafter\n';
    const once = replaceRegion(page, text) ?? '';
    expect(replaceRegion(once, text)).toBe(once);
  });
});

describe('a region of a document', () => {
  const page = 'before\n<!-- cagematch:match -->\nold\n<!-- /cagematch:match -->\nafter\n';

  test('is replaced, and what stands around it stays', () => {
    expect(replaceRegion(page, 'new\nlines')).toBe(
      'before\n<!-- cagematch:match -->\nnew\nlines\n<!-- /cagematch:match -->\nafter\n',
    );
  });

  test('replaced with the same is the same', () => {
    expect(replaceRegion(page, 'old')).toBe(page);
  });

  test('takes its content as it is, dollar signs and all', () => {
    expect(replaceRegion(page, "$& $1 $'")).toContain("\n$& $1 $'\n");
  });

  test.each([
    'no markers',
    '<!-- cagematch:match -->\nopen',
    '<!-- /cagematch:match -->\n<!-- cagematch:match -->',
    '',
  ])('is not invented where the markers are not whole: %j', (document) => {
    expect(replaceRegion(document, 'new')).toBeUndefined();
  });

  test('may have any markers', () => {
    expect(replaceRegion('<a>x</a>', 'y', { begin: '<a>', end: '</a>' })).toBe('<a>\ny\n</a>');
  });
});
