// A report as a person reads it, at a terminal and as Markdown: the answer first, and no block that
// has nothing to say.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { MatchEvent } from '../../lib/record/types.js';
import type { Report, Summary } from '../../lib/report/document.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { coloured, plain, renderTable, WIDTH } from '../../lib/report/terminal/table.js';
import { barsOf } from '../../lib/report/terminal/time-block.js';
import { burstOf, HOST, type MadeRow, madeMatch } from '../support/hand-made-match.js';

const COST = { memoryPeakBytes: 212 * 2 ** 20, cpuUserMs: 700, cpuSystemMs: 150 };
const NATIVE: MadeRow = { isolation: 'os-sandbox', startup: 700, work: 250 };
const OCI: MadeRow = { isolation: 'container', startup: 600, work: 220, exit: 120 };
const VM: MadeRow = {
  isolation: 'remote-vm',
  startup: 3000,
  run: { sync: { in: 'yes', out: 'yes', live: 'no' } },
};

const leftOutLevel = (entry: string, level: number): MatchEvent => ({
  type: 'level-left-out',
  atMs: 1,
  entry,
  level,
  reason: 'its sandboxes need 3.2 GiB of memory, and 2.1 GiB are free',
});

/** Seven rows and a burst: all that there can be to say. */
function wholeMatch(): Report {
  const rows: Record<string, MadeRow> = {
    host: { ...HOST, run: { cost: COST } },
    native: { ...NATIVE, run: { cost: COST } },
    'docker@a': { ...OCI, run: { cost: COST } },
    'docker@b': {
      ...OCI,
      noise: 30,
      entry: { options: { network: 'host', tmpfs: true, cpus: 2, memoryMiB: 2048 } },
    },
    'docker:runsc': {
      isolation: 'user-kernel',
      startup: 1500,
      work: 668,
      failed: [3],
      run: { cost: { ...COST, memoryPeakBytes: { gap: 'not-attributable' } } },
    },
    'podman:rootless': { isolation: 'container', startup: 520, entry: { state: 'warm' } },
    fly: { ...VM, run: { ...VM.run, cost: { gap: 'other-machine' } } },
  };
  const extra: MatchEvent[] = [
    ...burstOf('docker@a', { 1: 50, 2: 90, 4: 120, 8: 124 }, 10, 4),
    ...burstOf('podman:rootless', { 1: 60, 2: 95, 4: 125, 8: 150 }, 10),
    ...burstOf('fly', { 1: 6, 2: 9.5 }, 10),
    leftOutLevel('fly', 4),
    leftOutLevel('fly', 8),
    {
      type: 'appraised',
      atMs: 1,
      entry: 'docker@a',
      disk: { imageBytes: 1.2e9, sandboxBytes: 40_960 },
    },
    {
      type: 'left-out',
      atMs: 3,
      entry: 'incus',
      letter: 'D',
      title: 'Incus',
      status: 'absent',
      reason: 'no incus',
      hint: 'install it',
    },
  ];
  return madeMatch(rows, { extraEvents: extra, match: { concurrency: 8, load: [0.3, 1, 1] } });
}

const blocks = (report: Report) => renderTable(report).trimEnd().split('\n\n');
const block = (report: Report, title: string) =>
  blocks(report).find((text) => text.startsWith(title)) ?? '';

/** Words that wrap are whole again. */
const unwrapped = (text: string) => text.replaceAll(/\n +/g, ' ');

describe('the order', () => {
  test('is the answer first: rows, failures, recommendation, and then what they rest on', () => {
    const titles = blocks(wholeMatch()).map((text) => text.split('\n')[0]?.replace(/ {2}.*/, ''));
    expect(titles).toEqual([
      'mode',
      'failed',
      'recommendations',
      'where the time goes (medians in ms)',
      'resource usage (medians) and disk',
      'many at once',
      'no significant difference',
      'what this match could have seen',
      'unavailable runtimes, and how to enable them',
      expect.stringMatching(/^startup: /),
    ]);
  });

  test('of a single row holds no comparison, no bar and no recommendation: it stays short', () => {
    const report = madeMatch({ host: { ...HOST, run: { cost: COST } } }, { rounds: 3 });
    const text = renderTable(report);
    expect(text).not.toMatch(/speaks for|told apart\n|overhead ×|[█▓▒░]/);
    expect(text).toContain(
      '\n\nwhere the time goes: runtime 100 ms, boot 301 ms, work 200 ms, end 30 ms, total 631 ms\n\n',
    );
    expect(text).toContain('\ncost: peak memory 212 MiB, CPU 0.85 s\n');
    expect(text.split('\n').length).toBeLessThan(15);
  });
});

