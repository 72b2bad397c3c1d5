// Runs inside a sandbox: queries git about the workspace's repositories and commits to them; in a
// plain folder only changes files.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { look } from './sync-look.mjs';

/**
 * The queries that both sides answer. Names and contents only: nothing whose wording depends on the
 * version of git.
 */
export const QUESTIONS = {
  status: ['status', '--porcelain=v1', '--untracked-files=all', '--ignored'],
  log: ['log', '--format=%H %s', '-n', '50'],
  fsck: ['fsck', '--no-progress', '--no-dangling'],
};
const WHO = [
  '-c',
  'user.name=guest',
  '-c',
  'user.email=guest@example.invalid',
  '-c',
  'gc.auto=0',
  '-c',
  'commit.gpgsign=false',
];

/** @param {string} folder @param {string[]} args */
function git(folder, args) {
  const ran = spawnSync('git', ['-C', folder, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (ran.error) return { failed: `git: ${ran.error.message}`, text: '' };
  return ran.status === 0
    ? { text: ran.stdout.trimEnd() }
    : { failed: words(ran.stderr || ran.stdout), text: '' };
}

/** @param {string} said */
function words(said) {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  return (
    lines.find((line) => /^(fatal|error):/.test(line)) ??
    lines.at(-1) ??
    'it failed without a word'
  ).slice(0, 300);
}

/** @param {{ shapes: { shape: string, git: boolean }[] }} given */
function run({ shapes }) {
  for (const { shape, git: isGit } of shapes) {
    const folder = `sync/shapes/${shape}`;
    const answers = Object.fromEntries(
      Object.entries(isGit ? QUESTIONS : {}).map(([question, args]) => [
        question,
        git(folder, args),
      ]),
    );
    console.log(JSON.stringify({ shape, answers, look: isGit ? {} : look(folder) }));
    const failed = change(folder, isGit);
    const head = isGit ? git(folder, ['rev-parse', 'HEAD']).text : '';
    console.log(
      JSON.stringify({
        shape,
        ...(failed === undefined ? {} : { failed }),
        head,
        made: look(folder),
      }),
    );
  }
}

/**
 * @param {string} folder
 * @param {boolean} isGit
 * @returns {string | undefined} why there is no commit
 */
function change(folder, isGit) {
  if (!existsSync(folder)) return 'the folder is not there';
  try {
    mkdirSync(`${folder}/made`);
    writeFileSync(`${folder}/made/inside.txt`, 'made inside\n');
  } catch (error) {
    return String(error);
  }
  if (!isGit) return undefined;
  return (
    git(folder, ['add', 'made/inside.txt']).failed ??
    git(folder, [...WHO, 'commit', '-q', '-m', 'inside', '--', 'made/inside.txt']).failed
  );
}

if (process.argv[1]?.endsWith('sync-git.mjs')) run(JSON.parse(process.argv[2] ?? '{}'));
