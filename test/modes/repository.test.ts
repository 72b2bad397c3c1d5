// A folder as a git repository that git itself did not make, and takes.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { writeRepository } from '../../modes/docker-sandbox/repository.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A folder with these files, its repository, and a clone of that. */
async function cloned(make: (folder: string) => void) {
  const root = temporaryFolder();
  const [folder, repository, clone] = ['folder', 'repository', 'clone'].map((name) =>
    join(root, name),
  ) as [string, string, string];
  for (const path of [folder, repository]) mkdirSync(path);
  make(folder);
  const { whole } = writeRepository(folder, repository);
  const fsck = await execa('git', ['-C', repository, 'fsck', '--strict', '--full'], {
    reject: false,
  });
  expect({ code: fsck.exitCode, stderr: fsck.stderr }).toEqual({ code: 0, stderr: '' });
  await execa('git', ['clone', '--quiet', repository, clone]);
  const { stdout } = await execa('git', ['-C', clone, 'status', '--porcelain']);
  expect(stdout).toBe('');
  return { whole, clone };
}

it('git finds no fault with it, and clones files, programs, links and folders in its own order', async () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 256));
  const { whole, clone } = await cloned((folder) => {
    // `a.b` stands before the folder `a`, and `a0` behind it.
    for (const name of ['a.b', 'a0', 'ünïcode', 'empty'])
      writeFileSync(join(folder, name), name === 'empty' ? '' : name);
    mkdirSync(join(folder, 'a/deep'), { recursive: true });
    writeFileSync(join(folder, 'a/deep/bytes'), bytes);
    writeFileSync(join(folder, 'run'), '#!/bin/sh\n');
    chmodSync(join(folder, 'run'), 0o755);
    symlinkSync('/etc/passwd', join(folder, 'link'));
  });
  expect(whole).toBe(true);
  expect(readdirSync(clone).sort()).toEqual([
    '.git',
    'a',
    'a.b',
    'a0',
    'empty',
    'link',
    'run',
    'ünïcode',
  ]);
  expect(readFileSync(join(clone, 'a/deep/bytes')).equals(bytes)).toBe(true);
  expect(statSync(join(clone, 'run')).mode & 0o111).not.toBe(0);
  expect(statSync(join(clone, 'a0')).mode & 0o111).toBe(0);
  expect(readlinkSync(join(clone, 'link'))).toBe('/etc/passwd');
});

it('what git does not keep is told: empty folders, and a `.git` of the folder, of which nothing is taken', async () => {
  const { whole, clone } = await cloned((folder) => {
    mkdirSync(join(folder, 'empty/too'), { recursive: true });
    mkdirSync(join(folder, 'sub/.git'), { recursive: true });
    writeFileSync(join(folder, 'sub/.git/config'), '[core]\n\tfsmonitor = touch pwned\n');
    writeFileSync(join(folder, 'file'), 'text');
  });
  expect(whole).toBe(false);
  expect(readdirSync(clone).sort()).toEqual(['.git', 'file']);
});

it('an empty folder is a commit of nothing', async () => {
  const { whole, clone } = await cloned(() => {});
  expect(whole).toBe(true);
  expect(readdirSync(clone)).toEqual(['.git']);
});
