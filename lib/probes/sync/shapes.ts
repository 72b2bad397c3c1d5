// Common shapes of workspaces: created by the host's git before launch, queried with the guest's
// git, then read as plain files.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Env } from '../../contract.js';
import { messageOf } from '../../errors.js';
import { capture, output, succeeded } from '../../os/capture.js';
import { own } from '../../os/own.js';
import { QUESTIONS } from '../guest/sync-git.mjs';
import { type Look, look, readText } from '../guest/sync-look.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import { type Finding, type Ledger, SHAPES } from './grid.js';

type Answers = Record<string, string>;

export interface ShapesSeed {
  /** What the host's git answered before anything else could write there. */
  answers: Map<string, Answers>;
  looks: Map<string, Look>;
  /** Why a shape could not be created. */
  failed: Map<string, string>;
}

interface GuestReport {
  shape: string;
  answers?: Record<string, { failed?: string; text: string }>;
  look?: Look;
  failed?: string;
  head?: string;
  made?: Look;
}

const QUICK_MS = 30_000;

/**
 * The host's git runs only here, in fresh folders that no agent has had access to.
 * @param user the future owner of the repository beside the workspace
 */
export async function seedShapes(
  workspace: string,
  path: string | undefined,
  user: { uid: number; gid: number },
  uid: number | undefined,
): Promise<ShapesSeed> {
  const seed: ShapesSeed = { answers: new Map(), looks: new Map(), failed: new Map() };
  const beside = join(dirname(workspace), 'repositories');
  const shapes = join(workspace, 'sync/shapes');
  for (const folder of [beside, join(beside, 'no-templates'), shapes]) mkdirSync(folder);
  // Do not use this machine's git configuration, hooks or templates.
  const env: Env = {
    PATH: path ?? '',
    LC_ALL: 'C',
    HOME: join(beside, 'no-templates'),
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TEMPLATE_DIR: join(beside, 'no-templates'),
    GIT_ALLOW_PROTOCOL: 'file',
    ...Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => [
        [`GIT_${who}_NAME`, 'outside'],
        [`GIT_${who}_EMAIL`, 'host@example.invalid'],
      ]),
    ),
  };
  const git = (cwd: string, ...args: string[]) =>
    output(['git', '-c', 'init.defaultBranch=main', ...args], {
      env,
      cwd,
      timeoutMs: QUICK_MS,
      code: 'launch-failed',
    });
  for (const { shape, git: isGit } of SHAPES) {
    const folder = join(shapes, shape);
    try {
      await MAKERS[shape]?.({ git, folder, beside });
      seed.looks.set(shape, look(folder));
      if (isGit) seed.answers.set(shape, await ask(folder, env));
    } catch (error) {
      seed.failed.set(shape, messageOf(error));
    }
  }
  own(beside, user, uid);
  return seed;
}

async function ask(folder: string, env: Env): Promise<Answers> {
  const answers: Answers = {};
  for (const [question, args] of Object.entries(QUESTIONS)) {
    const result = await capture(['git', '-C', folder, ...args], { env, timeoutMs: QUICK_MS });
    if (!succeeded(result)) throw new Error(`git ${question} on the host: ${result.stderr.trim()}`);
    answers[question] = result.stdout.trimEnd();
  }
  return answers;
}

interface Place {
  git(cwd: string, ...args: string[]): Promise<string>;
  folder: string;
  /** A folder outside the workspace. */
  beside: string;
}

const MAKERS: Record<string, (place: Place) => Promise<void>> = {
  async 'shape-plain'({ folder }) {
    write(folder, {
      'readme.txt': 'plain\n',
      'src/deep/code.js': 'export {};\n',
      'src/.hidden': '',
    });
  },
  async 'shape-git-dirty'({ git, folder }) {
    await repository(git, folder);
    write(folder, {
      'kept.txt': 'changed\n',
      'staged.txt': 'staged\n',
      'untracked.txt': 'new\n',
      'build.log': 'ignored\n',
      'src/more.js': '',
    });
    await git(folder, 'add', 'staged.txt');
    await git(folder, 'rm', '-q', 'removed.txt');
    rmSync(join(folder, 'deleted.txt'));
  },
  async 'shape-worktree'({ git, folder, beside }) {
    const main = join(beside, 'main');
    await repository(git, main);
    await git(main, 'worktree', 'add', '-q', '-b', 'work', folder);
  },
  async 'shape-submodule'({ git, folder, beside }) {
    const part = join(beside, 'part');
    await repository(git, part);
    await repository(git, folder);
    await git(folder, 'submodule', '--quiet', 'add', part, 'part');
    await git(folder, 'commit', '-q', '-m', 'with a part');
  },
  async 'shape-nested-git'({ git, folder }) {
    await repository(git, folder);
    await repository(git, join(folder, 'inner'));
  },
  async 'shape-shallow'({ git, folder, beside }) {
    const whole = join(beside, 'whole');
    await repository(git, whole);
    await git(beside, 'clone', '-q', '--depth', '1', `file://${whole}`, folder);
  },
};

