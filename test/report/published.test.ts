// What RESULTS.md and README show of a match and of a probe: every row once, in short, and the
// command that shows the rest.
import { expect, test } from 'vitest';
import { publishedMatch, publishedProbe } from '../../lib/report/export/published.js';
import { overviewTable } from '../../lib/report/overview.js';
import { HOST, madeMatch } from '../support/hand-made-match.js';
import {
  ENTRIES,
  foldProbe,
  probeEnded,
  probeStarted,
  rowOf,
  sampleProbe,
  walled,
  worked,
} from '../support/sample-probe.js';
import { sampleReport } from '../support/sample-report.js';

const linesOf = (text: string) => text.split('\n').filter((line) => line.startsWith('|'));
const cellsOf = (line = '') =>
  line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());

test('a match is its table, its recommendations and its environment, without tables of phases or costs', () => {
  const report = sampleReport(10);
  const text = publishedMatch(report);
  expect(linesOf(text)).toHaveLength(report.modes.length + 2);
  expect(text).toMatch(/^Match `/);
  expect(text).toContain('\nRecommendations:\n');
  expect(text).toContain(
    `\`npx cagematch report ${report.match.id} --format html > page.html\` shows phases`,
  );
  expect(text).toMatch(/\nEnvironment: .*\.$/);
  expect(text).not.toMatch(/firstProcess|Cost of a run|Startup outliers|Many at once/);
});

test('a match that failed in part says so', () => {
  const report = madeMatch({
    host: HOST,
    docker: { isolation: 'container', startup: 600, failed: [2] },
  });
  expect(publishedMatch(report)).toMatch(
    /\| A docker \|.* 9\/10 \|[\s\S]*Failed runs:\n\n- docker#2: agent: /,
  );
});

test('a probe is one line for each row: files, isolation checks, credentials, work; and what is not as declared', () => {
  const document = sampleProbe();
  const text = publishedProbe(document);
  const [head = '', , ...rows] = linesOf(text);
  expect(rows.map((row) => cellsOf(row)[0])).toEqual(ENTRIES);
  for (const row of rows) expect(cellsOf(row)).toHaveLength(cellsOf(head).length);
  expect(text).toMatch(/not as declared:\n\n(- .*, declared closed, in .*\n)+/);
  expect(text).toContain(
    '`npx cagematch report 20261121-100000-beef --format html > page.html` shows',
  );
  expect(text).not.toContain('###');
});

test('of a probe, a wall that could not be observed is not closed, and the slowest work is the one measurably slower', () => {
  const work = (entry: string, probe: string, ms: number) =>
    [1, 2, 3, 4, 5, 6].map((round) =>
      worked(entry, round, { probe, opMs: ms + round / 1000, ops: 3 }),
    );
  const document = foldProbe([
    probeStarted({ only: ['walls', 'tax'] }),
    ...rowOf('host', { isolation: 'none' }),
    ...rowOf('docker'),
    ...(['closed', 'open', 'gap'] as const).map((observed, at) =>
      walled('docker', { wall: `wall-${at}`, declared: 'closed', observed, evidence: 'e' }),
    ),
    ...['cpu-hash', 'dns', 'unpack'].flatMap((probe, at) => [
      ...work('host', probe, 1),
      ...work('docker', probe, [1, 3, 2][at] ?? 1),
    ]),
    probeEnded(),
  ]);
  const text = publishedProbe(document);
  expect(text).toMatch(/\| docker \| – \| 1\/3 \| 1\/2 \| 2\/3 \| dns 2\.99 \[[\d.]+–[\d.]+\] \|/);
  expect(text).toMatch(/\| host \| – \| – \| – \| – \| – \|/);
  expect(text).toContain('- wall-1: open, declared closed, in docker');
});

test('the overview has one line for each runtime, its overhead on every task, and what it is good for', () => {
  const row = (startup: number, task: string, work: number) => ({
    ...HOST,
    startup,
    work,
    entry: { task },
  });
  const report = madeMatch({
    'host@hello': row(400, 'hello', 200),
    'host@refactor': row(400, 'refactor', 600),
    'docker@hello': { ...row(800, 'hello', 200), isolation: 'container' },
    'docker@refactor': { ...row(800, 'refactor', 600), isolation: 'container' },
  });
  const drawn = overviewTable(report, sampleProbe(), { host: 'a *baseline*', docker: 'work' });
  if ('unmatched' in drawn) throw new Error(drawn.unmatched.join());
  const [head, , host, docker, ...rest] = linesOf(drawn.table.toString()).map(cellsOf);
  expect(head).toEqual([
    'runtime',
    'isolation',
    'startup',
    'overhead ×, task hello',
    'overhead ×, task refactor',
    'isolation checks closed',
    'good for',
  ]);
  expect(host?.slice(0, 3)).toEqual(['`host`', 'none', '0.4 s']);
  expect(docker?.[0]).toBe('`docker`');
  expect(Number(docker?.[3])).toBeGreaterThan(Number(docker?.[4]));
  expect(docker?.[5]).toMatch(/^\d+\/\d+$/);
  expect(host?.at(-1)).toBe('a *baseline*');
  expect(rest).toEqual([]);
});

test('the overview is refused where a runtime has no phrase, or a phrase no runtime', () => {
  const report = madeMatch({ host: HOST, docker: { isolation: 'container', startup: 600 } });
  expect(overviewTable(report, sampleProbe(), { host: 'x', podman: 'y' })).toEqual({
    unmatched: ['docker', 'podman'],
  });
});
