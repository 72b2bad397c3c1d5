// Two versions of a setup in one match: which rows that makes, and what is said of them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clocks, EventOf } from '../../lib/record/types.js';
import { comparisonDocument } from '../../lib/report/compare/comparison.js';
import { compareInterleaved } from '../../lib/report/compare/interleaved.js';
import { createFold } from '../../lib/report/fold.js';
import { renderComparison } from '../../lib/report/terminal/compare-table.js';
import { ended, FAILED, ran, row, started } from '../support/hand-made-record.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';

const TWIN = { entry: 'docker', base: 'docker@a', next: 'docker@b' };

/** @param slower how many times as long the second version takes */
function document(
  slower: number,
  failOver: number,
  change: Partial<EventOf<'run-ended'>> = {},
  rounds = 12,
) {
  const clocks = (round: number, factor: number): Partial<Clocks> => {
    // The machine becomes twice as slow in the middle: of pairs nobody sees that.
    const ms = 500 * factor * (round > 6 ? 2 : 1) * (1 + ((round * 7) % 12) / 500);
    return { startup: ms, work: ms, model: 0, total: 3 * ms };
  };
  const fold = createFold();
  for (const event of [
    started(),
    ...row(TWIN.base, { mode: 'docker', label: 'a' }),
    ...row(TWIN.next, { mode: 'docker', label: 'b', options: { network: 'host' } }),
    ...Array.from({ length: rounds }, (_, at) => at + 1).flatMap((round) => [
      ran(TWIN.base, round, clocks(round, 1 + ((round * 5) % 13) / 800)),
      ran(TWIN.next, round, clocks(round, slower), change),
    ]),
    ended(),
  ])
    fold.push(event);
  const match = { report: fold.finish(), tallyOf: fold.tallyOf };
  const from = { base: 'a.yaml', new: 'b.yaml' };
  const made = compareInterleaved(
    match,
    { from, twins: [TWIN], onlyIn: { base: [], new: ['podman'] } },
    failOver,
  );
  expect(comparisonDocument.parse(JSON.parse(JSON.stringify(made)))).toEqual(made);
  return made;
}

describe('rows in the same rounds', () => {
  test('are judged pair by pair, without a baseline: a machine that changes its pace plays no part', () => {
    const slower = document(1.2, 10);
    expect(slower).toMatchObject({ kind: 'interleaved', verdict: 'regression', tests: 2 });
    expect(slower.sentence).toBe('regression over 10 %: docker startup, docker total');
    expect(slower.baseline).toBeUndefined();
    const startup = slower.rows[0]?.measures.startup;
    if (!startup || 'gap' in startup || 'gap' in startup.ci95) throw new Error('no startup');
    expect(startup.ci95[1] - startup.ci95[0]).toBeLessThan(0.02);
    expect(document(1.006, 0).verdict).toBe('none');
  });

  test('say what is compared, in ms, and name what only one version has', () => {
    const text = renderComparison(document(1.2, 10));
    expect(text).toContain(
      'BASE a.yaml, NEW b.yaml, interleaved in 20261121-040000-abcd: task hello',
    );
    expect(text).toMatch(/docker +startup ms +\d+ +\d+ +1\.\d\d \[/);
    expect(text).toContain('docker network: as usual → host');
    expect(text).toContain('podman: only in NEW');
  });

  test('that pass in one version only are a regression; too few rounds say nothing', () => {
    expect(document(1, 5, { outcome: FAILED }).regressions).toEqual([
      { entry: 'docker', what: 'passes' },
    ]);
    const few = document(2, 5, {}, 5);
    expect(few).toMatchObject({ verdict: 'cannot-say' });
    expect(few.sentence).toBe('cannot say of docker (5 rounds are too few, at least 7 are needed)');
  });
});

describe('cagematch compare --run', () => {
  let place: ReturnType<typeof standSomewhere>;
  beforeEach(() => {
    place = standSomewhere();
    const file = (name: string, text: string) => writeFileSync(join(place.cwd, name), text);
    file('a.yaml', 'modes: [host, {mode: host, label: other}, {mode: host, label: gone}]\n');
    file('b.yaml', 'modes: [host, {mode: host, label: other, state: warm}]\n');
    file('warm-up.yaml', 'warmup: 7\nmodes: [host]\n');
    file('task.yaml', 'task: refactor\nmodes: [host]\n');
    file('none.yaml', 'runs: 3\n');
    file('apart.yaml', 'modes: [host@x]\n');
    file('one.yaml', 'warmup: 0\nmodes: [host@x]\n');
  });
  afterEach(() => place.close());
  const run = (...args: string[]) =>
    cagematch(ownHouse, ['compare', '--run', ...args], { cwd: place.cwd });

  test('runs the rows that both files have, once for each version, in at least 12 rounds', async () => {
    const { stdout, stderr, exitCode } = await run('a.yaml', 'b.yaml', '--dry-run', '--seed', '7');
    expect([exitCode, stderr]).toEqual([0, '']);
    for (const name of ['host@a', 'host@b', 'host@other-a', 'host@other-b'])
      expect(stdout).toContain(name);
    expect(stdout).not.toContain('gone');
    expect(stdout).toMatch(/round 12: .*\n$/);
  });

  test('runs them, and judges what it has run', async () => {
    const { stdout, exitCode } = await run(
      'one.yaml',
      'one.yaml',
      '--runs',
      '1',
      '--fail-over',
      '5',
    );
    expect(stdout).toMatch(/BASE one\.yaml, NEW one\.yaml, interleaved in /);
    expect(stdout).toMatch(/host@x +startup ms +\d+ +\d+ +\d\.\d\d +n=1 is too few/);
    expect(exitCode).toBe(4);
  });

  test.each([
    [['a.yaml', 'warm-up.yaml'], /✖ a\.yaml and warm-up\.yaml have different warmup: \d and 7\n/],
    [['a.yaml', 'task.yaml'], /✖ host has another task in each: .*hello and .*refactor\n/],
    [['a.yaml', 'none.yaml'], /✖ none\.yaml names no rows/],
    [['a.yaml', 'apart.yaml'], /✖ a\.yaml and apart\.yaml have no row in common\n/],
  ])('refuses %j in one line', async (files, message) => {
    const { exitCode, stderr, stdout } = await run(...files);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});
