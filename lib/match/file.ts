// A match file contains the rows of a match and its settings, in YAML. It is parsed strictly, and
// every error message names its place.
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { EntryOptions } from '../contract.js';
import { CagematchError, messageOf, nearest } from '../errors.js';
import { MOST_TYPED, readPlainFile } from '../os/plain-files.js';
import { optionsSchema, stateSchema } from '../record/types.js';
import { parseWanted, type Registry } from '../sandbox/registry.js';
import { findTask } from '../task/bundled.js';
import type { FolderTask } from '../task/folder.js';
import { parseYaml, placeOf } from '../task/yaml-file.js';
import { type Asked, DELIVER } from './plan.js';

/** Inclusive ranges of the whole numbers that the command line and a match file accept. */
export const BOUNDS = {
  runs: [1, 1000],
  warmup: [0, 100],
  seed: [0, 2 ** 31 - 1],
  concurrency: [1, 64],
  timeout: [1, 24 * 3600],
} as const satisfies Record<string, [number, number]>;

export const MODELS = ['auto', 'replay', 'live'] as const;

/** The content of a match file; keys that it omits are undefined. */
export interface MatchFile extends Omit<z.infer<typeof fileSchema>, 'modes' | 'task'> {
  modes?: Asked[];
  task?: FolderTask;
  /** Tasks of the rows that set their own. */
  rowTasks?: FolderTask[];
}

/** The values that each key accepts: a description, and an example line to type. */
const TAKES: Record<string, { words: string; example: string }> = {
  runs: { words: `a whole number from ${BOUNDS.runs.join(' to ')}, or auto`, example: 'runs: 10' },
  warmup: { words: `a whole number from ${BOUNDS.warmup.join(' to ')}`, example: 'warmup: 1' },
  seed: { words: `a whole number from ${BOUNDS.seed.join(' to ')}`, example: 'seed: 7' },
  concurrency: {
    words: `a whole number from ${BOUNDS.concurrency.join(' to ')}`,
    example: 'concurrency: 4',
  },
  timeout: {
    words: `seconds, a whole number from ${BOUNDS.timeout.join(' to ')}`,
    example: 'timeout: 120',
  },
  state: { words: words(stateSchema.options), example: 'state: prepared' },
  task: { words: 'the name of a task, or its folder', example: 'task: ./my-task' },
  deliver: { words: words(DELIVER), example: 'deliver: gateway' },
  model: { words: words(MODELS), example: 'model: replay' },
  require: { words: 'a list of names', example: 'require: [docker, podman]' },
  modes: {
    words: 'a list of names, or of keys with a mode',
    example: 'modes: [docker@a, docker@b]',
  },
  mode: { words: 'a name', example: 'mode: docker' },
  label: { words: 'letters, digits and dashes', example: 'label: a' },
  network: { words: 'the name of a network', example: 'network: host' },
  tmpfs: { words: 'true or false', example: 'tmpfs: true' },
  cpus: { words: 'a number above 0', example: 'cpus: 1.5' },
  memory: { words: 'a size with its unit, in whole MiB', example: 'memory: 2g' },
  target: { words: 'the name of a member', example: 'target: m2' },
  egress: { words: 'gateway, internet, or a list of domains', example: 'egress: [example.com]' },
};

function words(choices: readonly string[]): string {
  return choices.length === 1
    ? `${choices[0]}`
    : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

const whole = ([min, max]: readonly [number, number]) => z.number().int().min(min).max(max);

const MIB: Record<string, number> = { k: 1 / 1024, m: 1, g: 1024, t: 1024 ** 2 };

/**
 * Docker's notation: 512m, 2g, 1.5GiB. Docker reads a bare number as bytes, which nobody intends
 * here, so it is rejected.
 */
const memory = z
  .string()
  .regex(/^\d+(\.\d+)?\s*[kmgt](i?b)?$/i)
  .transform(
    (text) => Number.parseFloat(text) * (MIB[/[kmgt]/i.exec(text)?.[0].toLowerCase() ?? ''] ?? 0),
  )
  .refine((mib) => Number.isInteger(mib) && mib > 0);

const rowSchema = z.strictObject({
  mode: z.string().min(1),
  label: z.union([z.string(), z.number().int().nonnegative().transform(String)]).optional(),
  network: z.string().min(1).optional(),
  tmpfs: z.boolean().optional(),
  cpus: z.number().positive().max(1024).optional(),
  memory: memory.optional(),
  target: z.string().min(1).optional(),
  egress: optionsSchema.shape.egress,
  state: stateSchema.optional(),
  task: z.string().min(1).optional(),
  deliver: z.enum(DELIVER).optional(),
});
type Row = z.infer<typeof rowSchema>;

const fileSchema = z.strictObject({
  runs: whole(BOUNDS.runs).or(z.literal('auto')).optional(),
  warmup: whole(BOUNDS.warmup).optional(),
  seed: whole(BOUNDS.seed).optional(),
  state: stateSchema.optional(),
  task: z.string().min(1).optional(),
  deliver: z.enum(DELIVER).optional(),
  model: z.enum(MODELS).optional(),
  concurrency: whole(BOUNDS.concurrency).optional(),
  timeout: whole(BOUNDS.timeout).optional(),
  require: z.array(z.string()).optional(),
  modes: z
    .array(z.preprocess((row) => (typeof row === 'string' ? { mode: row } : row), rowSchema))
    .min(1)
    .optional(),
});

/**
 * @param name as typed; relative to `cwd`
 * @throws `bad-input`: one line that names the file, the place in it and the problem
 */
export function readMatchFile(name: string, cwd: string, registry: Registry): MatchFile {
  const content = parseYaml(readText(name, cwd), name, 'a match file');
  const read = fileSchema.safeParse(content);
  if (!read.success) {
    const { issues } = read.error;
    // A mistyped key also causes a missing-key issue; the unrecognized key is the more helpful one
    // to report.
    throw mistake(
      name,
      content,
      issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0],
    );
  }
  const { modes, task, ...settings } = read.data;
  const from = dirname(resolve(cwd, name));
  const taskAt = (place: string, task: string) =>
    atPlace(`${name}: ${place}`, () => findTask(task, from));
  for (const [index, required] of (settings.require ?? []).entries())
    atPlace(`${name}: require[${index}]`, () => parseWanted(registry, required));
  const given = { ...settings, ...(task === undefined ? {} : { task: taskAt('task', task) }) };
  if (modes === undefined) return given;
  const rowTasks = modes.map((row, index) =>
    row.task === undefined ? undefined : taskAt(`modes[${index}].task`, row.task),
  );
  const asked = toAsked(name, modes, registry).map((row, index) => ({
    ...row,
    task: rowTasks[index]?.id,
  }));
  return { ...given, modes: asked, rowTasks: rowTasks.filter((task) => task !== undefined) };
}

