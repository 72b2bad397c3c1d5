// The settings of a match: the command line takes precedence over a match file, which takes
// precedence over the defaults.
import { z } from 'zod';
import { AUTHS } from '../lib/auth/choose.js';
import { CagematchError } from '../lib/errors.js';
import { BOUNDS, type MatchFile, MODELS, readMatchFile } from '../lib/match/file.js';
import { type Asked, DELIVER, type Deliver } from '../lib/match/plan.js';
import { type State, stateSchema } from '../lib/record/types.js';
import { parseWanted, type Registry, taskLabel } from '../lib/sandbox/registry.js';
import { bundledNames, bundledTask, byId, findTask } from '../lib/task/bundled.js';
import type { FolderTask } from '../lib/task/folder.js';
import {
  choice,
  flag,
  list,
  readSettings,
  type SettingsOf,
  text,
  wanted,
  wholeNumber,
  wholeNumberOr,
  withDefault,
} from './options.js';

/**
 * Defaults. They are not passed to yargs, because values that yargs fills in look as if they had
 * been typed.
 */
const OTHERWISE = {
  runs: 3,
  state: 'prepared',
  model: 'auto',
  concurrency: 1,
  timeout: 120,
  require: [],
} as const satisfies MatchFile;

const USUAL_TASK = 'hello';

/**
 * Default warm-up: first runs are slower, by a different amount in each row. A single run is only a
 * test, and without an image every run is a first one.
 */
const usualWarmup = ({ runs, state }: Pick<MatchFile, 'runs' | 'state'>) =>
  runs === 1 || state === 'cold' ? 0 : 1;

/** Maximum number of rounds of `--runs auto`. */
const MOST_ROUNDS = 50;

export const options = {
  modes: wanted,
  file: text('match file (YAML): rows with options, and settings; flags win over it', {
    alias: 'f',
  }),
  runs: wholeNumberOr(
    'auto',
    `number of rounds, each of which runs every mode once; default: ${OTHERWISE.runs}; auto: stop when every startup ratio is within ±5 %, at most ${MOST_ROUNDS}`,
    BOUNDS.runs,
  ),
  warmup: wholeNumber(
    'rounds to run first and leave out of the statistics; default: 1, or 0 with --runs 1 or --state cold',
    BOUNDS.warmup,
  ),
  seed: wholeNumber('seed of the order within the rounds; default: a fresh one', BOUNDS.seed),
  state: choice(
    `prepared: fresh sandbox, image cached; warm: reuse an idle sandbox; cold: rebuild the image first; default: ${OTHERWISE.state}`,
    stateSchema.options,
  ),
  concurrency: wholeNumber(
    `run every mode 1, 2, 4 … N times in parallel; default: ${OTHERWISE.concurrency}`,
    BOUNDS.concurrency,
  ),
  model: choice(`what answers the agent; default: ${OTHERWISE.model}`, MODELS),
  auth: choice('which credential a live run uses; default: the only one found', AUTHS),
  deliver: choice(
    'how the credential is delivered to the sandbox; all: one row per method; default: gateway. Guests that cannot reach the gateway need this for --model live',
    DELIVER,
  ),
  allowHost: flag(
    'allow unsandboxed runs on the host with a live model or with a task of your own',
  ),
  timeout: wholeNumber(`seconds for one run; default: ${OTHERWISE.timeout}`, BOUNDS.timeout),
  task: {
    ...text(
      `what the agent does: ${bundledNames().join(', ')}, or a folder with a task.yaml; repeat it to run every row with each task; default: ${USUAL_TASK}`,
    ),
    schema: z.union([z.string().transform((name) => [name]), z.array(z.string())]).optional(),
  },
  target: text('which machine of the runtime to use, such as a cluster member; default: in turn'),
  require: list('modes that must be available and pass, comma-separated'),
  json: text('the report as JSON to FILE, or - for stdout'),
  publish: flag('also write RESULTS.md, if the match qualifies'),
  out: withDefault(text('folder for the match record'), 'results'),
  dryRun: flag('print what would run, and stop'),
};

/** Settings that a match file cannot have. */
type TypedOnly = Pick<
  SettingsOf<typeof options>,
  'auth' | 'allowHost' | 'json' | 'publish' | 'out' | 'dryRun'
>;

