// How much a sandbox may use, as the kernel holds it: read inside, or on this host where the guest does not see its own cgroup.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Told } from './arena.js';

const FILES = {
  memoryBytes: ['memory.max', 'memory/memory.limit_in_bytes'],
  quota: ['cpu.max', 'cpu/cpu.cfs_quota_us'],
};
const ROOT = '/sys/fs/cgroup';
const PERIOD_US = 100_000;

/** @param name of the sandbox, which the name of its cgroup holds where the guest does not see it */
export async function limitsOf(name: string, sh: (script: string) => Promise<Told>): Promise<{ memoryBytes: number; cpus: number }> {
  const first = async (files: string[]) => {
    const { stdout } = await sh(files.map((file) => `cat ${ROOT}/${file} 2>/dev/null`).join(' || '));
    return stdout[0] ?? onHost(name, files) ?? '';
  };
  const [quota = '', periodUs = PERIOD_US] = (await first(FILES.quota)).split(' ');
  return { memoryBytes: Number(await first(FILES.memoryBytes)), cpus: Number(quota) / Number(periodUs) };
}

/** The guest's own cgroup, not that of what watches it. */
function onHost(name: string, files: string[]): string | undefined {
  for (const file of files) {
    const [controller, base] = file.includes('/') ? file.split('/') : ['', file];
    const folder = join(ROOT, controller ?? '');
    const guest = existsSync(folder) ? readdirSync(folder).find((one) => one.includes(`payload.${name}`)) : undefined;
    if (guest !== undefined) return readFileSync(join(folder, guest, base ?? ''), 'utf8').trim();
  }
  return undefined;
}