function readText(name: string, cwd: string): string {
  const path = resolve(cwd, name);
  try {
    return readPlainFile(path, { links: 'follow', most: MOST_TYPED }).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CagematchError(
        'bad-input',
        `there is no match file ${name}`,
        `it is looked for at ${path}`,
      );
    throw new CagematchError(
      'bad-input',
      `the match file ${name} cannot be read: ${messageOf(error)}`,
      `check ${path}`,
    );
  }
}

function mistake(
  name: string,
  content: unknown,
  issue: z.core.$ZodIssue | undefined,
): CagematchError {
  const path = issue?.path ?? [];
  const place = placeOf(path);
  const at = place === '' ? name : `${name}: ${place}`;
  if (issue?.code === 'unrecognized_keys') {
    const [unknown = ''] = issue.keys;
    const known = Object.keys(path.length === 0 ? fileSchema.shape : rowSchema.shape);
    const meant = nearest(unknown, known);
    return new CagematchError(
      'bad-input',
      `${at}: unknown key ${unknown}`,
      meant ? `did you mean ${meant}?` : `keys: ${known.join(' ')}`,
    );
  }
  const key = path.findLast((part): part is string => typeof part === 'string') ?? '';
  const takes = TAKES[key];
  if (!takes)
    return new CagematchError(
      'bad-input',
      `${name}: a match file is made of keys`,
      'modes: [host, docker]',
    );
  // `mode` is the only required key of a row.
  if (key === 'mode' && valueAt(content, path) === undefined)
    return new CagematchError(
      'bad-input',
      `${name}: ${placeOf(path.slice(0, -1))} names no mode`,
      takes.example,
    );
  if (key === 'modes' && path.length === 2)
    return new CagematchError(
      'bad-input',
      `${at} takes a name, or keys with a mode`,
      'mode: docker',
    );
  return new CagematchError('bad-input', `${at} takes ${takes.words}`, takes.example);
}

function valueAt(content: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(
    (value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part],
    content,
  );
}

function toAsked(name: string, rows: Row[], registry: Registry): Asked[] {
  const seen = new Set<string>();
  return rows.map((row, index) => {
    const place = `${name}: modes[${index}]`;
    const { mode: given, label, memory: memoryMiB, state, task, deliver, ...others } = row;
    const wanted = atPlace(place, () => {
      if (label !== undefined && given.includes('@'))
        throw new CagematchError(
          'bad-input',
          `${given} has a label already`,
          `leave out label: ${label}`,
        );
      return parseWanted(registry, label === undefined ? given : `${given}@${label}`);
    });
    const { entry, mode } = wanted;
    if (seen.has(entry)) {
      const hint =
        wanted.label === undefined
          ? `enter it under labels: ${entry}@a, ${entry}@b`
          : 'give each a label of its own';
      throw new CagematchError('bad-input', `${place}: ${entry} is entered twice`, hint);
    }
    seen.add(entry);
    const options: EntryOptions = { ...others, ...(memoryMiB === undefined ? {} : { memoryMiB }) };
    for (const option of Object.keys(options) as (keyof EntryOptions)[]) {
      const known = mode.options ?? [];
      const spelt = (option: keyof EntryOptions) => (option === 'memoryMiB' ? 'memory' : option);
      if (!known.includes(option))
        throw new CagematchError(
          'bad-input',
          `${place}: ${mode.id} knows no option ${spelt(option)}`,
          known.length === 0
            ? `${mode.id} has no options`
            : `options of ${mode.id}: ${known.map(spelt).join(' ')}`,
        );
    }
    return { name: entry, options, state, deliver };
  });
}

/** Prefixes the message of a `CagematchError` with the place where it occurred. */
function atPlace<T>(place: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof CagematchError)) throw error;
    throw new CagematchError(error.code, `${place}: ${error.message}`, error.hint);
  }
}
