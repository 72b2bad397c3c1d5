// A copy of this project with other files dropped in, compiled; and its command line, called as a user would.
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../lib/package.js';

export interface House {
  root: string;
  close(): void;
}

const PARTS = [
  'cli.ts',
  'commands',
  'lib',
  'modes',
  'tasks',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'Dockerfile',
  'fly.toml',
];

/**
 * A house of its own; where nothing is dropped in, the project itself is the same.
 * @param extra files to drop in, by path; no other edit is made */
export async function buildHouse(extra: Record<string, string> = {}): Promise<House> {
  if (Object.keys(extra).length === 0) return ownHouse;
  const root = mkdtempSync(join(tmpdir(), 'house-'));
  for (const part of PARTS.filter((one) => existsSync(join(packageRoot, one))))
    cpSync(join(packageRoot, part), join(root, part), { recursive: true });
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
  for (const [path, text] of Object.entries(extra)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  await execa(join(packageRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: root });
  return { root, close: () => rmSync(root, { recursive: true, force: true }) };
}

/** The project itself, as `npm ci` has built it. */
export const ownHouse: House = { root: packageRoot, close: () => {} };

/** A folder to stand in, outside the project: nothing that a test does reaches RESULTS.md or results/. */
export function standSomewhere(): { cwd: string; close(): void } {
  const cwd = mkdtempSync(join(tmpdir(), 'somewhere-'));
  return { cwd, close: () => rmSync(cwd, { recursive: true, force: true }) };
}

const NEUTRAL = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', TERM: 'xterm', LANG: 'C.UTF-8' };

/**
 * Runs the built binary to its end, or hands it over as it runs. The environment holds only what is given and what any shell has.
 * A match begins with no warm-up round unless the arguments ask for one: each costs a start of the agent in every row.
 */
export function cagematch(house: House, args: string[], options: { cwd: string; env?: Record<string, string> }) {
  const decides = ['--warmup', '-f', '--file', '--help'].some((flag) => args.includes(flag));
  const cold = args[0] === 'run' && !decides ? ['--warmup', '0'] : [];
  return execa(process.execPath, [join(house.root, 'dist/cli.js'), ...args, ...cold], {
    cwd: options.cwd,
    env: { ...NEUTRAL, ...options.env },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
  });
}
