// Is a process still there? What tests ask after something should have been ended.
import { existsSync, readFileSync } from 'node:fs';

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

/** Dead, but not waited for by its parent; where nothing reaps orphans it stays so. */
function isZombie(pid: number): boolean {
  const status = `/proc/${pid}/status`;
  try {
    return existsSync(status) && /^State:\s+Z/m.test(readFileSync(status, 'utf8'));
  } catch {
    return true; // Gone between the two looks.
  }
}

/** The pid that a program wrote into a file, once it has. */
export function pidIn(path: string): number {
  const pid = Number(readFileSync(path, 'utf8').trim());
  if (!Number.isInteger(pid) || pid <= 0) throw new Error(`no pid in ${path} yet`);
  return pid;
}
