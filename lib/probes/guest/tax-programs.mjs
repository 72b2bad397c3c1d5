// Workloads of other programs: a process that does nothing, and git.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Thrown if this sandbox lacks something that the workload needs. */
export class NotThere extends Error {}

/** Timeout for one program: if it does not end in time, its duration cannot be measured. */
const PROGRAM_MS = 30_000;

const FILES = 300;

/** Environment for git as on a machine without any git settings, in a repository of its own. */
const GIT_ENV = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'tax',
  GIT_AUTHOR_EMAIL: 'tax@example.com',
  GIT_COMMITTER_NAME: 'tax',
  GIT_COMMITTER_EMAIL: 'tax@example.com',
};
// git's own housekeeping would fall on one of many commits.
const QUIET = ['-c', 'gc.auto=0', '-c', 'maintenance.auto=false', '-c', 'init.defaultBranch=main'];

/** @type {Record<string, import('./tax.mjs').Prepare>} */
export const programLoops = {
  'process-spawn'() {
    const program = ['/bin/true', '/usr/bin/true'].find((path) => existsSync(path));
    if (program === undefined) throw new NotThere('there is no program `true`');
    return {
      act() {
        const { error, status, signal } = spawnSync(program, {
          stdio: 'ignore',
          timeout: PROGRAM_MS,
        });
        if (error) throw error;
        if (status !== 0) throw new Error(`${program} ended with ${status ?? signal}`);
      },
    };
  },

  'git-init'(folder) {
    const repository = join(folder, 'repository');
    return {
      before: () => rmSync(repository, { recursive: true, force: true }),
      act: () => git(folder, 'init', '--quiet', repository),
    };
  },

  'git-status'(folder) {
    makeRepository(folder);
    return { act: () => git(folder, 'status', '--porcelain') };
  },

  'git-commit'(folder) {
    makeRepository(folder);
    let times = 0;
    return {
      before() {
        times += 1;
        writeFileSync(join(folder, nameOf(0)), `changed ${times} times\n`);
      },
      act: () => git(folder, 'commit', '--quiet', '--all', '--message', 'changed'),
    };
  },
};

/** @param {string} folder @param {string[]} args */
function git(folder, ...args) {
  const { error, status, signal, stderr } = spawnSync('git', [...QUIET, ...args], {
    cwd: folder,
    env: GIT_ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: PROGRAM_MS,
  });
  if (error && 'code' in error && error.code === 'ENOENT') throw new NotThere('there is no git');
  if (error) throw error;
  if (status !== 0) throw new Error(`git ${args[0]} ended with ${status ?? signal}: ${stderr}`);
}

/** @param {number} index */
const nameOf = (index) => join(`folder-${index % 10}`, `file-${index}.txt`);

/** @param {string} folder */
function makeRepository(folder) {
  // A time long ago: git rereads files whose timestamps are as recent as its index.
  const longAgo = new Date('2001-01-01');
  for (let index = 0; index < FILES; index += 1) {
    const path = join(folder, nameOf(index));
    if (index < 10) mkdirSync(join(path, '..'));
    writeFileSync(path, `file ${index}\n`.repeat(50));
    utimesSync(path, longAgo, longAgo);
  }
  git(folder, 'init', '--quiet');
  git(folder, 'add', '--all');
  git(folder, 'commit', '--quiet', '--message', 'begun');
}
