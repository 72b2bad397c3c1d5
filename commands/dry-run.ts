// The output of `--dry-run`: rows, levels and order of a match or probe, without running it.
import type { EntryOptions } from '../lib/contract.js';
import { cellsOf, levelsUpTo } from '../lib/match/burst.js';
import type { Plan } from '../lib/match/plan.js';
import { rounds } from '../lib/sandbox/rounds.js';
import type { PlannedRow } from '../lib/sandbox/row.js';
import type { ChosenModel } from './model.js';
import type { ProbeRunSettings } from './probe-settings.js';
import type { RunOptions } from './run-settings.js';

/** Plain lines for a person, with a newline at the end. */
export function describePlan(
  plan: Plan,
  seed: number,
  settings: RunOptions,
  model: Pick<ChosenModel, 'name' | 'why'>,
): string {
  const { runs, warmup, until, concurrency } = settings;
  const names = plan.entries.map((entry) => entry.entry);
  // Same shuffling as in the match: every row at every level is one turn of a round.
  const turns = cellsOf(names, concurrency).map((cell) => cell.name);
  const order = [...rounds(seed, warmup + runs, turns)].map((round, index) => {
    const which = index < warmup ? `warm-up ${index + 1}` : `round ${index + 1 - warmup}`;
    return `${which}: ${round.join(' ')}`;
  });
  return `${[
    `seed ${seed}`,
    ...rowsOf(plan, said),
    ...withoutIsolation(plan),
    `model ${model.name}: ${model.why}`,
    ...(concurrency > 1
      ? [`levels, of every row in every round: ${levelsUpTo(concurrency).join(' ')}`]
      : []),
    ...(until === 'precise' ? [`rounds until every interval is within 5 %, at most ${runs}`] : []),
    ...order,
    ...missingOf(plan),
  ].join('\n')}\n`;
}

/** As `describePlan`, for a probe. */
export function describeProbe(plan: Plan, seed: number, settings: ProbeRunSettings): string {
  const { only, rounds: count, reach } = settings;
  const names = plan.entries.map((entry) => entry.entry);
  const once = only.filter((what) => what !== 'tax');
  const order = only.includes('tax') ? [...rounds(seed, count, names)] : [];
  return `${[
    `seed ${seed}`,
    ...rowsOf(plan, ({ required }) => (required ? ['(required)'] : [])),
    ...(once.length > 0 ? [`row by row: ${once.join(', then ')}`] : []),
    ...(reach.length > 0 && only.includes('walls')
      ? [`tried outside of this machine: ${reach.join(' ')}`]
      : []),
    ...order.map((round, index) => `tax, round ${index + 1}: ${round.join(' ')}`),
    ...missingOf(plan),
  ].join('\n')}\n`;
}

function rowsOf({ entries }: Plan, more: (entry: PlannedRow) => string[]): string[] {
  const widths = {
    entry: widest(entries.map(({ entry }) => entry)),
    isolation: widest(entries.map(({ isolation }) => isolation)),
  };
  return entries.map((entry) =>
    [
      'row',
      entry.entry.padEnd(widths.entry),
      entry.isolation.padEnd(widths.isolation),
      ...more(entry),
    ]
      .join(' ')
      .trimEnd(),
  );
}

function withoutIsolation({ entries }: Plan): string[] {
  const open = entries.filter(({ isolation }) => isolation === 'none').map(({ entry }) => entry);
  return open.length === 0
    ? []
    : [
        `no isolation: ${open.join(' ')}; the agent, and the task's verifier, can do there what you can`,
      ];
}

const missingOf = ({ missing }: Plan) =>
  missing.map((row) => `left out: ${row.entry}: ${row.reason} → ${row.hint}`);

function said({ state, task, options, required }: PlannedRow): string[] {
  return [
    state.padEnd('prepared'.length),
    task,
    describeOptions(options),
    required ? '(required)' : '',
  ].filter(Boolean);
}

function describeOptions({
  network,
  tmpfs,
  cpus,
  memoryMiB,
  target,
  egress,
}: EntryOptions): string {
  return [
    ...(network === undefined ? [] : [`network ${network}`]),
    ...(tmpfs === undefined ? [] : [`tmpfs ${tmpfs ? 'yes' : 'no'}`]),
    ...(cpus === undefined ? [] : [`cpus ${cpus}`]),
    ...(memoryMiB === undefined ? [] : [`memory ${memoryMiB} MiB`]),
    ...(target === undefined ? [] : [`on ${target}`]),
    ...(egress === undefined ? [] : [`egress ${[egress].flat().join(' ')}`]),
  ].join(', ');
}

function widest(words: string[]): number {
  return Math.max(0, ...words.map((word) => word.length));
}
