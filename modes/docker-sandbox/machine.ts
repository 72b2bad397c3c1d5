// The properties of this machine that matter to a runtime that brings its own microVM.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';

export interface Machine {
  platform: NodeJS.Platform;
  /** Architecture of this Node: on Apple silicon, a translated Node reports x64. */
  arch: string;
  /** Kernel release: 23.x is macOS 14, 10.0.22000 is Windows 11. */
  release: string;
  /** Linux only: from /etc/os-release. */
  distribution?: { id: string; version: string };
  /** Linux only: whether this user can open /dev/kvm. */
  kvm?: 'open' | 'closed' | 'absent';
}

/** The files that are read; tests pass others. */
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
    // Without the file the distribution is unknown.
  }
  const value = (name: string) =>
    new RegExp(`^${name}=["']?([^"'\n]*)`, 'm').exec(text)?.[1] ?? 'unknown';
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

/** What a program requires on one platform. */
export interface Need {
  /** The first supported version, of the distribution if one is named, otherwise of the kernel. */
  first: string;
  /** The name that users have for that version. */
  called: string;
  distribution?: string;
  arch?: { is: string; called: string };
  kvm?: boolean;
}

/** Why a program is not supported here. @param what the program's name */
export function lackIn(machine: Machine, what: string, need: Need | undefined): Lack | undefined {
  if (need === undefined) return undefined;
  const { id, version } = machine.distribution ?? {
    id: machine.platform,
    version: machine.release,
  };
  if (
    (need.distribution !== undefined && id !== need.distribution) ||
    isBefore(version, need.first)
  )
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

/** Why this user cannot use KVM. */
export function lackOfKvm({ kvm }: Pick<Machine, 'kvm'>): Lack | undefined {
  if (kvm === 'absent')
    return {
      reason: 'this machine has no /dev/kvm',
      hint: 'turn on virtualization in its firmware; in a VM, nested virtualization',
    };
  if (kvm === 'closed')
    return {
      reason: 'KVM is not open to this user',
      hint: 'sudo usermod -aG kvm $USER, then sign in again',
    };
  return undefined;
}

/**
 * Compares versions component by component; a version that is not numeric sorts before all others.
 */
function isBefore(version: string, first: string): boolean {
  const [a, b] = [version, first].map((dotted) => dotted.split('.').map(Number));
  for (const [at, wanted] of (b ?? []).entries()) {
    const found = a?.[at] ?? 0;
    if (Number.isNaN(found) || found !== wanted) return !(found > wanted);
  }
  return false;
}
