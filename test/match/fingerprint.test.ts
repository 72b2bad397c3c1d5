// Which commit a checkout stands at, in every shape that git gives its files; git itself only makes
// them here.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readCommit, readLoad, takeFingerprint } from '../../lib/match/fingerprint.js';
import { fingerprintSchema } from '../../lib/record/types.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

function folderWith(files: Record<string, string>): string {
  const root = temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

describe('the commit of a checkout', () => {
  test.each<[string, Record<string, string>, string | undefined]>([
    ['on a branch', { '.git/HEAD': 'ref: refs/heads/main\n', '.git/refs/heads/main': `${A}\n` }, A],
    [
      'on a branch whose name has a slash and is the end of another',
      {
        '.git/HEAD': 'ref: refs/heads/x/main\n',
        '.git/packed-refs': `${B} refs/heads/main\n${A} refs/heads/x/main\n`,
      },
      A,
    ],
    ['detached', { '.git/HEAD': `${A}\n` }, A],
    ['with the longer hashes', { '.git/HEAD': `${A}${'0'.repeat(24)}\n` }, `${A}${'0'.repeat(24)}`],
    [
      'with packed branches, among tags and what tags point to',
      {
        '.git/HEAD': 'ref: refs/heads/main\n',
        '.git/packed-refs': `# pack-refs with: peeled fully-peeled sorted\n${A} refs/heads/main\n${B} refs/tags/v1\n^${'c'.repeat(40)}\n`,
      },
      A,
    ],
    [
      'packed once, and moved since',
      {
        '.git/HEAD': 'ref: refs/heads/main\n',
        '.git/packed-refs': `${B} refs/heads/main\n`,
        '.git/refs/heads/main': `${A}\n`,
      },
      A,
    ],
    [
      'on a branch that is another name of a branch',
      {
        '.git/HEAD': 'ref: refs/heads/alias\n',
        '.git/refs/heads/alias': 'ref: refs/heads/main\n',
        '.git/refs/heads/main': `${A}\n`,
      },
      A,
    ],
    ['that has no commit yet', { '.git/HEAD': 'ref: refs/heads/main\n' }, undefined],
    [
      'that keeps its branches in another form',
      { '.git/HEAD': 'ref: refs/heads/.invalid\n', '.git/reftable/tables.list': '' },
      undefined,
    ],
    [
      'that goes round in a circle',
      { '.git/HEAD': 'ref: refs/heads/a\n', '.git/refs/heads/a': 'ref: refs/heads/a\n' },
      undefined,
    ],
    [
      'that would lead out of its folder',
      { '.git/HEAD': 'ref: refs/../../secret\n', secret: `${A}\n` },
      undefined,
    ],
    ['that is none', { 'package.json': '{}' }, undefined],
  ])('%s', (_which, files, commit) => {
    expect(readCommit(folderWith(files))).toBe(commit);
  });

  test('of a submodule, whose files lie with the repository above', () => {
    const root = folderWith({
      'inner/.git': 'gitdir: ../.git/modules/inner\n',
      '.git/modules/inner/HEAD': 'ref: refs/heads/main\n',
      '.git/modules/inner/refs/heads/main': `${A}\n`,
    });
    expect(readCommit(join(root, 'inner'))).toBe(A);
  });

  test('is what git itself says: loose, packed, detached, and in a worktree', () => {
    const root = temporaryFolder();
    const env = { PATH: process.env.PATH ?? '', HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
    const git = (cwd: string, ...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=n', '-c', 'user.email=n@example.org', ...args], {
        cwd,
        env,
        encoding: 'utf8',
      }).trim();
    const main = join(root, 'main');
    const tree = join(root, 'tree');
    git(root, 'init', '--quiet', main);
    const same = (folder: string) =>
      expect(readCommit(folder)).toBe(git(folder, 'rev-parse', 'HEAD'));
    git(main, 'commit', '--quiet', '--allow-empty', '-m', 'one');
    same(main);
    git(main, 'worktree', 'add', '--quiet', '-b', 'side/line', tree);
    git(tree, 'commit', '--quiet', '--allow-empty', '-m', 'two');
    same(tree);
    git(main, 'pack-refs', '--all');
    same(main);
    same(tree);
    git(tree, 'checkout', '--quiet', '--detach', 'HEAD~0');
    same(tree);
    expect(readCommit(tree)).not.toBe(readCommit(main));
    expect(readFileSync(join(tree, '.git'), 'utf8')).toMatch(/^gitdir: /);
    rmSync(join(main, '.git'), { recursive: true });
    expect(readCommit(tree)).toBeUndefined();
  });
});

test('the load is three numbers, and on a platform that keeps none it is left out', () => {
  for (const average of readLoad('linux') ?? []) expect(average).toBeGreaterThanOrEqual(0);
  expect(readLoad('linux')).toHaveLength(3);
  expect(readLoad('win32')).toBeUndefined();
});

test('the machine is told whole', () => {
  expect(() => fingerprintSchema.parse(takeFingerprint(process.platform))).not.toThrow();
});
