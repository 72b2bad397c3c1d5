// A copy of this project with other files dropped in, compiled; and its command line, called as a
// user would.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { main } from '../../commands/main.js';
import { packageRoot } from '../../lib/package.js';
import { doesTheTask } from './agent-scripts.js';
import { writeProgram } from './fake-commands.js';

export interface House {
  root: string;
  close(): void;
}

/** What the built binary reads. */
const PARTS = ['lib', 'tasks', 'package.json', 'Dockerfile', 'fly.toml'];
/** What it is compiled from. */
const SOURCES = ['cli.ts', 'commands', 'modes', 'tsconfig.json', 'tsconfig.build.json'];

/**
 * A house of its own, with files dropped in; no other edit is made.
 * @param extra TypeScript, or what needs no compiling, by its path; it takes the place of a file
 *   that is there
 * @param options `whole`: everything is compiled, types are checked, as by `npm ci`; otherwise only
 *   what is dropped in, unchecked. `shellAgent`: the agent is a shell script that does the hello
 *   task without a model, for tests in which the agent is only a process
 */
export async function buildHouse(
  extra: Record<string, string>,
  { whole = false, shellAgent = false } = {},
): Promise<House> {
  const root = mkdtempSync(join(tmpdir(), 'house-'));
  for (const part of whole ? [...PARTS, ...SOURCES] : [...PARTS, 'dist'])
    cpSync(join(packageRoot, part), join(root, part), { recursive: true });
  if (shellAgent) moveInShellAgent(join(root, 'node_modules'));
  else symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
  for (const [path, text] of Object.entries(extra)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const args = whole
    ? ['-p', 'tsconfig.build.json']
    : [...ONLY_THESE, ...Object.keys(extra).filter((path) => path.endsWith('.ts'))];
  await execa(join(packageRoot, 'node_modules/.bin/tsc'), args, { cwd: root });
  return { root, close: () => rmSync(root, { recursive: true, force: true }) };
}

/** The project's dependencies, with a script in the place of the agent's package. */
function moveInShellAgent(modules: string): void {
  const agent = join(modules, '@anthropic-ai', `claude-code-${process.platform}-${process.arch}`);
  mkdirSync(agent, { recursive: true });
  for (const name of readdirSync(join(packageRoot, 'node_modules')).filter(
    (entry) => entry !== '@anthropic-ai',
  ))
    symlinkSync(join(packageRoot, 'node_modules', name), join(modules, name));
  writeFileSync(join(agent, 'package.json'), '{}');
  writeProgram(join(agent, 'claude'), `#!/bin/sh\n${doesTheTask()}\n`);
}

const ONLY_THESE = [
  '--noCheck',
  '--noResolve',
  '--module',
  'nodenext',
  '--target',
  'es2023',
  '--rootDir',
  '.',
  '--outDir',
  'dist',
];

/** The project itself, as `npm ci` has built it. */
export const ownHouse: House = { root: packageRoot, close: () => {} };

/**
 * A folder to stand in, outside the project: nothing that a test does reaches RESULTS.md or
 * results/.
 */
export function standSomewhere(): { cwd: string; close(): void } {
  const cwd = mkdtempSync(join(tmpdir(), 'somewhere-'));
  return { cwd, close: () => rmSync(cwd, { recursive: true, force: true }) };
}

const NEUTRAL = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  TERM: 'xterm',
  LANG: 'C.UTF-8',
};

/** A command line that has ended. */
export interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

interface Call {
  cwd: string;
  /** Holds only what is given and what any shell has. */
  env?: Record<string, string>;
}

/**
 * A command line of ours, run to its end: in this process, which has loaded all of it already,
 * unless it needs one of its own. A match begins with no warm-up round unless the arguments ask for
 * one: each costs a start of the agent in every row.
 */
export async function cagematch(
  house: House,
  args: string[],
  { cwd, env = {} }: Call,
): Promise<Ended> {
  if (house !== ownHouse || needsProcess(args, env)) {
    const {
      exitCode = Number.NaN,
      stdout,
      stderr,
    } = await startCagematch(house, args, { cwd, env });
    return { exitCode, stdout, stderr };
  }
  const stdout: string[] = [];
  const stderr: string[] = [];
  const exitCode = await main(withoutWarmup(args), {
    env: { ...NEUTRAL, ...env },
    cwd,
    stdout: { write: (text) => stdout.push(text) },
    stderr: { write: (text) => stderr.push(text) },
    leave: (code) => {
      throw new Error(`the command line would have ended its process with ${code}`);
    },
  });
  return { exitCode, stdout: stdout.join(''), stderr: stderr.join('') };
}

/** The built binary, handed over as it runs. */
export function startCagematch(house: House, args: string[], { cwd, env = {} }: Call) {
  return execa(process.execPath, [join(house.root, 'dist/cli.js'), ...withoutWarmup(args)], {
    cwd,
    env: { ...NEUTRAL, ...env },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
  });
}

/**
 * The folder for temporary files belongs to the whole process, Node reads its own settings as it
 * starts, and yargs prints help by itself.
 */
function needsProcess(args: string[], env: Record<string, string>): boolean {
  return (
    Object.keys(env).some((name) => /^(TMPDIR$|NODE_)/.test(name)) ||
    args.includes('--help') ||
    args.includes('--version')
  );
}

function withoutWarmup(args: string[]): string[] {
  const decides = ['--warmup', '-f', '--file', '--help'].some((flag) => args.includes(flag));
  return args[0] === 'run' && !decides ? [...args, '--warmup', '0'] : args;
}
