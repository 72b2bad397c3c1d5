// What this machine is, as far as a runtime that brings its own microVM needs something of it.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';

export interface Machine {
  platform: NodeJS.Platform;
  /** Of this Node: one that is translated on Apple silicon says x64. */
  arch: string;
  /** The kernel's: 23.x is macOS 14, 10.0.22000 is Windows 11. */
  release: string;
  /** Linux alone: of /etc/os-release. */
  distribution?: { id: string; version: string };
  /** Linux alone. */
  kvm?: 'open' | 'closed' | 'absent';
}

/** Where to look; a test names others. */
const PLACES = { release: '/etc/os-release', kvm: '/dev/kvm' };

export function readMachine(platform: NodeJS.Platform, places: typeof PLACES = PLACES): Machine {
  const machine = { platform, arch: process.arch, release: release() };
  if (platform !== 'linux') return machine;
  return { ...machine, distribution: distributionIn(places.release), kvm: kvmAt(places.kvm) };
}

function distributionIn(path: string): { id: string; version: string } {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Then it is unknown.
  }
  const value = (name: string) => new RegExp(`^${name}=["']?([^"'\n]*)`, 'm').exec(text)?.[1] ?? 'unknown';
  return { id: value('ID'), version: value('VERSION_ID') };
}

function kvmAt(path: string): NonNullable<Machine['kvm']> {
  if (!existsSync(path)) return 'absent';
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return 'open';
  } catch {
    return 'closed';
  }
}

export interface Lack {
  reason: string;
  hint: string;
}

/** What a program is supported on, of one platform. */
export interface Need {
  /** The first version: of the distribution where one is named, else of the kernel. */
  first: string;
  /** That version, as its users call it. */
  called: string;
  distribution?: string;
  arch?: { is: string; called: string };
  kvm?: boolean;
}

/** What keeps a program from being supported here. @param what its name */
export function lackIn(machine: Machine, what: string, need: Need | undefined): Lack | undefined {
  if (need === undefined) return undefined;
  const { id, version } = machine.distribution ?? { id: machine.platform, version: machine.release };
  if ((need.distribution !== undefined && id !== need.distribution) || isBefore(version, need.first))
    return {
      reason: `${what} is supported on ${need.called} and later, and this is ${id} ${version}`,
      hint: `use ${need.called} or later`,
    };
  if (need.arch !== undefined && machine.arch !== need.arch.is)
    return {
      reason: `${what} needs ${need.arch.called}, and this Node is for ${machine.arch}`,
      hint: `use a machine with ${need.arch.called}`,
    };
  return need.kvm ? lackOfKvm(machine) : undefined;
}

/** What keeps its user from KVM. */
export function lackOfKvm({ kvm }: Pick<Machine, 'kvm'>): Lack | undefined {
  if (kvm === 'absent')
    return { reason: 'this machine has no /dev/kvm', hint: 'turn on virtualization in its firmware; in a VM, nested virtualization' };
  if (kvm === 'closed') return { reason: 'KVM is not open to this user', hint: 'sudo usermod -aG kvm $USER, then sign in again' };
  return undefined;
}

/** Versions as they are compared: number by number; what is none is before all. */
function isBefore(version: string, first: string): boolean {
  const [a, b] = [version, first].map((one) => one.split('.').map(Number));
  for (const [at, wanted] of (b ?? []).entries()) {
    const found = a?.[at] ?? 0;
    if (Number.isNaN(found) || found !== wanted) return !(found > wanted);
  }
  return false;
}
