// Imports point one way, and no runtime is named outside its own file.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../lib/package.js';
import { exemptNames, readTexts } from './support/exempt-names.js';
import { readSources, violations } from './support/imports.js';

/** Where git may work: it seeds folders that were made a moment ago, and that no agent has had. */
const SEEDS = 'lib/probes/sync/shapes.ts';

/** Its scripts are run by guests; it starts nothing itself. */
const GUEST_SCRIPTS = 'lib/kit/guest/shell.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A small tree in which all is well, with some files in place of others. */
function planted(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'planted-'));
  roots.push(root);
  const whole = {
    'cli.ts': "const run = () => import('./commands/run.js'); run();",
    'commands/run.ts':
      "import { match } from '../lib/match/match.js'; import { table } from '../lib/report/table.js'; match(table);",
    'lib/os/exec.ts': "import { spawn } from 'node:child_process'; export const exec = spawn;",
    'lib/record/types.ts': 'export interface Record { mode: string }',
    'lib/match/match.ts': "import { exec } from './run.js'; export const match = exec;",
    'lib/match/run.ts': "export { exec } from '../os/exec.js';",
    'lib/report/table.ts':
      "import type { Record } from '../record/types.js'; export const table: string = {} as Record & string;",
    'modes/alpha.ts':
      "import { part } from './alpha/part.js'; export default { id: 'alpha', part };",
    'modes/alpha/part.ts': "import { more } from './more.js'; export const part = more;",
    'modes/alpha/more.ts': "import { exec } from '../../lib/os/exec.js'; export const more = exec;",
    'modes/beta.ts': "export default { id: 'beta' };",
    ...files,
  };
  for (const [path, text] of Object.entries(whole)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return violations(readSources(root));
}

test('in this project every import points down, and no mode is named in lib/', () => {
  const sources = readSources(packageRoot);
  expect(sources.size).toBeGreaterThan(40);
  expect(sources.get('commands/main.ts')?.imports).toContain('commands/run.ts');
  expect(sources.get('lib/match/run.ts')?.imports).toContain('lib/errors.ts');
  // The HTTP header of that name, not the mode.
  expect(violations(sources)).toEqual(
    ['answers.ts', 'forward.mjs'].map((file) => `lib/model/${file} names the mode host`),
  );
});

test('nothing here starts git: in a checkout that an agent could write, git would run what the agent configured', () => {
  // A word that is the program's name, or a line for a shell that begins with it, wherever it
  // stands.
  const starts = (literal: string) => /^(\S*\/)?git$|(^|[;&|(`]\s*)git\s+-?\w/.test(literal);
  for (const literal of ['git', '/usr/bin/git', 'git status', 'cd x && git diff'])
    expect(starts(literal)).toBe(true);
  const found = [...readSources(packageRoot).values()]
    // What runs inside a sandbox is none of this host's.
    .filter(
      ({ path }) =>
        !path.startsWith('lib/probes/guest/') && path !== GUEST_SCRIPTS && !path.startsWith(SEEDS),
    )
    .flatMap(({ path, literals }) =>
      literals.filter(starts).map((literal) => `${path}: ${literal}`),
    );
  // It is only looked for: the server that takes a push has a repository of its own, without hooks
  // and without a checkout.
  expect(found).toEqual(['lib/probes/walls/foreign.ts: git']);
});

test('a folder with more than fifteen files has its reason in docs/design.md', () => {
  const design = readFileSync(join(packageRoot, 'docs/design.md'), 'utf8');
  const flat = ['commands', 'lib', 'modes', 'bench', 'test'].flatMap((top) =>
    readdirSync(join(packageRoot, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath }) => relative(packageRoot, parentPath)),
  );
  const crowded = [...new Set(flat)].filter(
    (folder) => flat.filter((other) => other === folder).length > 15,
  );
  expect(crowded.filter((folder) => !design.includes(`| \`${folder}/\` |`))).toEqual([]);
});

test('no comment is wider than 100 columns; the formatter sees to the code', () => {
  const texts = readTexts(packageRoot, ['cli.ts', 'commands', 'lib', 'modes', 'bench', 'test']);
  const wide = [...texts].flatMap(([file, text]) =>
    text
      .split('\n')
      .flatMap((line, at) =>
        /^\s*(\/\/|\/?\*) .{97}/.test(line) && line.length > 100 ? [`${file}:${at + 1}`] : [],
      ),
  );
  expect(wide.filter((place) => !place.includes('biome-ignore'))).toEqual([]);
});

test('no name begins with `_`, which linters would take for unused on purpose, but of parameters before one that is used', () => {
  const texts = readTexts(packageRoot, [
    'cli.ts',
    'commands',
    'lib',
    'modes',
    'bench',
    'test',
    'vitest.config.ts',
  ]);
  expect(texts.size).toBeGreaterThan(300);
  expect(
    [...texts].flatMap(([file, text]) => exemptNames(file, text).map((name) => `${file}: ${name}`)),
  ).toEqual([]);
});

describe('a name that begins with `_` is found where it is', () => {
  test.each([
    [
      'a variable',
      'const _a = 1; let [, _b] = [1]; const { c: _c, ..._rest } = {};',
      ['_a', '_b', '_c', '_rest'],
    ],
    [
      'a function, a class or a type',
      'function _f() {} class _C {} type _T<_P> = 1; interface _I {} enum _E { a }',
      ['_f', '_C', '_T', '_P', '_I', '_E'],
    ],
    [
      'an import',
      "import _d, { e as _e } from './x.js'; import * as _all from './x.js';",
      ['_d', '_e', '_all'],
    ],
    [
      'the last parameter, or one before others like it',
      'f((_a, _b) => 1); function g(a, _c = 1) {} f(function (..._d) {});',
      ['_a', '_b', '_c', '_d'],
    ],
    ['a part of a parameter', 'f(({ a: _a, ...rest }, b) => 1); f(([_c], d) => 1);', ['_a', '_c']],
    ['what was caught', 'try {} catch (_error) {}', ['_error']],
  ])('%s', (_, text, names) => {
    expect(exemptNames('x.ts', text)).toEqual(names);
  });

  test('and not where a parameter follows that is used, in what only describes a function, or in a member', () => {
    const text =
      'f((_, at) => at); f((_a, _b, { c }) => c); type F = (_a: string) => void; a._b = { _c: 1 };';
    expect(exemptNames('x.ts', text)).toEqual([]);
  });
});

