// Three runtimes that no machine of ours has, in one match over their stand-ins: the whole task
// runs, and whoever reads a number of theirs, in whatever form, reads that it is a stand-in's.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../lib/report/document.js';
import { parseEvents } from '../../lib/report/report.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn as dockerSandbox } from '../support/stand-ins/docker-sandbox.js';
import { standIn as fly } from '../support/stand-ins/fly.js';
import { standIn as kubernetes } from '../support/stand-ins/kubernetes.js';

const ROWS = ['docker-sandbox', 'fly', 'kubernetes'];
const RESULTS = '# Mine\n<!-- cagematch:match -->\nold\n<!-- /cagematch:match -->\n';

const place = standSomewhere();
const opened: { env: Record<string, string>; close(): Promise<void> }[] = [];
let env: Record<string, string>;
let ran: { exitCode: number | undefined; stdout: string; stderr: string };
let report: Report;
let folder: string;

/**
 * Every stand-in's own settings, and each on PATH; they keep what they make in one folder, under
 * names that differ.
 */
beforeAll(async () => {
  for (const open of [fly, dockerSandbox, kubernetes]) opened.push(await open());
  env = {
    ...Object.assign({}, ...opened.map((standIn) => standIn.env)),
    PATH: opened.map((standIn) => standIn.env.PATH).join(delimiter),
  };
  writeFileSync(join(place.cwd, 'RESULTS.md'), RESULTS);
  ran = await run(
    'run',
    'fly',
    'docker-sandbox',
    'kubernetes',
    '--model',
    'replay',
    '--runs',
    '1',
    '--json',
    'report.json',
  );
  report = JSON.parse(readFileSync(join(place.cwd, 'report.json'), 'utf8'));
  folder = join(place.cwd, 'results', report.match.id);
});
afterAll(async () => {
  for (const standIn of opened) await standIn.close();
  place.close();
});

async function run(...args: string[]) {
  const { exitCode, stdout, stderr } = await cagematch(ownHouse, args, { cwd: place.cwd, env });
  return { exitCode, stdout, stderr };
}

/** Lines that name a row and hold a number of more than one digit, and no mark. */
function unmarked(text: string): string[] {
  const names = new RegExp(`(?<![\\w-])(${ROWS.join('|')}|Fly\\.io)(?![\\w-])`);
  // A row's name that does not fit is continued on the next line of its cell.
  return text
    .replace(/(\n\S \S+ [^\n]*)(\n\(stand-in\))/g, '$1 (stand-in)')
    .split('\n')
    .filter((line) => names.test(line) && /\d\d/.test(line) && !/stand-in/.test(line));
}

test('the whole task is run and judged in every one of them', () => {
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(
    report.modes.map(({ entry, standIn, n, passed }) => ({ entry, standIn, n, passed })),
  ).toEqual(ROWS.map((entry) => ({ entry, standIn: true, n: 1, passed: 1 })));
  for (const row of report.modes) {
    expect(row).toMatchObject({
      task: 'hello',
      failures: [],
      leftovers: [],
      planted: [],
      sync: { in: 'yes', out: 'yes' },
    });
    expect(row.startupMs).toMatchObject({ median: expect.any(Number) });
    expect(row.phasesMs.total).toMatchObject({ median: expect.any(Number) });
    expect(row.detection).toMatchObject({
      status: 'ready',
      version: expect.stringContaining('stand-in'),
    });
  }
});

test('the table, and all that is said while it runs, marks them', () => {
  for (const text of [ran.stdout, ran.stderr]) expect(unmarked(text)).toEqual([]);
  for (const row of ROWS)
    expect(ran.stdout).toMatch(new RegExp(`^\\S ${row}.*\\n?.*\\(stand-in\\)`, 'm'));
  expect(ran.stdout).toContain(
    "(stand-in): a program that enforces a runtime's contract; its numbers are no finding",
  );
});

