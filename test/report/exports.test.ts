// A match for other tools: CSV, hyperfine's JSON, a Chrome trace, and the report's own JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../lib/package.js';
import type { MatchEvent } from '../../lib/record/types.js';
import { reportSchema } from '../../lib/report/document.js';
import { createCsv, type Exporter } from '../../lib/report/export/csv.js';
import { renderHyperfine } from '../../lib/report/export/hyperfine.js';
import { createJson } from '../../lib/report/export/json.js';
import { createTrace } from '../../lib/report/export/trace.js';
import { createFold } from '../../lib/report/fold.js';
import { buildReport } from '../../lib/report/report.js';
import { baseline, ended, FAILED, ran, row, started } from '../support/hand-made-record.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';

function written(
  make: (write: (text: string) => void) => Exporter,
  events: readonly MatchEvent[],
): string {
  let text = '';
  const exporter = make((chunk) => {
    text += chunk;
  });
  for (const event of events) exporter.push(event);
  exporter.end();
  return text;
}

/**
 * RFC 4180, read by its own grammar: quoted fields may hold anything, and a quote in them is
 * doubled.
 */
function parseCsv(text: string): Record<string, string>[] {
  const records = text
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
      expect(fields.map(([whole]) => whole).join('')).toBe(line);
      return fields.map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '');
    });
  const [head = [], ...rows] = records;
  for (const cells of rows) expect(cells).toHaveLength(head.length);
  return rows.map((cells) => Object.fromEntries(cells.map((cell, at) => [head[at], cell])));
}

const failing = (message: string) =>
  ({ outcome: { status: 'failed', cause: 'agent', message } }) as const;

