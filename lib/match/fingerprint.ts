// What the numbers depend on besides the runtimes: the machine.
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { Fingerprint } from '../record.js';

export function takeFingerprint(platform: NodeJS.Platform): Fingerprint {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() || 'unknown',
    cores: processors.length || 1,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: release(),
    os: osName(platform),
    cgroup: cgroupVersion(),
    virtualization: virtualization(),
  };
}

function osName(platform: NodeJS.Platform): string {
  const pretty = /^PRETTY_NAME="?([^"\n]+)/m.exec(read('/etc/os-release'))?.[1];
  return pretty ?? platform;
}

function cgroupVersion(): string {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return 'v2';
  if (existsSync('/sys/fs/cgroup/unified')) return 'v1 hybrid';
  return existsSync('/sys/fs/cgroup/memory') ? 'v1' : 'none';
}

function virtualization(): string {
  if (existsSync('/run/.containerenv') || /^overlay \/ /m.test(read('/proc/mounts'))) return 'container';
  const vendor = read('/sys/class/dmi/id/sys_vendor').trim();
  if (/\bhypervisor\b/.test(read('/proc/cpuinfo'))) return vendor ? `vm (${vendor})` : 'vm';
  return vendor ? 'none' : 'unknown';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
