// What the measurements depend on besides the runtimes: the machine, its load, and the version of
// cagematch.
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Fingerprint } from '../record/types.js';

/** This machine's hardware and system; memory in GiB, to one decimal place. */
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

/** Load averages over 1, 5 and 15 minutes; undefined on platforms without them. */
export function readLoad(platform: NodeJS.Platform): [number, number, number] | undefined {
  const [oneMinute = 0, five = 0, fifteen = 0] = loadavg();
  const rounded = (load: number) => Math.round(load * 100) / 100;
  return platform === 'win32' ? undefined : [rounded(oneMinute), rounded(five), rounded(fifteen)];
}

/**
 * The commit that a git checkout is at, read from git's own files: git itself is never run in a
 * folder that is not known to be safe. Uncommitted changes are not detected.
 * @param root the folder that would contain `.git`, which is a folder or a worktree's file
 * @returns undefined if it is not a checkout, or has no commit yet
 */
export function readCommit(root: string): string | undefined {
  const pointed = /^gitdir: (.+)$/m.exec(read(join(root, '.git')))?.[1];
  const own = pointed === undefined ? join(root, '.git') : resolve(root, pointed);
  // A worktree has its own HEAD, but its branches are stored in the shared repository.
  const shared = read(join(own, 'commondir')).trim();
  const folders = shared === '' ? [own] : [own, resolve(own, shared)];
  let text = read(join(own, 'HEAD')).trim();
  for (let depth = 0; depth < 5; depth += 1) {
    if (/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(text)) return text;
    const ref = /^ref: (refs\/(?!\S*\.\.)\S+)$/.exec(text)?.[1];
    if (ref === undefined) return undefined;
    text =
      folders.map((folder) => looseRef(folder, ref) || packedRef(folder, ref)).find(Boolean) ?? '';
  }
  return undefined;
}

function looseRef(folder: string, ref: string): string {
  return read(join(folder, ref)).trim();
}

/** Parses lines of the form `<commit> <ref>`. */
function packedRef(folder: string, ref: string): string {
  const line = read(join(folder, 'packed-refs'))
    .split('\n')
    .find((line) => line.endsWith(` ${ref}`));
  return line?.split(' ')[0] ?? '';
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
  if (existsSync('/run/.containerenv') || /^overlay \/ /m.test(read('/proc/mounts')))
    return 'container';
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
