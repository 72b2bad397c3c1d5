// Under which circumstances the numbers came about: how busy the machine was, what first runs took, and what the sandboxes are inside.
import { quantileSorted } from 'simple-statistics';
import { type Guest, isGap } from '../record/types.js';
import { bytes, isLabelledByTask, listed, nameOf, tasksOf, withoutLabel } from './cells.js';
import type { ModeReport, Report } from './document.js';
import type { Tally } from './tally.js';

/** Of the machine's CPU time, or of the time in which work waited for a CPU: what is above it disturbs. */
const DISTURBING = 0.05;
/** The runs that a line names. */
const MOST_NAMED = 5;

type Machine = NonNullable<ModeReport['machine']>;

/**
 * Of the runs that passed. Daemons and clients of the row's own runtime are in what others used, in every run alike: what counts is how
 * far a run is above its row's quieter runs.
 */
export function machineOf(tally: Tally, cores: number): Omit<Machine, 'cpuMs'> | undefined {
  const [wall, steal, other] = (['wallMs', 'stealMs', 'otherMs'] as const).map((name) => tally.quantity(name));
  if (!wall || !steal || !other || wall.every(Number.isNaN)) return undefined;
  const known = [...other].filter((ms) => !Number.isNaN(ms)).sort((a, b) => a - b);
  const usual = known.length === 0 ? Number.NaN : quantileSorted(known, 0.25);
  const disturbed = tally.names.flatMap((run, at): Machine['disturbed'] => {
    const capacityMs = (wall[at] as number) * cores;
    const stolen = (steal[at] as number) / capacityMs;
    const foreign = ((other[at] as number) - usual) / capacityMs;
    const rounded = (share: number) => Math.round(share * 1000) / 1000;
    if (stolen > DISTURBING) return [{ run, cause: 'steal', share: rounded(stolen) }];
    return foreign > DISTURBING ? [{ run, cause: 'other', share: rounded(foreign) }] : [];
  });
  return { judged: wall.length, disturbed };
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

/** What a reader has to know before the table: each line is a reason to doubt it. */
export function doubts(report: Report): string[] {
  return [...before(report), ...during(report), ...differences(report)];
}

/** The machine as it was just before the match; nothing where it was quiet, or nobody looked. */
function before({ match: { quiet } }: Report): string[] {
  const seen = quiet === undefined ? [] : busyParts(quiet);
  return seen.length === 0 ? [] : [`the machine was busy before the match: ${listed(seen)}; its numbers are of a busy machine`];
}

/** Shares above the limit, in words. */
export function busyParts({ otherShare, stealShare, waitingShare }: NonNullable<Report['match']['quiet']>): string[] {
  return [
    ...(otherShare > DISTURBING ? [`others used ${percent(otherShare)} of its CPU time`] : []),
    ...(stealShare > DISTURBING ? [`${percent(stealShare)} of it was stolen`] : []),
    ...(!isGap(waitingShare) && waitingShare > DISTURBING ? [`work waited for a CPU in ${percent(waitingShare)} of the time`] : []),
  ];
}

function during({ modes }: Report): string[] {
  const all = modes.flatMap(({ machine }) => machine?.disturbed ?? []);
  const judged = modes.reduce((sum, { machine }) => sum + (machine?.judged ?? 0), 0);
  return (['steal', 'other'] as const).flatMap((cause) => {
    const runs = all.filter((one) => one.cause === cause);
    if (runs.length === 0) return [];
    const named = runs.slice(0, MOST_NAMED).map(({ run, share }) => `${run} ${percent(share)}`);
    const more = runs.length > MOST_NAMED ? [`${runs.length - MOST_NAMED} more`] : [];
    const what =
      cause === 'steal'
        ? `more than ${percent(DISTURBING)} of the CPU time was stolen from this machine`
        : `something else used more than ${percent(DISTURBING)} of the CPU time`;
    return [`in ${runs.length} of ${judged} runs ${what}: ${[...named, ...more].join(', ')}`];
  });
}

/** How each thing is called, and how it is shown. */
const INSIDE: [keyof Guest, string, (value: string | number) => string][] = [
  ['nodeVersion', 'Node', String],
  ['gitVersion', 'Git', String],
  ['libc', 'libc', String],
  ['os', 'system', String],
  ['uid', 'uid', String],
  ['memoryBytes', 'memory limit', (value) => (typeof value === 'number' ? bytes(value) : value)],
  ['pids', 'process limit', String],
];

interface Inside {
  name: string;
  /** Rows by what they have; rows of which it is not known are in none. */
  values: [value: string, rows: string[]][];
}

function insides(report: Report): Inside[] {
  const sandbox = sandboxNames(report);
  return INSIDE.flatMap(([key, name, show]) => {
    const values = new Map<string, Set<string>>();
    for (const mode of report.modes) {
      const value = mode.guest === undefined || isGap(mode.guest) ? undefined : mode.guest[key];
      if (value === undefined || isGap(value)) continue;
      values.set(show(value), (values.get(show(value)) ?? new Set()).add(sandbox(mode)));
    }
    return values.size === 0 ? [] : [{ name, values: [...values].map(([value, rows]) => [value, [...rows]]) }];
  });
}

/** A sandbox is the same one for each of several tasks: its rows are named once, by it. */
function sandboxNames(report: Report): (mode: ModeReport) => string {
  const several = tasksOf(report).length > 1;
  return (mode) => (several && isLabelledByTask(mode) ? withoutLabel(mode.entry) : nameOf(mode));
}

const inWords = ({ name, values }: Inside) => `${name} ${values.map(([value, rows]) => `${value} in ${rows.join(', ')}`).join('; ')}`;

/** The programs and limits in which rows differ: part of a difference between them may be theirs. */
function differences(report: Report): string[] {
  const differing = insides(report).filter(({ values }) => values.length > 1);
  return differing.length === 0 ? [] : [`rows differ inside, and so may their numbers: ${differing.map(inWords).join(' · ')}`];
}

/** What is the same in every row of which it is known. */
export function insideAlike(report: Report): string | undefined {
  const same = insides(report).filter(({ values }) => values.length === 1);
  return same.length === 0 ? undefined : `inside: ${same.map(({ name, values }) => `${name} ${values[0]?.[0]}`).join(', ')}`;
}

/** What the run that was not counted took, over its row's median: whoever starts a sandbox now and then waits for that. */
export function firstRunLine({ modes }: Report): string | undefined {
  const known = modes.flatMap((mode) => {
    const { firstRunMs, startupMs } = mode;
    if (firstRunMs === undefined || isGap(firstRunMs) || isGap(startupMs)) return [];
    return [`${nameOf(mode)} ${(firstRunMs / startupMs.median).toFixed(2)}`];
  });
  return known.length === 0 ? undefined : `first run (warm-up), its startup over the row's median: ${known.join(', ')}`;
}

export const loadWords = ({ load }: Report['match']): string | undefined =>
  load.before && load.after ? `load ${load.before.map(two).join(' ')} before, ${load.after.map(two).join(' ')} after` : undefined;

const two = (value: number) => String(Math.round(value * 100) / 100);
