// Who made something: a pid of this boot; and what is left of those that are no more.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { makeFolder, ownerAlive, ownerOf, removeFolder, staleFolders } from '../lib/owner.js';
import { temporaryFolder } from './temporary-folder.js';

/** A pid that was somebody's a moment ago, and is nobody's. */
function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  return pid;
}

function ownTmpdir(): string {
  const folder = temporaryFolder();
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  return folder;
}

describe('an owner', () => {
  test('that is this process, or another that runs, is alive', () => {
    expect(ownerAlive(ownerOf(process.pid))).toBe(true);
    expect(ownerAlive(ownerOf(process.ppid))).toBe(true);
    expect(ownerAlive(ownerOf(1)), 'pid 1 is another user’s, mostly').toBe(true);
  });

  test('that has ended is not', () => {
    expect(ownerAlive(ownerOf(deadPid()))).toBe(false);
  });

  test('that was killed is not, once it is gone', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    expect(ownerAlive(ownerOf(child.pid ?? 0))).toBe(true);
    child.kill('SIGKILL');
    await gone;
    expect(ownerAlive(ownerOf(child.pid ?? 0))).toBe(false);
  });

  test('of another boot is not, though the pid is somebody’s again', () => {
    expect(ownerAlive(`${process.pid}:00000000-0000-0000-0000-000000000000`)).toBe(false);
    expect(ownerAlive(`${process.pid}:`)).toBe(false);
    expect(ownerAlive(`${process.pid}`)).toBe(false);
  });

  test.each(['', '0', '-1', 'x', '1.5', ' '])('whose pid is none is not: %j', (pid) => {
    const boot = ownerOf(1).slice('1:'.length);
    expect(ownerAlive(`${pid}:${boot}`)).toBe(false);
  });
});

describe('a folder', () => {
  test('of a live owner is not stale', () => {
    ownTmpdir();
    const folder = makeFolder('run');
    expect(existsSync(folder)).toBe(true);
    expect(staleFolders()).toEqual([]);
    removeFolder(folder);
    expect(existsSync(folder)).toBe(false);
  });

  test('is stale when its owner is dead, and only then', () => {
    const tmp = ownTmpdir();
    const make = (name: string, owner?: string) => {
      mkdirSync(join(tmp, name));
      if (owner !== undefined) writeFileSync(join(tmp, name, '.owner'), owner);
    };
    make('cagematch-run-dead', ownerOf(deadPid()));
    make('cagematch-run-rebooted', `${process.pid}:another-boot`);
    make('cagematch-run-alive', ownerOf(process.pid));
    make('cagematch-run-nobodys');
    make('cagematch-run-begun', '');
    make('of-somebody-else', ownerOf(deadPid()));
    writeFileSync(join(tmp, 'cagematch-file'), '');
    expect(staleFolders().sort()).toEqual([join(tmp, 'cagematch-run-dead'), join(tmp, 'cagematch-run-rebooted')]);
  });

  test('whose owner died before it could sign is told by its name', () => {
    const tmp = ownTmpdir();
    const [dead, alive] = [`cagematch-run-${deadPid()}-AbC123`, `cagematch-run-${process.pid}-AbC123`];
    for (const name of [dead, alive]) mkdirSync(join(tmp, name));
    writeFileSync(join(tmp, dead, '.owner'), '');
    expect(staleFolders()).toEqual([join(tmp, dead)]);
  });

  test('is removed with all that is in it, and removing it twice is no error', () => {
    ownTmpdir();
    const folder = makeFolder('run');
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/b/c'), '');
    removeFolder(folder);
    removeFolder(folder);
    expect(existsSync(folder)).toBe(false);
  });
});
