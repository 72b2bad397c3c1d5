// Adding a runtime is adding one file: dropped into modes/, it is in the help, in detect and in a
// match, with no other edit.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../lib/package.js';
import { buildHouse, cagematch, type House, standSomewhere } from '../support/house.js';

/**
 * The whole mode that docs/contributing.md shows: the command as a plain process, found again by
 * the labels in its environment.
 */
const MODE =
  /^```ts\n(.+?)^```$/ms.exec(
    readFileSync(join(packageRoot, 'docs/contributing.md'), 'utf8'),
  )?.[1] ?? '';

let house: House;
const place = standSomewhere();
beforeAll(async () => {
  house = await buildHouse({ 'modes/shed.ts': MODE }, { whole: true });
});
afterAll(() => {
  house?.close();
  place.close();
});

test('it is in the help', async () => {
  const { stdout, exitCode } = await cagematch(house, ['--help'], place);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/modes: .*\bshed\b/);
});

test('it is detected', async () => {
  const { stdout, exitCode } = await cagematch(house, ['detect', 'shed', '--json'], place);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({
      mode: 'shed',
      letter: 'S',
      title: 'Garden shed',
      isolation: 'none',
      detection: { status: 'ready', version: '1.0-shed', facts: {} },
    }),
  ]);
});

test('it runs the task, and the table shows it', async () => {
  const { stdout, stderr, exitCode } = await cagematch(
    house,
    ['run', 'shed', '--runs', '1', '--model', 'replay'],
    place,
  );
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toMatch(/^S shed +none +\d+.* 1\/1 /m);
});
