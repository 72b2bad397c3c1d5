// Wording about a whole probe, the same in every form of its report.
import type { ProbeName } from '../../record/probe.js';
import { listed } from '../cells.js';
import type { ProbeDocument, ProbedMode } from './document.js';

/** Titles of the tables. */
export const TITLES: Record<ProbeName, string> = {
  sync: 'files',
  walls: 'isolation checks',
  residue: 'residue',
  tax: 'overhead',
};

export const titlesOf = ({ probe }: ProbeDocument): string =>
  probe.only.map((what) => TITLES[what]).join(', ');

/**
 * For the report of a match: which tables a probe of the same machine has, and where to find them.
 */
export const whereProbed = (document: ProbeDocument): string =>
  `probe of ${titlesOf(document)}: cagematch report ${document.probe.id}`;

const rowName = ({ entry, standIn }: Pick<ProbedMode, 'entry' | 'standIn'>): string =>
  standIn ? `${entry} (stand-in)` : entry;

/** Names of the rows of this document, with the mark of a stand-in. */
export function namesOf({ modes }: ProbeDocument): (entry: string) => string {
  const known = new Map(modes.map((mode) => [mode.entry, rowName(mode)]));
  return (entry) => known.get(entry) ?? entry;
}

/** Undefined if the probe ran to its end. */
export function endedEarly({ probe }: ProbeDocument): string | undefined {
  if (probe.how === 'done') return undefined;
  return `this probe was ${probe.how === 'interrupted' ? 'interrupted' : `cut short (${probe.how})`}; the tables hold what was found until then`;
}

export const brokeOffText = ({ what, reason }: ProbeDocument['brokeOff'][number]): string =>
  what === 'prepare'
    ? `could not be made ready: ${reason}`
    : `${TITLES[what]} broke off: ${reason}`;

/** The environment of the probe, in one line. */
export function environmentOf({ probe, modes }: ProbeDocument): string {
  const { host, versions } = probe;
  const commit = versions.commit === undefined ? '' : ` (${versions.commit})`;
  const seen = new Map<string, string>();
  for (const { title, detection } of modes)
    if (detection.status === 'ready') seen.set(title, detection.version);
  const runtimes = [...seen].map(([title, version]) => `${title} ${version}`);
  return `${host.cpu}, ${host.cores} cores, ${host.memoryGiB} GiB; ${host.os}, kernel ${host.kernel}, cgroup ${host.cgroup}, virtualization ${host.virtualization}; cagematch ${versions.cagematch}${commit}, Node ${versions.node}; ${runtimes.join(', ')}`;
}

export const roundsOf = ({ probe }: ProbeDocument): string =>
  probe.only.includes('tax')
    ? `${probe.rounds} ${probe.rounds === 1 ? 'round' : 'rounds'} of overhead in seeded random order (seed ${probe.seed})`
    : '';

export const openingOf = (document: ProbeDocument): string =>
  `${listed(document.probe.only.map((what) => TITLES[what]))}, tried from inside in ${document.modes.length === 1 ? 'one row' : `${document.modes.length} rows`}`;