async function repository(git: Place['git'], folder: string): Promise<void> {
  write(folder, {
    'kept.txt': 'one\n',
    'removed.txt': 'two\n',
    'deleted.txt': 'three\n',
    '.gitignore': '*.log\n',
  });
  await git(folder, 'init', '-q');
  await git(folder, 'add', '-A');
  await git(folder, 'commit', '-q', '-m', 'first');
  write(folder, { 'src/code.js': 'export {};\n' });
  await git(folder, 'add', '-A');
  await git(folder, 'commit', '-q', '-m', 'second');
}

function write(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/**
 * @returns a function that judges the state after collect: from here on, git does not run on the
 *   host
 */
export async function probeShapes(
  { ask, host: { workspace } }: ProbeSandbox,
  seed: ShapesSeed,
  ledger: Ledger,
): Promise<(collect: { ms?: number }) => void> {
  const shapes = SHAPES.filter(({ shape }) => !seed.failed.has(shape));
  const changed = new Map<string, GuestReport>();
  const clean = (text: string) => text.replaceAll(dirname(workspace), '…');
  for (const [shape, detail] of seed.failed)
    for (const direction of ['in', 'out'] as const)
      ledger.say(
        { direction, cell: shape },
        { verdict: 'gap', detail: `the host could not make it: ${clean(detail)}` },
      );
  for await (const { value } of ask<GuestReport>('sync-git.mjs', { shapes })) {
    if (value.made) changed.set(value.shape, value);
    else ledger.say({ direction: 'in', cell: value.shape }, cleaned(judgeIn(value, seed), clean));
  }
  return ({ ms }) => {
    for (const { shape } of shapes) {
      const folder = join(workspace, 'sync/shapes', shape);
      const seen = look(folder);
      const finding = judgeOut(changed.get(shape), seen, headOf(folder, seen));
      ledger.say(
        { direction: 'out', cell: shape },
        { ...cleaned(finding, clean), ...(ms === undefined ? {} : { latencyMs: ms }) },
      );
    }
  };
}

function judgeIn({ shape, answers = {}, look: seen = {} }: GuestReport, seed: ShapesSeed): Finding {
  const wanted = seed.answers.get(shape);
  if (!wanted) return compareTrees(seed.looks.get(shape) ?? {}, seen, 'on the host', 'inside');
  const words = Object.entries(wanted).flatMap(([question, text]) => {
    const answer = answers[question];
    if (answer?.failed !== undefined) return [`git ${question} inside: ${answer.failed}`];
    return answer?.text === text
      ? []
      : [`git ${question} says ${lines(answer?.text)} inside, ${lines(text)} on the host`];
  });
  return words.length === 0
    ? { verdict: 'same' }
    : { verdict: 'differs', detail: [...new Set(words)].join('; ') };
}

/**
 * @param head the commit that the host reads from git's files; undefined if these are outside the
 *   workspace
 */
function judgeOut(report: GuestReport | undefined, seen: Look, head: string | undefined): Finding {
  if (!report?.made) return { verdict: 'gap', detail: 'the guest said nothing about it' };
  if (report.failed !== undefined)
    return { verdict: 'differs', detail: `no commit inside: ${report.failed}` };
  const finding = compareTrees(report.made, seen, 'inside', 'on the host');
  if (finding.verdict !== 'same' || !report.head) return finding;
  if (head === undefined)
    return {
      verdict: 'same',
      detail: 'the commit made inside is in the repository outside of the workspace',
    };
  if (head !== report.head)
    return { verdict: 'differs', detail: `HEAD is ${report.head} inside, ${head} on the host` };
  return { verdict: 'same', detail: 'HEAD on the host is the commit made inside' };
}

/**
 * Reads plain files instead of running git, which a guest's repository could make run anything.
 * Files behind links are not in a look.
 */
function headOf(folder: string, seen: Look): string | undefined {
  const read = (path: string) =>
    seen[path] ? readText(join(folder, path), 500)?.trim() : undefined;
  const head = read('.git/HEAD');
  const ref = /^ref: (refs\/heads\/\w+)$/.exec(head ?? '')?.[1];
  return ref === undefined ? head : read(`.git/${ref}`);
}

/** Compares names, types and contents, including those of git's own files. */
function compareTrees(made: Look, seen: Look, makers: string, seers: string): Finding {
  const word = (entry: Look[string] | undefined) =>
    entry ? `${entry.type} ${entry.target ?? entry.hash ?? ''}` : 'not there';
  const paths = [...new Set([...Object.keys(made), ...Object.keys(seen)])].filter(
    (path) => word(made[path]) !== word(seen[path]),
  );
  if (paths.length === 0) return { verdict: 'same' };
  const some = paths
    .slice(0, 3)
    .map((path) => `${path}: ${word(made[path])} ${makers}, ${word(seen[path])} ${seers}`);
  return {
    verdict: paths.some((path) => !seen[path]) ? 'lost' : 'differs',
    detail: `${paths.length} of its files: ${some.join('; ')}`,
  };
}

function lines(text = ''): string {
  return text === ''
    ? 'nothing'
    : JSON.stringify(text.split('\n').slice(0, 3).join(', ').slice(0, 120));
}

function cleaned(finding: Finding, clean: (text: string) => string): Finding {
  return finding.detail === undefined ? finding : { ...finding, detail: clean(finding.detail) };
}