describe(`${WIDTH} columns`, () => {
  test('hold every block of seven rows with a burst, in colour and without', () => {
    for (const style of [plain, coloured])
      for (const line of stripVTControlCharacters(renderTable(wholeMatch(), style)).split('\n'))
        expect(line.length, line).toBeLessThanOrEqual(WIDTH);
  });

  test('have room for the ratio of whole runs, or do without it, its legend and the isolation', () => {
    const small = renderTable(madeMatch({ host: HOST, docker: OCI }));
    expect(small).toMatch(/^mode +isolation +startup ms +× host +overhead × +passed/);
    expect(small).toMatch(
      /^A docker +container +600 \[\d+–\d+\] +1\.50 \[1\.\d\d–1\.\d\d\] +1\.51 +10\/10 /m,
    );
    expect(small).toContain('overhead: launch to gone');
    const wide = renderTable(
      madeMatch({
        host: HOST,
        'docker:a-long-name-of-a-runtime': { ...VM, isolation: 'system-container' },
      }),
    );
    expect(wide).toMatch(/^mode +startup ms +× host +passed/);
    expect(wide).not.toContain('overhead ×');
  });
});

describe('few rounds', () => {
  const few = (rounds: number) =>
    unwrapped(renderTable(madeMatch({ host: HOST, docker: OCI }, { rounds })));

  test('are said once, with what an interval of so many is worth', () => {
    expect(few(3)).toContain(
      'at n=3 there is no 95 % interval, and no two rows can be told apart; --runs 12, or --runs auto',
    );
    expect(few(5)).toContain('at n=5 there is no 95 % interval');
    expect(few(5)).not.toMatch(/\d \[\d/);
    expect(few(3).match(/told apart/g)).toHaveLength(1);
    expect(few(3)).not.toContain('interval];');
  });

  test('are six no more', () => {
    expect(few(6)).not.toMatch(/there is no 95 % interval/);
    expect(few(6)).toContain('median [95 % interval];');
  });
});

describe('where the time goes', () => {
  const segments = (runtime: number, boot: number, work: number, end: number) => ({
    runtime,
    boot,
    work,
    end,
  });

  test('is drawn on one scale, in the order of time, in blocks that need no colour', () => {
    const { bars, cellMs } = barsOf([segments(100, 200, 300, 400), segments(0, 100, 0, 100)], 50);
    expect(cellMs).toBe(20);
    expect(bars).toEqual([
      '█'.repeat(5) + '▓'.repeat(10) + '▒'.repeat(15) + '░'.repeat(20),
      '▓'.repeat(5) + '░'.repeat(5),
    ]);
  });

  test('is never wider than its room, however the parts are rounded', () => {
    for (const part of [0.1, 0.4, 1, 7, 33, 999, 123_456]) {
      const { bars } = barsOf(
        [segments(part, part * 3, part / 2, part * 11), segments(part, 0, 0, 0)],
        37,
      );
      expect(Math.max(...bars.map((bar) => bar.length))).toBeLessThanOrEqual(37);
    }
  });

  test('has no bars where there is no room, nothing to draw, or nothing known', () => {
    expect(barsOf([segments(1, 1, 1, 1)], 5).bars).toEqual([]);
    expect(barsOf([segments(0, 0, 0, 0)], 50).bars).toEqual([]);
    const gap = { gap: 'not-reported' } as const;
    expect(barsOf([{ runtime: gap, boot: 10, work: gap, end: 10 }], 20).bars).toEqual([
      `${'▓'.repeat(10)}${'░'.repeat(10)}`,
    ]);
  });

  test('counts exit, collect and teardown of a run as its end', () => {
    const docker = { ...OCI, exit: 100, teardown: 50, clocks: { collect: 7 } };
    expect(block(madeMatch({ host: HOST, docker }), 'where')).toMatch(
      /^docker +150 +450 +220 +157 /m,
    );
  });

  test('sums the end of each run before it takes the median: what is slow in turn does not hide', () => {
    const report = madeMatch({ host: HOST }, { rounds: 3 });
    const [host] = report.modes;
    const samples = (values: number[]) => ({
      ...(host?.phasesMs.exit as Summary),
      median: 20,
      samples: values,
    });
    Object.assign(host?.phasesMs ?? {}, {
      exit: samples([10, 20, 100]),
      teardown: samples([100, 20, 10]),
    });
    expect(renderTable(report)).toContain('end 110 ms');
  });

  test('leaves out a row of which nothing passed', () => {
    const broken = { ...NATIVE, failed: Array.from({ length: 10 }, (_, at) => at + 1) };
    expect(block(madeMatch({ host: HOST, native: broken, docker: OCI }), 'where')).not.toContain(
      'native',
    );
  });

  test('of a cold match shows what the image took, in no bar', () => {
    const docker = { ...OCI, entry: { state: 'cold' as const }, clocks: { image: 41_000 } };
    const text = block(madeMatch({ host: HOST, docker }, { match: { state: 'cold' } }), 'where');
    expect(text).toMatch(/^mode +image +runtime +boot/m);
    expect(text).toMatch(/^docker +41000 +150 /m);
    expect(text).toMatch(/^host +– +100 /m);
    expect(text).toContain('image: pulled or built before the launch, and in no bar');
    expect(block(madeMatch({ host: HOST, docker: OCI }), 'where')).not.toContain('image');
  });
});

describe('cost', () => {
  test('stands in units that are read, and the cause of every dash is said once', () => {
    const text = block(wholeMatch(), 'resource usage');
    expect(text).toMatch(/^docker@a +212 MiB +0\.85 +1\.1 GiB +40 KiB$/m);
    expect(text).toMatch(/^fly +– +– +– +–$/m);
    expect(text).toContain('– on another machine: peak memory, CPU s of fly');
    expect(text).toContain(
      '– cannot be told from the rest of the machine: peak memory of docker:runsc',
    );
    expect(text.match(/– not captured:/g)).toHaveLength(1);
  });

  test('is no block where nobody looked', () => {
    expect(block(madeMatch({ host: HOST, docker: OCI }), 'resource usage')).toBe('');
  });
});

test('failures that are alike stand together, and each other way to fail on its own', () => {
  const all = Array.from({ length: 10 }, (_, at) => at + 1);
  const report = madeMatch({
    host: HOST,
    docker: { ...OCI, failed: all },
    podman: { ...OCI, failed: [2, 4] },
  });
  const docker = report.modes.find((mode) => mode.entry === 'docker');
  docker?.failures.push({
    run: 'docker#11',
    outcome: { status: 'failed', cause: 'timeout', message: 'too long', hint: 'wait' },
  });
  expect(block(report, 'failed').split('\n').slice(1)).toEqual([
    '  docker#1, docker#2, docker#3 and 7 more: agent: the agent ended with exit code 3',
    '  docker#11: timeout: too long',
    '    hint: wait',
    '  podman#2 and podman#4: agent: the agent ended with exit code 3',
  ]);
  expect(renderMarkdown(report)).toContain(
    '- docker#1, docker#2, docker#3 and 7 more: agent: the agent ended with exit code 3\n',
  );
});

describe('a burst', () => {
  test('has a column for each level, and says in words where it stops and what was left out', () => {
    const text = block(wholeMatch(), 'many at once');
    expect(text).toMatch(/^mode +at once +1 +2 +4 +8$/m);
    expect(text).toMatch(
      /^docker@a +runs\/min +50 \[50–50\] +90 \[90–90\] +120 \[\d+–\d+\] +124 /m,
    );
    expect(text).toMatch(/^ +startup ms +600 +506 +606 +806$/m);
    expect(text).toMatch(/^ +failed +0\/10 +0\/20 +1\/40 +0\/80$/m);
    expect(text).toMatch(/^fly +runs\/min +6\.1 \[.*\] +9\.6 \[.*\] +– +–$/m);
    expect(text).toContain('docker@a: more than 4 at once brings less than 10 % more a minute');
    expect(text).toContain('podman:rootless: still scales at 8 at once, the highest level');
    expect(text).toContain(
      'fly: 4 and 8 at once left out: its sandboxes need 3.2 GiB of memory, and 2.1 GiB are free',
    );
  });

  test('of which nothing passed does not say that it stops scaling', () => {
    const report = madeMatch(
      { host: HOST, docker: OCI },
      { extraEvents: burstOf('docker', { 1: 50, 2: 90 }, 3) },
    );
    for (const level of report.burst[0]?.levels ?? []) level.passed = 0;
    expect(block(report, 'many at once')).toMatch(/docker: no run passed$/);
  });

  test('has no line of failures where there were none, and no p95 under twenty runs', () => {
    const text = block(
      madeMatch(
        { host: HOST, docker: OCI },
        { extraEvents: burstOf('docker', { 1: 50, 2: 90 }, 3) },
      ),
      'many at once',
    );
    expect(text).toContain('runs/min');
    expect(text).not.toMatch(/failed|p95/);
  });
});

describe('rows that cannot be told apart', () => {
  const alike = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `docker@${at}`,
        { ...OCI, noise: at % 2 === 0 ? 40 + 15 * at : -40 - 15 * at },
      ]),
    );

  test('stand together: seven are one line, not twenty-one pairs', () => {
    const text = block(madeMatch(alike(7), { rounds: 12 }), 'no significant');
    const startup = text.split('\n').filter((line) => line.includes('startup'));
    expect(startup.join()).toMatch(/^ {2}startup, n=12: /);
    expect(text.split('\n').length).toBeLessThan(12);
  });

  test('do not carry over: two that are each like a third, but not alike, are two groups', () => {
    const report = madeMatch({ a: OCI, b: OCI, c: OCI });
    const pair = (first: string, other: string, separable: boolean) => ({
      ...(report.comparisons[0] as Report['comparisons'][number]),
      a: first,
      b: other,
      separable,
      equal: false,
      total: { gap: 'not-reached' } as const,
    });
    report.comparisons = [pair('a', 'b', false), pair('a', 'c', true), pair('b', 'c', false)];
    expect(block(report, 'no significant')).toBe(
      'no significant difference\n  startup, n=10: a and b; b and c',
    );
    report.comparisons = [pair('a', 'b', false), pair('a', 'c', false), pair('b', 'c', false)];
    expect(block(report, 'no significant')).toBe(
      'no significant difference\n  startup, n=10: a, b and c',
    );
  });

  test('are none where all differ; with few rounds nothing is said here', () => {
    const rows = { host: HOST, native: NATIVE, docker: OCI };
    expect(block(madeMatch(rows), 'no significant')).toContain(
      'startup, n=10: none; every two rows differ',
    );
    expect(block(madeMatch(rows, { rounds: 5 }), 'no significant')).toBe('');
  });
});

