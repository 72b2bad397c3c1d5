// Which sandboxes contain an untrusted agent, judged only by the walls that a probe of the same
// runtime version observed.
import type { Wall } from '../../record/probe.js';
import { called, listed } from '../cells.js';
import type { ModeReport } from '../document.js';
import type { ProbedMode } from '../probe/document.js';
import { type Advice, type Field, footing } from './field.js';

const COMMAND = 'cagematch probe --only walls';

/**
 * A row, and the observed state of each wall in a sandbox of the same runtime version and options.
 */
interface Observed {
  row: ModeReport;
  walls: ReadonlyMap<string, Wall>;
  probe: string;
}

/**
 * Names the rows with the most closed walls, each counted as one. The walls they leave open are
 * listed with the rows that close them.
 */
export function hostileCode({ report, candidates, leftOut, probes }: Field): Advice {
  const observed = candidates.flatMap((row) => observe(row, probes));
  if (observed.length < 2) {
    const missing = candidates
      .filter((row) => !observed.some((seen) => seen.row === row))
      .map(({ entry }) => entry);
    return {
      why: `no probe of this runtime version has run the isolation checks of ${listed(missing)}: ${COMMAND}`,
    };
  }
  const most = Math.max(...observed.map(closedIn));
  const best = observed.filter((seen) => closedIn(seen) === most);
  const others = observed.filter((seen) => !best.includes(seen));
  const unprobed = candidates.filter((row) => !observed.some((seen) => seen.row === row));
  const left = [
    ...leftOut,
    ...unprobed.map((row) => `${called(row, report)} (not probed: ${COMMAND})`),
  ];
  const name = ({ row }: Observed) => called(row, report);
  const among =
    best.length === 1
      ? 'passes the most isolation checks'
      : 'pass the most isolation checks, equally many';
  const each = best.map(
    (winner) => `${best.length === 1 ? '' : `${name(winner)}: `}${wallsOf(winner)}`,
  );
  return {
    sentence: `Hostile code: ${listed(best.map(name))} ${among} (each counts as one): ${each.join('; ')}${closedByOthers(best, others, name)}; as observed by ${listed([...new Set(best.map(({ probe }) => `probe ${probe}`))])}${footing(
      best.map(({ row }) => row),
      left,
    )}.`,
    rows: observed.map(({ row }) => row.entry),
    best: best.map(({ row }) => row.entry),
  };
}

function observe(row: ModeReport, probes: Field['probes']): Observed[] {
  for (const { probe, modes, walls } of probes) {
    const probed = modes.find((mode) => isSameSandbox(mode, row));
    const seen = probed === undefined ? undefined : walls[probed.entry];
    if (seen === undefined || seen.length === 0) continue;
    return [{ row, walls: new Map(seen.map((wall) => [wall.wall, wall])), probe: probe.id }];
  }
  return [];
}

/**
 * True for the same mode, variant, options and version. A fact that only one of the two records
 * contains is ignored.
 */
function isSameSandbox(probed: ProbedMode, row: ModeReport): boolean {
  if (probed.standIn || probed.mode !== row.mode || probed.variant !== row.variant) return false;
  if (
    JSON.stringify(Object.entries(probed.options).toSorted()) !==
    JSON.stringify(Object.entries(row.options).toSorted())
  )
    return false;
  const [own, other] = [probed.detection, row.detection];
  if (own.status !== 'ready' || other.status !== 'ready' || own.version !== other.version)
    return false;
  return Object.entries(own.facts).every(
    ([name, value]) => other.facts[name] === undefined || other.facts[name] === value,
  );
}

const withState = ({ walls }: Observed, state: Wall['observed']) =>
  [...walls.values()].filter(({ observed }) => observed === state).map(({ wall }) => wall);

const closedIn = (observed: Observed): number => withState(observed, 'closed').length;

/**
 * `33 of 40; open: host-kernel, fork-limit; not observed: podman-socket; the runtime ignores
 * limits`
 */
function wallsOf(probed: Observed): string {
  const open = [...probed.walls.values()].filter(({ observed }) => observed === 'open');
  const unknown = withState(probed, 'gap');
  const names = open.map(({ wall, declared }) =>
    declared === 'closed' ? `${wall} (declared closed)` : wall,
  );
  return [
    `${closedIn(probed)} of ${probed.walls.size}`,
    ...(names.length === 0 ? [] : [`open: ${names.join(', ')}`]),
    ...(unknown.length === 0 ? [] : [`not observed: ${unknown.join(', ')}`]),
    ...weaknessesOf(probed.row),
  ].join('; ');
}

/** Runtime facts that list the variants lacking a wall, and the words for it. */
const WEAKNESSES = {
  hostNetwork: "shares the host's network",
  ignoresLimits: 'ignores limits of CPU and memory',
};

function weaknessesOf({ detection, variant }: ModeReport): string[] {
  if (detection.status !== 'ready') return [];
  const { facts } = detection;
  const runtime = variant ?? facts.runtime;
  return Object.entries(WEAKNESSES).flatMap(([fact, words]) =>
    typeof runtime === 'string' &&
    String(facts[fact] ?? '')
      .split(' ')
      .includes(runtime)
      ? [words]
      : [],
  );
}

/**
 * Walls that a named row leaves open and another row closes. They may matter more to a reader than
 * the count.
 */
function closedByOthers(
  best: Observed[],
  others: Observed[],
  name: (observed: Observed) => string,
): string {
  const open = [...new Set(best.flatMap((winner) => withState(winner, 'open')))];
  const byRows = new Map<string, string[]>();
  for (const wall of open) {
    const closers = others.filter(({ walls }) => walls.get(wall)?.observed === 'closed').map(name);
    if (closers.length > 0)
      byRows.set(listed(closers), [...(byRows.get(listed(closers)) ?? []), wall]);
  }
  const each = [...byRows].map(([rows, walls]) => `${walls.join(', ')} by ${rows}`);
  return each.length === 0 ? '' : `; closed elsewhere: ${each.join('; ')}`;
}
