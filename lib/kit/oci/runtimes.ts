// OCI runtimes by what they are called: what each isolates by, and what it needs or cannot do. Several modes can be told to use them.
import type { Facts, Isolation, Variant } from '../../contract.js';
import { CagematchError } from '../../errors.js';

export interface OciRuntime {
  name: string;
  /** What its programs and shims, and those who register them, put into the name. */
  mark: RegExp;
  isolation: Isolation;
  /** What a program that speaks OCI's command line is called; absent: there is none of that. */
  programs?: string[];
  /** One of these has to be there. */
  devices?: string[];
  /** Its machine has one process of ours: what is exec'd stays outside. */
  mainProcessOnly?: true;
  /** How many tasks of the host's kernel one process inside takes; absent: one. */
  hostTasks?: number;
}

/** The first that matches is meant: `crun-krun` is krun. */
export const OCI_RUNTIMES: OciRuntime[] = [
  // Seen with its ptrace platform: 6 for a shell, and the whole sandbox dies where the host's limit is met.
  { name: 'runsc', mark: /runsc|gvisor/, isolation: 'user-kernel', programs: ['runsc'], hostTasks: 8 },
  { name: 'krun', mark: /krun/, isolation: 'microvm', programs: ['krun'], devices: ['/dev/kvm'], mainProcessOnly: true },
  // Of peer pods: the machine is in a cloud, and no device here is for it.
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

/** @param words its program or shim first, then the name that it is registered with; of another runtime nothing is known */
export function knownRuntime(...words: (string | undefined)[]): OciRuntime | undefined {
  for (const word of words) {
    const known = OCI_RUNTIMES.find(({ mark }) => mark.test(word ?? ''));
    if (known) return known;
  }
  return undefined;
}

/** A registered runtime as a variant. @param words as of `knownRuntime`, without the id */
export function runtimeVariant(id: string, ...words: (string | undefined)[]): Variant {
  const known = knownRuntime(...words, id);
  return { id, isolation: known?.isolation ?? 'container', ...(known?.mainProcessOnly ? { mainProcessOnly: true } : {}) };
}

/** A fact, where there is anything to tell: which runtimes are registered with a name that says nothing, or something else, of what they are. */
export function otherNames(registered: Iterable<readonly [id: string, words: (string | undefined)[]]>): Facts {
  const others = [...registered].flatMap(([id, words]) => {
    const known = knownRuntime(...words, id);
    return known === undefined || known === knownRuntime(id) ? [] : [`${id}=${known.name}`];
  });
  return others.length === 0 ? {} : { otherNames: others.join(' ') };
}

/** What the name stands for on a machine with these facts. */
export function runtimeNamed(id: string, facts: Facts): OciRuntime | undefined {
  const other = String(facts.otherNames ?? '')
    .split(' ')
    .find((one) => one.startsWith(`${id}=`));
  return knownRuntime(other?.slice(id.length + 1), id);
}

/** @throws `not-ready` where no device is there that its virtual machines need: every run would fail, some after a long wait */
export function requireDevice(id: string, runtime: OciRuntime | undefined, usable: (path: string) => boolean): void {
  const { devices = [] } = runtime ?? {};
  if (devices.length === 0 || devices.some(usable)) return;
  const needs = `${id} needs ${devices.join(' or ')} for its virtual machine`;
  throw new CagematchError('not-ready', `${needs}, which is not there, or not for this user`, `ls -l ${devices[0]}`);
}

/** What ran beside its machine would be measured as if it were inside. @throws `not-ready` */
export function requireInside(id: string, runtime: OciRuntime | undefined, hint = '--state prepared'): void {
  if (!runtime?.mainProcessOnly) return;
  throw new CagematchError('not-ready', `${id} ${MAIN_PROCESS_ONLY}`, hint);
}

const MAIN_PROCESS_ONLY = "runs a container's first process in its machine, and what is exec'd beside it";