test('outliers are named, up to five a row, and the rest are counted', () => {
  const report = madeMatch({ host: HOST, docker: OCI });
  const [, docker] = report.modes;
  if (docker)
    docker.outliers = Array.from({ length: 8 }, (_, at) => ({ run: `docker#${at}`, ms: 900 + at }));
  expect(unwrapped(block(report, 'startup outliers'))).toContain(
    'docker: 8 of 10: docker#0 900 ms, docker#1 901 ms, docker#2 902 ms, docker#3 903 ms, docker#4 904 ms and 3 more',
  );
  expect(block(madeMatch({ host: HOST, docker: OCI }), 'startup outliers')).toBe('');
});

describe('a row that differs from the others', () => {
  test('has its options and its state below the table, once', () => {
    const text = renderTable(wholeMatch());
    expect(text).toContain(
      '\n  docker@b: network host, /tmp in memory, 2 CPUs, 2048 MiB of memory\n',
    );
    expect(text).toContain('\n  podman:rootless: state warm\n');
    expect(text).not.toMatch(/docker@a: (network|state)/);
  });

  test('has none where all are alike', () => {
    expect(renderTable(madeMatch({ host: HOST, docker: OCI }))).not.toMatch(/state warm|network/);
  });
});

describe('the conditions', () => {
  const notes = (report: Report) => unwrapped(blocks(report).at(-1) ?? '');
  const rows = { host: HOST, docker: OCI };

  test('name rounds, warm-up, state, seed and load', () => {
    const report = madeMatch(rows, { match: { warmup: 0, load: [0.5, 1, 1] } });
    report.match.load.after = [1.25, 1, 1];
    report.match.warmup = 2;
    expect(notes(report)).toContain(
      '; 10 rounds, 2 warm-up, task hello, state prepared, seed 7, load 0.5 1 1 before, 1.25 1 1 after',
    );
  });

  test('say how rounds that went on until all was known came out', () => {
    const auto = { until: 'precise', runs: 50 } as const;
    expect(notes(madeMatch(rows, { match: auto }))).toContain(
      '10 rounds (auto, at most 50; every ratio of startups is known to ±5 %)',
    );
    expect(
      notes(madeMatch({ host: HOST, docker: { ...OCI, noise: 80 } }, { match: auto })),
    ).toContain('wider than ±5 %: docker)');
  });

  test('say how many of the rounds were run where it was not all', () => {
    expect(notes(madeMatch(rows, { match: { runs: 30 } }))).toContain('10 of 30 rounds');
  });

  test('of a warm match begin at the exec', () => {
    expect(notes(madeMatch(rows, { match: { state: 'warm' } }))).toContain(
      "startup: exec into the idle sandbox to the agent's first model request",
    );
  });
});