test('so does the record, from its beginning on', () => {
  const events = parseEvents(readFileSync(join(folder, 'events.jsonl'), 'utf8'));
  const entered = events.flatMap((event) =>
    event.type === 'entered' ? [[event.entry, event.standIn]] : [],
  );
  expect(entered.sort()).toEqual(ROWS.map((entry) => [entry, true]));
  const versions = events.flatMap((event) =>
    event.type === 'detected' && event.detection.status === 'ready'
      ? [event.detection.version]
      : [],
  );
  expect(versions).toEqual(ROWS.map(() => expect.stringContaining('stand-in')));
  const first = Math.min(
    ...events.flatMap((event, at) => (event.type === 'run-started' ? [at] : [])),
  );
  expect(events.findLastIndex((event) => event.type === 'entered')).toBeLessThan(first);
});

test('RESULTS.md is as it was, and nothing is recommended', () => {
  expect(readFileSync(join(place.cwd, 'RESULTS.md'), 'utf8')).toBe(RESULTS);
  expect(report.recommendation).toMatchObject({
    pareto: [],
    dominated: [],
    breakEven: [],
    profiles: [],
  });
  expect(report.match).not.toHaveProperty('baseline');
  for (const pair of report.comparisons) expect(pair).toMatchObject({ standIn: true });
  expect(report.comparisons).toHaveLength(3);
});

describe('as a report again,', () => {
  const reported = async (format: string) =>
    (await run('report', report.match.id, '--format', format)).stdout;

  test('the table and Markdown mark every line with a number of theirs', async () => {
    for (const format of ['table', 'markdown']) {
      const text = await reported(format);
      expect(unmarked(text)).toEqual([]);
      for (const row of ROWS)
        expect(text).toMatch(new RegExp(`${row}( \\(stand-in\\)|.*\\n\\(stand-in\\))`));
    }
  });

  test('JSON is what was printed', async () => {
    expect(JSON.parse(await reported('json'))).toEqual(report);
  });

  test('CSV marks every run, hyperfine every command, a trace every process and run', async () => {
    const [head, ...lines] = (await reported('csv')).trim().split('\r\n');
    const column = head?.split(',').indexOf('stand_in') ?? -1;
    expect(lines.map((line) => line.split(',')[column])).toEqual(ROWS.map(() => 'true'));
    const { results } = JSON.parse(await reported('hyperfine')) as {
      results: { command: string }[];
    };
    expect(results.map(({ command }) => command)).toEqual(ROWS.map((row) => `${row} (stand-in)`));
    const { traceEvents } = JSON.parse(await reported('trace')) as {
      traceEvents: {
        ph: string;
        name: string;
        cat?: string;
        args?: { name?: string; standIn?: boolean };
      }[];
    };
    const processes = traceEvents.flatMap(({ ph, name, args }) =>
      ph === 'M' && name === 'process_name' ? [args?.name] : [],
    );
    expect(processes.slice(1).sort()).toEqual(ROWS.map((row) => `${row} (stand-in)`));
    const runs = traceEvents.filter(({ cat }) => cat === 'run');
    expect(runs).not.toEqual([]);
    for (const slice of runs) expect(slice.args).toMatchObject({ standIn: true });
  });

  test('the page tags every row that it names', async () => {
    const page = (await reported('html')).replace(/<style[\s\S]*?<\/style>/g, '');
    const mentions = [
      ...page.matchAll(new RegExp(`(?<![\\w-])(${ROWS.join('|')})(?![\\w-])`, 'g')),
    ];
    expect(mentions.length).toBeGreaterThan(10);
    const bare = mentions.filter(
      ({ index, 0: name }) =>
        !page.slice(index + name.length, index + name.length + 60).includes('stand-in'),
    );
    expect(bare.map(({ index }) => page.slice(index - 60, index + 80))).toEqual([]);
    expect(page).toContain('its numbers are no finding about that runtime');
  });
});

test('against a real match of the same rows nothing is compared, in either direction', async () => {
  const real = join(
    place.cwd,
    'results',
    report.match.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
  );
  cpSync(folder, real, { recursive: true });
  const record = join(real, 'events.jsonl');
  const text = readFileSync(record, 'utf8')
    .replaceAll('"standIn":true', '"standIn":false')
    .replaceAll('stand-in', 'real');
  writeFileSync(record, text);
  for (const pair of [
    [folder, real],
    [real, folder],
  ]) {
    const { stdout, stderr, exitCode } = await run(
      'compare',
      ...pair,
      '--fail-over',
      '1',
      '--json',
      '-',
    );
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toContain('one of them is of a stand-in');
  }
});
