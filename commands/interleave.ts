// `cagematch compare --run A B`: the rows of two match files in the same rounds of one match, each
// compared with its counterpart.
import { CagematchError } from '../lib/errors.js';
import type { Asked } from '../lib/match/plan.js';
import type { ComparisonDocument } from '../lib/report/compare/comparison.js';
import {
  compareInterleaved,
  type Interleaving,
  type Twin,
} from '../lib/report/compare/interleaved.js';
import { entryName, loadModes, parseWanted, type Registry } from '../lib/sandbox/registry.js';
import type { Io } from './io.js';
import { runAs } from './run.js';
import { type RunOptions, readRunSettings } from './run-settings.js';

export interface InterleaveSettings {
  base: string;
  new: string;
  runs?: string | undefined;
  seed?: string | undefined;
  allowHost: boolean;
  dryRun: boolean;
  out: string;
}

/**
 * Minimum number of rounds unless --runs is given: the fewest with which pairs of six rows can be
 * separated.
 */
const ROUNDS = '12';

/** @param finish prints the comparison and returns the exit code */
export async function interleave(
  settings: InterleaveSettings,
  failOver: number | undefined,
  io: Io,
  finish: (document: ComparisonDocument) => number,
): Promise<number> {
  const registry = await loadModes();
  const { base, new: next, runs, seed, ...typed } = settings;
  const read = (file: string) =>
    readRunSettings(
      { modes: [], publish: false, ...typed, file, ...given({ runs, seed }) },
      io.cwd,
      registry,
    );
  const { run, interleaving } = together(
    { name: base, settings: read(base) },
    { name: next, settings: read(next) },
    registry,
  );
  const rounds =
    run.runs < Number(ROUNDS) && runs === undefined && run.until === 'count'
      ? Number(ROUNDS)
      : run.runs;
  return runAs({ ...run, runs: rounds }, registry, io, (report, fold) =>
    finish(compareInterleaved({ report, tallyOf: fold.tallyOf }, interleaving, failOver)),
  );
}

const given = (typed: Record<string, string | undefined>) =>
  Object.fromEntries(Object.entries(typed).filter(([, value]) => value !== undefined));

interface Version {
  /** The file name as typed. */
  name: string;
  settings: RunOptions;
}

/** Settings of the whole match that have to be equal in both files. */
const SHARED = {
  runs: 'runs',
  until: 'runs',
  warmup: 'warmup',
  seed: 'seed',
  model: 'model',
  concurrency: 'concurrency',
  timeoutMs: 'timeout',
} as const satisfies Partial<Record<keyof RunOptions, string>>;

/**
 * Combines the rows that both files have, under labels for their version.
 * @throws `bad-input` if the two cannot be run in one match
 */
function together(
  base: Version,
  next: Version,
  registry: Registry,
): { run: RunOptions; interleaving: Interleaving } {
  for (const { name, settings } of [base, next])
    if (settings.asked.length === 0)
      throw new CagematchError(
        'bad-input',
        `${name} names no rows, and --run runs the rows of two match files`,
        'modes: [host, docker]',
      );
  for (const [key, word] of Object.entries(SHARED) as [keyof typeof SHARED, string][]) {
    const [a, b] = [base.settings[key], next.settings[key]];
    if (a !== b)
      throw new CagematchError(
        'bad-input',
        `${base.name} and ${next.name} have different ${word}: ${a} and ${b}`,
        hintOf(word),
      );
  }
  const names = ({ settings }: Version) =>
    settings.asked.map((row) => parseWanted(registry, row.name).entry);
  const [inBase, inNew] = [names(base), names(next)];
  const common = inBase.filter((entry) => inNew.includes(entry));
  if (common.length === 0)
    throw new CagematchError(
      'bad-input',
      `${base.name} and ${next.name} have no row in common`,
      'name rows alike in both',
    );
  const rows = (version: Version, letter: string) =>
    version.settings.asked.flatMap((row) => {
      const wanted = parseWanted(registry, row.name);
      return common.includes(wanted.entry) ? [ownRow(version, row, letter, registry)] : [];
    });
  const [a, b] = [rows(base, 'a'), rows(next, 'b')];
  for (const entry of common) checkTask(entry, base, next, registry);
  const twins = common.map(
    (entry): Twin => ({
      entry,
      base: labelled(entry, 'a', registry),
      next: labelled(entry, 'b', registry),
    }),
  );
  return {
    run: {
      ...base.settings,
      asked: [...a, ...b],
      required: [],
      tasks: new Map([...base.settings.tasks, ...next.settings.tasks]),
    },
    interleaving: {
      from: { base: base.name, new: next.name },
      twins,
      onlyIn: {
        base: inBase.filter((entry) => !common.includes(entry)),
        new: inNew.filter((entry) => !common.includes(entry)),
      },
    },
  };
}

const hintOf = (word: string) =>
  word === 'runs' || word === 'seed'
    ? `--${word}, or the same in both`
    : `the same ${word} in both`;

/**
 * The row with its file's settings for all rows written into it, because the other file may have
 * different ones.
 */
function ownRow(
  { name, settings }: Version,
  row: Asked,
  letter: string,
  registry: Registry,
): Asked {
  const deliver = row.deliver ?? settings.deliver;
  if (deliver === 'all')
    throw new CagematchError(
      'bad-input',
      `${name}: deliver: all makes several rows of one, and --run holds each against one`,
      'name one way',
    );
  return {
    ...row,
    name: labelled(row.name, letter, registry),
    state: row.state ?? settings.state,
    task: row.task ?? settings.task,
    deliver,
  };
}

function labelled(entry: string, letter: string, registry: Registry): string {
  const { mode, variant, label } = parseWanted(registry, entry);
  return entryName(mode.id, variant, label === undefined ? letter : `${label}-${letter}`);
}

/**
 * Different tasks take different times, whatever runs them.
 * @throws `bad-input` if the row has another task in each file
 */
function checkTask(entry: string, base: Version, next: Version, registry: Registry): void {
  const taskOf = ({ settings }: Version) => {
    const row = settings.asked.find(({ name }) => parseWanted(registry, name).entry === entry);
    return settings.tasks.get(row?.task ?? settings.task);
  };
  const [a, b] = [taskOf(base), taskOf(next)];
  if (a?.folder === b?.folder) return;
  throw new CagematchError(
    'bad-input',
    `${entry} has another task in each: ${a?.folder} and ${b?.folder}`,
    'the same task in both',
  );
}
