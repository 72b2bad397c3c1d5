// OCI runtimes, recognized by name: the isolation of each, and what it needs or cannot do. Several
// modes can be configured to use them.
import type { Facts, Isolation, Variant } from '../../contract.js';
import { CagematchError } from '../../errors.js';

export interface OciRuntime {
  name: string;
  /**
   * Matches the names of its programs and shims, and the names that it is usually registered under.
   */
  mark: RegExp;
  isolation: Isolation;
  /** Names of its programs with the OCI command line; absent: it has none. */
  programs?: string[];
  /** Device files, one of which has to exist. */
  devices?: string[];
  /** Its virtual machine runs only the container's first process: exec'd processes stay outside. */
  mainProcessOnly?: true;
  /** How many tasks of the host's kernel one process inside needs; absent: one. */
  hostTasks?: number;
}

/** In order of precedence; the first match wins: `crun-krun` is krun. */
export const OCI_RUNTIMES: OciRuntime[] = [
  // Observed with its ptrace platform: 6 tasks for a shell, and the whole sandbox dies when it
  // reaches the host's limit.
  {
    name: 'runsc',
    mark: /runsc|gvisor/,
    isolation: 'user-kernel',
    programs: ['runsc'],
    hostTasks: 8,
  },
  {
    name: 'krun',
    mark: /krun/,
    isolation: 'microvm',
    programs: ['krun'],
    devices: ['/dev/kvm'],
    mainProcessOnly: true,
  },
  // Peer pods: the virtual machine is in a cloud, so no device is needed here.
  { name: 'kata-remote', mark: /kata-remote/, isolation: 'microvm' },
  {
    ...{ name: 'kata', mark: /kata/, isolation: 'microvm' },
    programs: ['kata', 'kata-runtime', 'kata-qemu', 'kata-fc'],
    devices: ['/dev/kvm', '/dev/mshv'],
  },
  { name: 'firecracker', mark: /firecracker/, isolation: 'microvm', devices: ['/dev/kvm'] },
  { name: 'youki', mark: /youki/, isolation: 'container', programs: ['youki'] },
  { name: 'crun', mark: /crun/, isolation: 'container', programs: ['crun'] },
  { name: 'runc', mark: /runc/, isolation: 'container', programs: ['runc'] },
];

/**
 * @param names the runtime's program or shim first, then the name that it is registered under
 * @returns undefined if the runtime is not in the list
 */
export function knownRuntime(...names: (string | undefined)[]): OciRuntime | undefined {
  for (const name of names) {
    const known = OCI_RUNTIMES.find(({ mark }) => mark.test(name ?? ''));
    if (known) return known;
  }
  return undefined;
}

/** A registered runtime as a variant. @param names as for `knownRuntime`, without the id */
export function runtimeVariant(id: string, ...names: (string | undefined)[]): Variant {
  const known = knownRuntime(...names, id);
  return {
    id,
    isolation: known?.isolation ?? 'container',
    ...(known?.mainProcessOnly ? { mainProcessOnly: true } : {}),
  };
}

/**
 * The names of runtimes by the name that each is registered under, where that does not identify it
 * or suggests another runtime.
 */
export type OtherNames = Record<string, string>;

export function otherNames(
  registered: Iterable<readonly [id: string, words: (string | undefined)[]]>,
): OtherNames {
  const others = [...registered].flatMap(([id, names]) => {
    const known = knownRuntime(...names, id);
    return known === undefined || known === knownRuntime(id) ? [] : [[id, known.name]];
  });
  return Object.fromEntries(others);
}

/** The other names as a fact for people: `small=krun runc=crun`. */
export function otherNamesFact(others: OtherNames): Facts {
  const pairs = Object.entries(others).map(([id, name]) => `${id}=${name}`);
  return pairs.length === 0 ? {} : { otherNames: pairs.join(' ') };
}

/** The runtime that is registered under the name on a machine with these other names. */
export function runtimeNamed(id: string, others: OtherNames = {}): OciRuntime | undefined {
  return knownRuntime(others[id], id);
}

/**
 * @throws `not-ready` if no device is usable that the runtime's virtual machines need: every run
 *   would fail, some after a long wait
 */
export function requireDevice(
  id: string,
  runtime: OciRuntime | undefined,
  usable: (path: string) => boolean,
): void {
  const { devices = [] } = runtime ?? {};
  if (devices.length === 0 || devices.some(usable)) return;
  const needs = `${id} needs ${devices.join(' or ')} for its virtual machine`;
  throw new CagematchError(
    'not-ready',
    `${needs}, which is not there, or not for this user`,
    `ls -l ${devices[0]}`,
  );
}

/**
 * @throws `not-ready` for a runtime that execs outside its virtual machine: runs would be measured
 *   as if they were inside
 */
export function requireInside(
  id: string,
  runtime: OciRuntime | undefined,
  hint = '--state prepared',
): void {
  if (!runtime?.mainProcessOnly) return;
  throw new CagematchError('not-ready', `${id} ${MAIN_PROCESS_ONLY}`, hint);
}

const MAIN_PROCESS_ONLY =
  "runs a container's first process in its machine, and what is exec'd beside it";