describe('Markdown', () => {
  test('has the same facts: recommendation, cost, burst, comparisons, settings', () => {
    const report = wholeMatch();
    const text = renderMarkdown(report);
    const plain = unwrapped(renderTable(report));
    const bullets = text
      .split('\n')
      .filter((line) =>
        /^- (Short|Long|Hostile|Many|Pareto|Dominated|Task|No recomm|Nothing|docker@a:|startup:|total:|– )/.test(
          line,
        ),
      );
    expect(bullets.length).toBeGreaterThan(8);
    for (const line of bullets) expect(plain).toContain(line.slice(2));
    for (const { sentence } of report.recommendation.profiles)
      expect(text).toContain(`- ${sentence}\n`);
    expect(text).toContain('| docker@a | 212 MiB | 0.85 | 1.1 GiB | 40 KiB |');
    expect(text).toMatch(/\| docker@a \| failed \| 0\/10 \| 0\/20 \| 1\/40 \| 0\/80 \|/);
    expect(text).toContain(
      '- `docker@b`: network host, /tmp in memory, 2 CPUs, 2048 MiB of memory',
    );
  });

  test('has tables whose every row has as many cells as its head', () => {
    const tables = renderMarkdown(wholeMatch())
      .split('\n\n')
      .filter((block) => block.startsWith('|'));
    expect(tables).toHaveLength(4);
    for (const table of tables)
      expect(new Set(table.split('\n').map((line) => line.split(' | ').length)).size, table).toBe(
        1,
      );
  });

  test('shows every phase, and the end of a run as one; a launch that there was none of is a dash', () => {
    const docker = { ...OCI, clocks: { launch: { gap: 'not-applicable' } as const } };
    const text = renderMarkdown(madeMatch({ host: HOST, docker }));
    expect(text).toContain(
      '| mode | launch | firstProcess | boot | startup | work | model | exit | collect | teardown | end | total |',
    );
    expect(text).toContain('| docker | – | 150 | 450 | 600 | 220 | 0 | 120 | 0 | 10 | 130 | 950 |');
  });

  test('of a match without burst, cost or other rows has none of their parts', () => {
    expect(renderMarkdown(madeMatch({ host: HOST }))).not.toMatch(
      /Many at once|Cost of a run|speaks for|told apart|overhead ×/,
    );
  });
});