describe('CSV', () => {
  test('has a line for every run, warm-up and failed ones too, with all clocks, costs and the row’s options', () => {
    const cost = { memoryPeakBytes: 1e9, cpuUserMs: 300.5, cpuSystemMs: 20 };
    const rows = parseCsv(
      written(createCsv, [
        started(),
        ...row('docker:runsc@a', {
          variant: 'runsc',
          label: 'a',
          state: 'warm',
          options: { network: 'none', cpus: 1.5, tmpfs: true, memoryMiB: 512 },
        }),
        ran('docker:runsc@a', 1, { startup: 1, firstProcess: 0 }, { warmup: true }),
        ran(
          'docker:runsc@a',
          2,
          { startup: 12.25 },
          { cost, level: 4, leftovers: [{ kind: 'container', id: 'x' }] },
        ),
        ran('docker:runsc@a', 3, {}, { outcome: FAILED }),
        ended(),
      ]),
    );
    expect(rows.map(({ round, warmup, outcome }) => [round, warmup, outcome])).toEqual([
      ['1', 'true', 'passed'],
      ['2', 'false', 'passed'],
      ['3', 'false', 'failed'],
    ]);
    expect(rows[0]).toMatchObject({ first_process_ms: '0', first_process_ms_gap: '' });
    expect(rows[1]).toMatchObject({
      match: '20261121-040000-abcd',
      run: 'docker:runsc@a#2',
      variant: 'runsc',
      label: 'a',
      state: 'warm',
      network: 'none',
      tmpfs: 'true',
      cpus: '1.5',
      memory_mib: '512',
      level: '4',
      startup_ms: '12.25',
      memory_peak_bytes: '1000000000',
      cpu_user_ms: '300.5',
      leftovers: '1',
    });
    expect(rows[2]).toMatchObject({ cause: 'agent', message: 'the agent ended with exit code 3' });
  });

  test('leaves what was not measured empty, with the cause beside it', () => {
    const [run] = parseCsv(
      written(createCsv, [started(), ...row('docker'), ran('docker', 1, { startup: 5 }), ended()]),
    );
    expect(run).toMatchObject({
      startup_ms: '5',
      startup_ms_gap: '',
      work_ms: '',
      work_ms_gap: 'not-reached',
      memory_peak_bytes: '',
      memory_peak_bytes_gap: 'not-captured',
    });
  });

  test.each(['=HYPERLINK("http://x","y")', '+1', '-1+cmd|x', '@SUM(A1)', '\t=1', ' =1', '＝1'])(
    'runs no formula of an agent’s: %j',
    (message) => {
      const [run] = parseCsv(
        written(createCsv, [
          started(),
          ...row('docker'),
          ran('docker', 1, {}, failing(message)),
          ended(),
        ]),
      );
      expect(run?.message).toMatch(/^'/);
    },
  );

  test.each([
    'a "quoted" word, and a comma',
    ' blanks at both ends ',
    'two\nlines\r\nand \u001b[31mred',
  ])('holds any words in one cell: %j', (message) => {
    const [run, ...rest] = parseCsv(
      written(createCsv, [
        started(),
        ...row('docker'),
        ran('docker', 1, {}, failing(message)),
        ended(),
      ]),
    );
    expect(rest).toEqual([]);
    expect(run?.message?.replace(/\s+/g, ' ')).toBe(
      message.replace('\u001b[31m', '').replace(/\s+/g, ' '),
    );
  });

  test('of a match without a run is its head', () => {
    expect(written(createCsv, [started(), ended()])).toMatch(/^match,run,entry,[\w,]+\r\n$/);
  });
});

describe("hyperfine's JSON", () => {
  const cost = (cpuUserMs: number) => ({
    cost: { memoryPeakBytes: 7, cpuUserMs, cpuSystemMs: 100 },
  });
  const resultsOf = (events: MatchEvent[]) => {
    const fold = createFold();
    for (const event of events) fold.push(event);
    return JSON.parse(renderHyperfine(fold.finish(), fold.tallyOf)).results;
  };

  test('has the totals of the runs that passed, in seconds, and what their processes used', () => {
    const results = resultsOf([
      started(),
      ...row('docker'),
      ran('docker', 1, { total: 9000 }, { warmup: true }),
      ran('docker', 2, { total: 1000 }, cost(200)),
      ran('docker', 3, { total: 3000 }, cost(400)),
      ran('docker', 4, { total: 5 }, { outcome: FAILED }),
      ended(),
    ]);
    expect(results).toEqual([
      {
        command: 'docker',
        mean: 2,
        stddev: Math.SQRT2,
        median: 2,
        user: 0.3,
        system: 0.1,
        min: 1,
        max: 3,
        times: [1, 3],
        memory_usage_byte: [7, 7],
        exit_codes: [0, 0],
        parameters: {},
      },
    ]);
  });

  test('has null where nothing was captured, no deviation of one run, and no row without a time', () => {
    const results = resultsOf([
      started(),
      ...row('docker', { standIn: true }),
      ...row('podman'),
      ran('docker', 1, { total: 1000 }),
      ran('podman', 1, {}, { outcome: FAILED }),
      ended(),
    ]);
    expect(results).toMatchObject([
      { command: 'docker (stand-in)', stddev: null, user: null, system: null, times: [1] },
    ]);
    expect(results).toHaveLength(1);
    expect(results[0]).not.toHaveProperty('memory_usage_byte');
  });
});

describe('a Chrome trace', () => {
  interface TraceEvent {
    ph: string;
    name: string;
    cat?: string;
    pid: number;
    tid: number;
    ts: number;
    dur: number;
    args?: Record<string, unknown>;
  }
  const traceOf = (events: readonly MatchEvent[]): TraceEvent[] =>
    JSON.parse(written(createTrace, events)).traceEvents;

  /** As a match would tell it: launched at `atMs`, gone 500 ms later. */
  function runAt(run: string, atMs: number, change: object = {}): MatchEvent[] {
    const [entry = ''] = run.split('#');
    const clocks = {
      launch: 90,
      firstProcess: 100,
      startup: 250,
      work: 100,
      exit: 20,
      collect: 30,
      teardown: 80,
      total: 500,
    };
    const phase = (name: 'launch' | 'work' | 'collect' | 'destroy', after: number): MatchEvent => ({
      type: 'phase',
      run,
      phase: name,
      atMs: atMs + after,
    });
    return [
      { type: 'run-started', run, entry, round: 1, warmup: false, level: 1, atMs },
      phase('launch', 0),
      phase('work', 90),
      phase('collect', 380),
      phase('destroy', 415),
      ran(entry, 1, clocks, { run, atMs: atMs + 500, ...change }),
    ];
  }
  const inOrder = (events: MatchEvent[]) => events.sort((a, b) => a.atMs - b.atMs);

  test('has a process a row, and each run with its clocks in µs, one after the other', () => {
    const trace = traceOf([started(), ...row('docker'), ...runAt('docker#1', 1000), ended()]);
    const names = trace
      .filter(({ ph, name }) => ph === 'M' && name === 'process_name')
      .map(({ pid, args }) => [pid, args?.name]);
    expect(names).toEqual([
      [0, 'match 20261121-040000-abcd'],
      [1, 'docker'],
    ]);
    const on = (tid: number) =>
      trace
        .filter((slice) => slice.ph === 'X' && slice.tid === tid)
        .map(({ name, ts, dur }) => [name, ts, dur]);
    expect(on(1)).toEqual([
      ['docker#1', 1_000_000, 500_000],
      ['runtime start', 1_000_000, 100_000],
      ['agent boot', 1_100_000, 150_000],
      ['work', 1_250_000, 100_000],
      ['exit', 1_350_000, 20_000],
      ['collect', 1_380_000, 30_000],
      ['teardown', 1_415_000, 80_000],
    ]);
    expect(on(2).map(([name]) => name)).toEqual([
      'docker#1',
      'launch',
      'work',
      'collect',
      'destroy',
    ]);
  });

  test('keeps runs that go at once on lanes of their own, and uses a lane again', () => {
    const events = inOrder([
      ...runAt('docker#1', 0),
      ...runAt('docker#2', 100),
      ...runAt('docker#3', 700),
    ]);
    const trace = traceOf([started(), ...row('docker'), ...events, ended()]);
    const lane = (run: string) =>
      trace.filter(({ ph, name }) => ph === 'X' && name === run).map(({ tid }) => tid);
    expect([lane('docker#1'), lane('docker#2'), lane('docker#3')]).toEqual([
      [1, 2],
      [3, 4],
      [1, 2],
    ]);
  });

  test('has slices that nest or stand apart on every thread, whatever the clocks say', () => {
    const usual = {
      launch: 90,
      firstProcess: 100,
      startup: 250,
      work: 100,
      collect: 30,
      teardown: 80,
      total: 500,
    };
    const withClocks = (clocks: object) => ({
      clocks: { ...ran('docker', 1).clocks, ...usual, ...clocks },
    });
    const events = inOrder([
      ...runAt('docker#1', 0),
      ...runAt(
        'docker#2',
        50,
        withClocks({ firstProcess: 900, startup: 800, work: 999, collect: 700 }),
      ),
      ...runAt('docker#3', 60, { ...withClocks({ exit: 60 }), outcome: FAILED }),
    ]);
    const trace = traceOf([started(), ...row('docker'), ...events, ended()]).filter(
      ({ ph }) => ph === 'X',
    );
    for (const run of trace.filter(({ cat }) => cat === 'run')) {
      const inside = trace.filter(
        ({ cat, pid, tid, ts }) =>
          cat !== 'run' && pid === run.pid && tid === run.tid && ts >= run.ts,
      );
      for (const { ts, dur, name } of inside)
        expect(ts + dur, `${run.name} ${name}`).toBeLessThanOrEqual(run.ts + run.dur);
    }
    for (const a of trace) {
      expect(a.dur, a.name).toBeGreaterThanOrEqual(0);
      for (const b of trace) {
        if (a === b || a.pid !== b.pid || a.tid !== b.tid) continue;
        const apart = a.ts + a.dur <= b.ts || b.ts + b.dur <= a.ts;
        const nested =
          (a.ts >= b.ts && a.ts + a.dur <= b.ts + b.dur) ||
          (b.ts >= a.ts && b.ts + b.dur <= a.ts + a.dur);
        expect(apart || nested, `${a.name} ${b.name}`).toBe(true);
      }
    }
  });

  test('says of a run that failed why, and of one that a crash cut short that it was', () => {
    const failed = runAt('docker#1', 0, failing('it \u001b[31mbroke'));
    const trace = traceOf([
      started(),
      ...row('docker'),
      ...failed,
      ...runAt('docker#2', 600).slice(0, 3),
    ]);
    const sliceOf = (run: string) => trace.find(({ ph, name }) => ph === 'X' && name === run);
    expect(sliceOf('docker#1')?.args).toMatchObject({
      outcome: 'failed',
      cause: 'agent',
      message: 'it broke',
    });
    expect(sliceOf('docker#2')).toMatchObject({
      args: { outcome: 'cut short' },
      ts: 600_000,
      dur: 90_000,
    });
  });

  test('of a match without a run is still one', () => {
    expect(traceOf([])).toEqual([]);
    expect(traceOf([started(), ended()])).toHaveLength(1);
  });
});

describe('the report as JSON', () => {
  test.each([0, 1, 3])('is written run by run as it would be whole (%i runs)', (count) => {
    const message = '"runs": [], and\n  "runs": []';
    const events = [
      started({ modelWhy: message }),
      ...baseline(),
      ...Array.from({ length: count }, (_, at) =>
        ran('host', at + 1, { startup: 5 }, { warmup: at === 0, ...failing(message) }),
      ),
      ended(),
    ];
    const fold = createFold();
    for (const event of events) fold.push(event);
    const text = written((write) => createJson(write, fold.finish()), events);
    expect(text).toBe(`${JSON.stringify(buildReport(events), null, 2)}\n`);
  });
});

describe('cagematch report', () => {
  let place: ReturnType<typeof standSomewhere>;
  beforeEach(() => {
    place = standSomewhere();
  });
  afterEach(() => place.close());

  const events = (count: number) => [
    started(),
    ...baseline(),
    ...Array.from({ length: count }, (_, at) =>
      ran('host', at + 1, { startup: 5, total: 9, model: 1 }),
    ),
    ended(),
  ];
  const keep = (name: string, list: MatchEvent[]) => {
    mkdirSync(join(place.cwd, 'results', name), { recursive: true });
    const path = join(place.cwd, 'results', name, 'events.jsonl');
    writeFileSync(path, list.map((event) => `${JSON.stringify(event)}\n`).join(''));
    return path;
  };
  const run = (...args: string[]) => cagematch(ownHouse, ['report', ...args], { cwd: place.cwd });

  test('takes an id, a folder, and an events.jsonl by whatever name, and none for the newest', async () => {
    keep('20261120-040000-aaaa', [
      started({ match: '20261120-040000-aaaa' }),
      ...baseline(),
      ended(),
    ]);
    const path = keep('20261121-040000-abcd', events(3));
    writeFileSync(
      join(place.cwd, 'elsewhere.txt'),
      events(3)
        .map((event) => JSON.stringify(event))
        .join('\n'),
    );
    const { stdout } = await run('--format', 'json');
    expect(reportSchema.parse(JSON.parse(stdout)).runs).toHaveLength(3);
    for (const named of [
      '20261121-040000-abcd',
      'results/20261121-040000-abcd',
      path,
      'elsewhere.txt',
    ])
      expect((await run(named, '--format', 'json')).stdout).toBe(stdout);
  });

  test.each(['table', 'markdown', 'json', 'csv', 'hyperfine', 'trace', 'html'])(
    'writes %s, and nothing else, to stdout',
    async (format) => {
      keep('20261121-040000-abcd', events(3));
      const { stdout, stderr, exitCode } = await run('--format', format);
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(stdout).toContain('host');
    },
  );

  test('ends well when its reader has seen enough', async () => {
    keep('20261121-040000-abcd', events(20_000));
    const script = `'${process.execPath}' '${join(packageRoot, 'dist/cli.js')}' report --format csv | head -n 1; echo "$\{PIPESTATUS[0]}"`;
    const { stdout, stderr } = await execa('bash', ['-c', script], {
      cwd: place.cwd,
      reject: false,
    });
    const [head, code] = stdout.split(/\r?\n/);
    expect([head?.slice(0, 9), code, stderr]).toEqual(['match,run', '0', '']);
  });

  test('of another version says what reads it', async () => {
    const [first, ...rest] = events(1).map((event) => JSON.stringify(event));
    mkdirSync(join(place.cwd, 'results', 'later'), { recursive: true });
    const later = first
      ?.replace('"schemaVersion":1', '"schemaVersion":2')
      .replace('"cagematch":"0.1.0"', '"cagematch":"0.3.0"');
    writeFileSync(join(place.cwd, 'results', 'later', 'events.jsonl'), [later, ...rest].join('\n'));
    const { stderr, exitCode } = await run('later');
    expect([exitCode, stderr]).toEqual([
      2,
      '✖ the record of later cannot be read: written by cagematch 0.3.0 (schemaVersion 2); this one reads 1\nhint: npx cagematch@0.3.0 report\n',
    ]);
  });
});
