// What is said of a whole probe, the same in every form of it.
import type { ProbeName } from '../../record/probe.js';
import { listed } from '../cells.js';
import type { ProbeDocument, ProbedMode } from './document.js';

/** What the tables are called. */
export const TITLES: Record<ProbeName, string> = { sync: 'files', walls: 'walls', residue: 'residue', tax: 'tax' };

export const titlesOf = ({ probe }: ProbeDocument): string => probe.only.map((what) => TITLES[what]).join(', ');

/** In the report of a match: where a probe of the same machine is, and what of it. */
export const whereProbed = (document: ProbeDocument): string =>
  `${titlesOf(document)}: probe ${document.probe.id} (cagematch report ${document.probe.id})`;

const rowName = ({ entry, standIn }: Pick<ProbedMode, 'entry' | 'standIn'>): string => (standIn ? `${entry} (stand-in)` : entry);

/** The name of a row of this document, with its mark. */
export function namesOf({ modes }: ProbeDocument): (entry: string) => string {
  const known = new Map(modes.map((mode) => [mode.entry, rowName(mode)]));
  return (entry) => known.get(entry) ?? entry;
}

/** Undefined where it ran to its end. */
export function endedEarly({ probe }: ProbeDocument): string | undefined {
  if (probe.how === 'done') return undefined;
  return `this probe was ${probe.how === 'interrupted' ? 'interrupted' : `cut short (${probe.how})`}; the tables hold what was found until then`;
}

export const brokeOffText = ({ what, reason }: ProbeDocument['brokeOff'][number]): string =>
  what === 'prepare' ? `could not be made ready: ${reason}` : `${TITLES[what]} broke off: ${reason}`;

/** Where the probe ran, in one line. */
export function environmentOf({ probe, modes }: ProbeDocument): string {
  const { host, versions } = probe;
  const commit = versions.commit === undefined ? '' : ` (${versions.commit})`;
  const seen = new Map<string, string>();
  for (const { title, detection } of modes) if (detection.status === 'ready') seen.set(title, detection.version);
  const runtimes = [...seen].map(([title, version]) => `${title} ${version}`);
  return `${host.cpu}, ${host.cores} cores, ${host.memoryGiB} GiB; ${host.os}, kernel ${host.kernel}, cgroup ${host.cgroup}, virtualization ${host.virtualization}; cagematch ${versions.cagematch}${commit}, Node ${versions.node}; ${runtimes.join(', ')}`;
}

export const roundsOf = ({ probe }: ProbeDocument): string =>
  probe.only.includes('tax')
    ? `${probe.rounds} ${probe.rounds === 1 ? 'round' : 'rounds'} of tax in seeded random order (seed ${probe.seed})`
    : '';

export const openingOf = (document: ProbeDocument): string =>
  `${listed(document.probe.only.map((what) => TITLES[what]))}, tried from inside in ${document.modes.length === 1 ? 'one row' : `${document.modes.length} rows`}`;
