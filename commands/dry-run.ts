// What `--dry-run` says: the rows, the levels and the order of a match that is not run.
import type { EntryOptions } from '../lib/contract.js';
import { cellsOf, levelsUpTo } from '../lib/match/burst.js';
import { type Plan, type PlannedEntry, rounds } from '../lib/match/plan.js';
import type { RunSettings } from './run-settings.js';

/** Plain lines for a person, newline at the end. */
export function describePlan(plan: Plan, seed: number, settings: RunSettings): string {
  const { runs, warmup, until, concurrency } = settings;
  const names = plan.entries.map((entry) => entry.entry);
  // As the match shuffles them: every row at every level is one turn of a round.
  const turns = cellsOf(names, concurrency).map((cell) => cell.name);
  const widths = { entry: widest(names), isolation: widest(plan.entries.map((entry) => entry.isolation)) };
  const rows = plan.entries.map((entry) =>
    ['row', entry.entry.padEnd(widths.entry), entry.isolation.padEnd(widths.isolation), ...said(entry)].join(' ').trimEnd(),
  );
  const order = [...rounds(seed, warmup + runs, turns)].map((round, index) => {
    const which = index < warmup ? `warm-up ${index + 1}` : `round ${index + 1 - warmup}`;
    return `${which}: ${round.join(' ')}`;
  });
  return `${[
    `seed ${seed}`,
    ...rows,
    ...(concurrency > 1 ? [`levels, of every row in every round: ${levelsUpTo(concurrency).join(' ')}`] : []),
    ...(until === 'precise' ? [`rounds until every interval is within 5 %, at most ${runs}`] : []),
    ...order,
    ...plan.missing.map((one) => `left out: ${one.entry}: ${one.reason} → ${one.hint}`),
  ].join('\n')}\n`;
}

function said({ state, task, options, required }: PlannedEntry): string[] {
  return [state.padEnd('prepared'.length), task, describeOptions(options), required ? '(required)' : ''].filter(Boolean);
}

function describeOptions({ network, tmpfs, cpus, memoryMiB }: EntryOptions): string {
  return [
    ...(network === undefined ? [] : [`network ${network}`]),
    ...(tmpfs === undefined ? [] : [`tmpfs ${tmpfs ? 'yes' : 'no'}`]),
    ...(cpus === undefined ? [] : [`cpus ${cpus}`]),
    ...(memoryMiB === undefined ? [] : [`memory ${memoryMiB} MiB`]),
  ].join(', ');
}

function widest(words: string[]): number {
  return Math.max(0, ...words.map((word) => word.length));
}
