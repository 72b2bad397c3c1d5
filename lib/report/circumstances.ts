// Circumstances of the measurement: how busy the machine was, how long first runs took, and what
// the sandboxes contain.
import { quantileSorted } from 'simple-statistics';
import { type Guest, isGap } from '../record/types.js';
import { bytes, isLabelledByTask, listed, nameOf, tasksOf, withoutLabel } from './cells.js';
import type { ModeReport, Report } from './document.js';
import type { Tally } from './tally.js';

/**
 * Threshold for a disturbance, as a share of the machine's CPU time or of the time in which work
 * waited for a CPU.
 */
const DISTURBING = 0.05;
/** How many runs a line names. */
const MOST_NAMED = 5;

type Machine = NonNullable<ModeReport['machine']>;

/**
 * Considers passed runs only. CPU time used by others includes the daemons and clients of the row's
 * own runtime, in every run alike: what counts is how far a run is above its row's quieter runs.
 */
export function machineOf(tally: Tally, cores: number): Omit<Machine, 'cpuMs'> | undefined {
  const [wall, steal, other] = (['wallMs', 'stealMs', 'otherMs'] as const).map((name) =>
    tally.quantity(name),
  );
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

/** What a reader has to know before reading the table: each line is a reason to doubt it. */
export function doubts(report: Report): string[] {
  return [...before(report), ...during(report), ...differences(report)];
}

/** State of the machine just before the match; empty if it was quiet or was not checked. */
function before({ match: { quiet } }: Report): string[] {
  const seen = quiet === undefined ? [] : busyParts(quiet);
  return seen.length === 0
    ? []
    : [`the machine was busy before the match: ${listed(seen)}; its numbers are of a busy machine`];
}

/** The shares above the threshold, in words. */
export function busyParts({
  otherShare,
  stealShare,
  waitingShare,
}: NonNullable<Report['match']['quiet']>): string[] {
  return [
    ...(otherShare > DISTURBING ? [`others used ${percent(otherShare)} of its CPU time`] : []),
    ...(stealShare > DISTURBING ? [`${percent(stealShare)} of it was stolen`] : []),
    ...(!isGap(waitingShare) && waitingShare > DISTURBING
      ? [`work waited for a CPU in ${percent(waitingShare)} of the time`]
      : []),
  ];
}

function during({ modes }: Report): string[] {
  const all = modes.flatMap(({ machine }) => machine?.disturbed ?? []);
  const judged = modes.reduce((sum, { machine }) => sum + (machine?.judged ?? 0), 0);
  return (['steal', 'other'] as const).flatMap((cause) => {
    const runs = all.filter((run) => run.cause === cause);
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

/** Key, name shown and formatter of each property inside a sandbox. */
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
  /** Rows grouped by their value; rows whose value is not known are in no group. */
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
    return values.size === 0
      ? []
      : [{ name, values: [...values].map(([value, rows]) => [value, [...rows]]) }];
  });
}

/** A sandbox is the same for each of several tasks, so its rows are named once, by the sandbox. */
function sandboxNames(report: Report): (mode: ModeReport) => string {
  const several = tasksOf(report).length > 1;
  return (mode) => (several && isLabelledByTask(mode) ? withoutLabel(mode.entry) : nameOf(mode));
}

const inWords = ({ name, values }: Inside) =>
  `${name} ${values.map(([value, rows]) => `${value} in ${rows.join(', ')}`).join('; ')}`;

/**
 * Programs and limits in which rows differ: they may explain part of a difference between the rows'
 * numbers.
 */
function differences(report: Report): string[] {
  const differing = insides(report).filter(({ values }) => values.length > 1);
  return differing.length === 0
    ? []
    : [`rows differ inside, and so may their numbers: ${differing.map(inWords).join(' · ')}`];
}

/** Properties that have the same value in every row for which the value is known. */
export function insideAlike(report: Report): string | undefined {
  const same = insides(report).filter(({ values }) => values.length === 1);
  return same.length === 0
    ? undefined
    : `inside: ${same.map(({ name, values }) => `${name} ${values[0]?.[0]}`).join(', ')}`;
}

/**
 * Startup of the uncounted warm-up run over the row's median: someone who starts a sandbox only now
 * and then waits that long.
 */
export function firstRunLine({ modes }: Report): string | undefined {
  const known = modes.flatMap((mode) => {
    const { firstRunMs, startupMs } = mode;
    if (firstRunMs === undefined || isGap(firstRunMs) || isGap(startupMs)) return [];
    return [`${nameOf(mode)} ${(firstRunMs / startupMs.median).toFixed(2)}`];
  });
  return known.length === 0
    ? undefined
    : `first run (warm-up), its startup over the row's median: ${known.join(', ')}`;
}

export const loadWords = ({ load }: Report['match']): string | undefined =>
  load.before && load.after
    ? `load ${load.before.map(two).join(' ')} before, ${load.after.map(two).join(' ')} after`
    : undefined;

const two = (value: number) => String(Math.round(value * 100) / 100);
