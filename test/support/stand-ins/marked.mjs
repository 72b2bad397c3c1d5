// Processes of a stand-in's sandbox, found by a mark in their environment, so that none outlives
// its sandbox.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const NAME = 'CAGEMATCH_STAND_IN_SANDBOX';

/** @param {string} mark */
export const markEnv = (mark) => ({ [NAME]: mark });

/** @param {string} mark */
export function killMarked(mark) {
  const line = `${NAME}=${mark}`;
  // What a dying process has just started is found by the next look.
  for (let pass = 0; pass < 5; pass += 1) {
    const found = (process.platform === 'linux' ? fromProc(line) : fromPs(line)).filter(
      (pid) => pid !== process.pid,
    );
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
  }
}

/** @param {string} line */
function fromProc(line) {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const dead = /^State:\s+Z/m.test(readFileSync(`/proc/${name}/status`, 'utf8'));
      return !dead && readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(line)
        ? [Number(name)]
        : [];
    } catch {
      return [];
    }
  });
}

/** @param {string} line */
function fromPs(line) {
  const listed =
    spawnSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8' }).stdout ?? '';
  return listed
    .split('\n')
    .flatMap((text) => (text.split(' ').includes(line) ? [Number.parseInt(text, 10)] : []));
}
