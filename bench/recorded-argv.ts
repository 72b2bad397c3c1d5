// Records the command lines of a mode: a wrapper with the client's name comes first on PATH, saves
// its argv, and execs the client.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Env } from '../lib/contract.js';
import { which } from '../lib/os/path-search.js';

export interface ArgvRecorder {
  /** The environment in which the recorder is found in place of the client. */
  env: Env;
  /** argv, without the program, of the last call whose first argument was `verb`. */
  last(verb: string): string[];
}

/** @param folder where the recorder and its notes are stored */
export function recordArgv(program: string, folder: string, env: Env): ArgvRecorder {
  const real = which(program, env);
  if (real === undefined) throw new Error(`no ${program} on PATH`);
  const bin = join(folder, 'recorder');
  const notes = (verb: string) => join(folder, `argv-${verb}`);
  mkdirSync(bin);
  writeFileSync(
    join(bin, program),
    `#!/bin/sh\nprintf '%s\\0' "$@" > "${notes('$1')}"\nexec "${real}" "$@"\n`,
  );
  chmodSync(join(bin, program), 0o755);
  return {
    env: { ...env, PATH: `${bin}${delimiter}${env.PATH ?? ''}` },
    last(verb) {
      if (!existsSync(notes(verb))) throw new Error(`${program} ${verb} was never called`);
      return readFileSync(notes(verb), 'utf8').split('\0').slice(0, -1);
    },
  };
}
