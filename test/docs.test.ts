// What documents say about the modes is made from the modes: it has not drifted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OWN_INPUTS } from '../lib/match/config.js';
import { loadModes } from '../lib/match/registry.js';
import { packageRoot } from '../lib/package.js';
import { envExample, RUNTIMES_REGION, runtimesTable } from '../lib/report/docs.js';
import { replaceRegion } from '../lib/report/markdown.js';

const modes = [...(await loadModes()).values()];
const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');

describe('the documents', () => {
  test('.env.example is what the modes declare (npm run docs writes it)', () => {
    expect(read('.env.example')).toBe(envExample(OWN_INPUTS, modes));
  });

  test("the README's table of runtimes is what the modes declare (npm run docs writes it)", () => {
    const readme = read('README.md');
    expect(replaceRegion(readme, runtimesTable(modes), RUNTIMES_REGION)).toBe(readme);
  });

  test('.env.example sets nothing: a copy of it changes nothing', () => {
    expect(
      read('.env.example')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    ).toEqual([]);
  });

  test('a name that two modes read stands in .env.example once', () => {
    const names = [...envExample(OWN_INPUTS, modes).matchAll(/^# ([A-Z0-9_]+)=/gm)].map(([, name]) => name);
    expect(names).toEqual([...new Set(names)]);
    for (const mode of modes) for (const name of Object.keys(mode.inputs)) expect(names).toContain(name);
  });

  test('a pipe in what a mode says of itself does not break the table', () => {
    const [mode] = modes;
    if (!mode) throw new Error('no modes');
    const row =
      runtimesTable([{ ...mode, summary: 'a | b' }])
        .split('\n')
        .at(-1) ?? '';
    expect(row).toContain('a \\| b');
  });
});
