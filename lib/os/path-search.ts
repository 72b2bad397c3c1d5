// Finds programs on the PATH of a given environment.
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Env } from '../contract.js';

/** Absolute path of a program on PATH, or undefined. */
export function which(program: string, env: Env): string | undefined {
  return namesakes(program, env).find(isProgram);
}

/**
 * All paths on PATH where a program of that name is, in the order of PATH: the first one is the one
 * that runs.
 */
export function everyWhich(program: string, env: Env): string[] {
  return namesakes(program, env).filter(isProgram);
}

/**
 * Names of all programs on PATH that match the pattern, without duplicates, in alphabetical order.
 */
export function programsLike(pattern: RegExp, env: Env): string[] {
  const found = pathOf(env).flatMap((folder) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => pattern.test(name) && isProgram(join(folder, name)));
  });
  return [...new Set(found)].sort();
}

/** Candidate paths of a program, in the order of PATH. */
function namesakes(program: string, env: Env): string[] {
  return pathOf(env).map((folder) => join(folder, program));
}

function pathOf(env: Env): string[] {
  return (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