describe('each rule can fail', () => {
  test('and a tree in which all is well breaks none, a mode with parts in a folder of its name', () => {
    expect(planted({})).toEqual([]);
  });

  test.each([
    [
      'a command that imports the command line',
      'commands/run.ts',
      "import '../cli.js';",
      'commands/run.ts imports cli.ts',
    ],
    [
      'a wing that imports a command',
      'lib/match/match.ts',
      "import '../../commands/run.js';",
      'lib/match/match.ts imports commands/run.ts',
    ],
    [
      'a wing that imports a mode',
      'lib/match/match.ts',
      "import a from '../../modes/alpha.js'; a;",
      'lib/match/match.ts imports modes/alpha.ts',
    ],
    [
      'the ground floor that imports a wing',
      'lib/os/exec.ts',
      "import '../match/match.js';",
      'lib/os/exec.ts imports lib/match/match.ts',
    ],
    [
      'a type is an import too',
      'lib/os/exec.ts',
      "import type { T } from '../match/run.js'; export type U = T;",
      'lib/os/exec.ts imports lib/match/run.ts',
    ],
    [
      'so is what is handed on',
      'lib/os/exec.ts',
      "export * from '../match/run.js';",
      'lib/os/exec.ts imports lib/match/run.ts',
    ],
    [
      'so is what is loaded later',
      'lib/os/exec.ts',
      "export const later = () => import('../match/run.js');",
      'lib/os/exec.ts imports lib/match/run.ts',
    ],
    [
      'a mode that imports another',
      'modes/beta.ts',
      "import alpha from './alpha.js'; export default alpha;",
      'modes/beta.ts imports modes/alpha.ts',
    ],
    [
      'a mode that imports a part of another',
      'modes/beta.ts',
      "import part from './alpha/part.js'; export default part;",
      'modes/beta.ts imports modes/alpha/part.ts',
    ],
    [
      'a part of a mode that imports the mode, which would be a circle',
      'modes/alpha/part.ts',
      "import alpha from '../alpha.js'; export default alpha;",
      'modes/alpha/part.ts imports modes/alpha.ts',
    ],
    [
      'a part of a mode that imports a wing',
      'modes/alpha/part.ts',
      "import '../../lib/match/run.js';",
      'modes/alpha/part.ts imports lib/match/run.ts',
    ],
    [
      'a mode that imports a wing',
      'modes/beta.ts',
      "import '../lib/match/run.js';",
      'modes/beta.ts imports lib/match/run.ts',
    ],
    [
      'a mode that imports a command',
      'modes/beta.ts',
      "import '../commands/run.js';",
      'modes/beta.ts imports commands/run.ts',
    ],
    [
      'the command line that imports a mode',
      'cli.ts',
      "import './modes/alpha.js';",
      'cli.ts imports modes/alpha.ts',
    ],
    [
      'a mode named in lib/',
      'lib/match/match.ts',
      "export const first = 'alpha';",
      'lib/match/match.ts names the mode alpha',
    ],
    [
      'a variant named in lib/',
      'lib/match/match.ts',
      'export const first = `beta:one`;',
      'lib/match/match.ts names the mode beta',
    ],
    [
      'a wing that imports one above it',
      'lib/sandbox/open.ts',
      "import '../match/match.js';",
      'lib/sandbox/open.ts imports lib/match/match.ts',
    ],
    [
      'the benchmark that imports what it is reported by',
      'lib/match/match.ts',
      "import '../report/table.js';",
      'lib/match/match.ts imports lib/report/table.ts',
    ],
    [
      'a wing that nobody has named',
      'lib/misc/one.ts',
      "import '../os/exec.js';",
      'lib/misc/one.ts imports lib/os/exec.ts',
    ],
    [
      'two files that import each other',
      'lib/match/run.ts',
      "import './match.js'; export const exec = 1;",
      'a circle: lib/match/match.ts → lib/match/run.ts → lib/match/match.ts',
    ],
  ])('%s', (_, path, text, problem) => {
    expect(planted({ [path]: text })).toContain(problem);
  });

  test('a file for everybody that one mode alone imports', () => {
    const mode = "import { more } from '../lib/kit/more.js'; export default { id: 'beta', more };";
    expect(planted({ 'lib/kit/more.ts': 'export const more = 1;', 'modes/beta.ts': mode })).toEqual(
      ['lib/kit/more.ts serves the mode beta alone'],
    );
  });

  test('a report that leads to what runs things, over whatever way', () => {
    const problems = planted({
      'lib/record/types.ts': "export * from '../clock.js';",
      'lib/clock.ts': "import './os/exec.js';",
    });
    expect(problems).toContain(
      'lib/report/table.ts leads to lib/os/exec.ts: lib/report/table.ts → lib/record/types.ts → lib/clock.ts → lib/os/exec.ts',
    );
  });

  test('and a mode named in a comment, or an import that stands in a text, is none', () => {
    expect(
      planted({
        'lib/os/exec.ts':
          "// alpha, 'beta'\nexport const text = \"import './match/run.js'\"; /* 'alpha' */",
      }),
    ).toEqual([]);
  });
});
