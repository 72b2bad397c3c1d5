// How much memory and CPU time a sandbox may use, as the kernel enforces it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Output } from './arena.js';

const ROOT = '/sys/fs/cgroup';
const FILES = {
  memory: { v2: 'memory.max', v1: 'memory.limit_in_bytes' },
  cpu: { v2: 'cpu.max', v1: 'cpu.cfs_quota_us' },
};
const PERIOD_US = 100_000;

/**
 * Read inside the sandbox, or on this host where the guest does not see its own cgroup.
 *
 * @param pids of the sandbox's processes on this host
 */
export async function limitsOf(
  pids: Iterable<number>,
  sh: (script: string) => Promise<Output>,
): Promise<{ memoryBytes: number; cpus: number }> {
  const processes = [...pids];
  const first = async (controller: keyof typeof FILES) => {
    const { v1, v2 } = FILES[controller];
    const { stdout } = await sh(
      `cat ${ROOT}/${v2} 2>/dev/null || cat ${ROOT}/${controller}/${v1} 2>/dev/null`,
    );
    const [inside = ''] = stdout;
    return /^\d/.test(inside)
      ? inside
      : (processes.map((pid) => onHost(pid, controller)).find((limit) => limit !== undefined) ??
          '');
  };
  const [quota = '', periodUs = PERIOD_US] = (await first('cpu')).split(' ');
  return {
    memoryBytes: Number((await first('memory')) || Number.NaN),
    cpus: Number(quota || Number.NaN) / Number(periodUs),
  };
}

/**
 * The limit in the cgroup of a process; undefined where there is none, and for a process that has
 * ended.
 */
function onHost(pid: number, controller: keyof typeof FILES): string | undefined {
  if (!existsSync(`/proc/${pid}/cgroup`)) return undefined;
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const { v1, v2 } = FILES[controller];
    const file = controllers === '' ? join(ROOT, path, v2) : join(ROOT, controller, path, v1);
    if ((controllers !== '' && !controllers.split(',').includes(controller)) || !existsSync(file))
      continue;
    const limit = readFileSync(file, 'utf8').trim();
    if (/^\d/.test(limit) && Number(limit.split(' ')[0]) < 2 ** 62) return limit;
  }
  return undefined;
}
