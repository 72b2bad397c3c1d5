// Opens a stand-in: an environment whose PATH finds it before the real program, and a state folder
// of its own.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface StandIn {
  env: Record<string, string>;
  close(): Promise<void>;
}

const bin = fileURLToPath(new URL('bin/', import.meta.url));

/**
 * @param program its name in bin/
 * @param found programs that only have to be found on PATH
 */
export async function openStandIn(
  program: string,
  env: Record<string, string> = {},
  found: string[] = [],
): Promise<StandIn> {
  const folder = mkdtempSync(join(tmpdir(), 'stand-in-'));
  // Whoever is the user inside has to get through.
  chmodSync(folder, 0o755);
  const state = join(folder, 'state');
  const path = join(folder, 'bin');
  for (const folder of [state, path]) mkdirSync(folder);
  symlinkSync(join(bin, program), join(path, program));
  for (const name of found) writeFileSync(join(path, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  return {
    env: {
      PATH: [path, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
      CAGEMATCH_STAND_IN_STATE: state,
      // Nobody listens there: the client is asked, not the daemon that this machine may have.
      DOCKER_HOST: `unix://${join(state, 'no.sock')}`,
      ...env,
    },
    async close() {
      for (const group of runningIn(join(state, 'pids'))) killGroup(group);
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function runningIn(folder: string): number[] {
  try {
    return readdirSync(folder).flatMap((id) => readdirSync(join(folder, id)).map(Number));
  } catch {
    return []; // Nothing was ever started.
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