export interface RunOptions extends TypedOnly {
  /** Empty: everything that is ready. */
  asked: Asked[];
  required: string[];
  /** Maximum number of rounds that count. */
  runs: number;
  until: 'count' | 'precise';
  warmup: number;
  seed: number | undefined;
  state: State;
  /**
   * Id of the task for rows without a task of their own; the first one if each of these rows runs
   * several.
   */
  task: string;
  /** All tasks of these rows, `task` first. */
  taskIds: string[];
  /** Tasks of all rows, by id. */
  tasks: ReadonlyMap<string, FolderTask>;
  model: (typeof MODELS)[number];
  deliver: Deliver | undefined;
  concurrency: number;
  timeoutMs: number;
}

/**
 * @param args as returned by yargs
 * @throws `bad-input` with the first error
 */
export function readRunSettings(args: unknown, cwd: string, registry: Registry): RunOptions {
  const {
    modes,
    file: name,
    auth,
    allowHost,
    json,
    publish,
    out,
    dryRun,
    target,
    ...typed
  } = readSettings(options, args);
  for (const mode of [...modes, ...(typed.require ?? [])]) parseWanted(registry, mode);
  const file = name === undefined ? {} : readMatchFile(name, cwd, registry);
  if (name !== undefined && file.modes && modes.length > 0)
    throw new CagematchError(
      'bad-input',
      `rows are named twice: ${modes.join(' ')} here, and modes in ${name}`,
      'leave out the names here, or modes there',
    );
  const tasks = typed.task?.map((path) => findTask(path, cwd)) ?? [
    file.task ?? bundledTask(USUAL_TASK),
  ];
  const taskIds = [...new Set(tasks.map(({ id }) => id))];
  const merged = { ...OTHERWISE, ...given(file), ...given(typed) };
  const asked = onTarget(file.modes ?? modes.map((mode) => ({ name: mode })), target, registry);
  const isUsed =
    asked.length === 0 || merged.require.length > 0 || asked.some((row) => row.task === undefined);
  const settings: RunOptions = {
    asked,
    required: [...merged.require],
    runs: merged.runs === 'auto' ? MOST_ROUNDS : merged.runs,
    until: merged.runs === 'auto' ? 'precise' : 'count',
    warmup: merged.warmup ?? usualWarmup(merged),
    seed: merged.seed,
    state: merged.state,
    task: taskIds[0] as string,
    taskIds,
    tasks: byId([...(isUsed ? tasks : []), ...(file.rowTasks ?? [])]),
    model: merged.model,
    concurrency: merged.concurrency,
    deliver: merged.deliver,
    timeoutMs: merged.timeout * 1000,
    ...{ auth, allowHost, json, publish, out, dryRun },
  };
  checkTogether(settings);
  return settings;
}

/** @throws `bad-input` if no row's mode can be placed on a particular machine */
function onTarget(asked: Asked[], target: string | undefined, registry: Registry): Asked[] {
  if (target === undefined) return asked;
  const knows = (row: Asked) =>
    parseWanted(registry, row.name).mode.options?.includes('target') === true;
  if (asked.some(knows))
    return asked.map((row) => (knows(row) ? { ...row, options: { target, ...row.options } } : row));
  const able = [...registry.values()]
    .filter(({ options }) => options?.includes('target'))
    .map(({ id }) => id);
  const what = asked.length === 0 ? 'no mode is named' : 'no named mode has any to choose from';
  throw new CagematchError(
    'bad-input',
    `--target ${target} names a machine of a runtime, and ${what}`,
    `cagematch run ${able[0]} --target ${target}`,
  );
}

function checkTogether({ concurrency, state, asked, auth, model, taskIds }: RunOptions): void {
  const labels = new Map<string, string>();
  for (const id of taskIds) {
    const other = labels.get(taskLabel(undefined, id));
    if (other !== undefined)
      throw new CagematchError(
        'bad-input',
        `rows of the tasks ${other} and ${id} would have the same name`,
        'give one task another id',
      );
    labels.set(taskLabel(undefined, id), id);
  }
  if (auth !== undefined && model === 'replay')
    throw new CagematchError(
      'bad-input',
      '--auth says whose credential a live run uses, and --model replay uses none',
      'leave out one of them',
    );
  const states = asked.length > 0 ? asked.map((row) => row.state ?? state) : [state];
  if (concurrency > 1 && states.includes('cold'))
    throw new CagematchError(
      'bad-input',
      'runs in the state cold cannot be at once: each would take the image away from the others',
      '--concurrency 1, or --state prepared',
    );
}

/** Omits undefined values, so that a spread does not overwrite the values below. */
function given<T extends object>(settings: T) {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
