// The options of a command: each is declared once, for yargs and its help, and for the check of its
// value.
import type { Argv, Options, PositionalOptions } from 'yargs';
import { z } from 'zod';
import { CagematchError } from '../lib/errors.js';

interface Option<S extends z.ZodType = z.ZodType> {
  yargs: Options;
  /** For the value that yargs returns. */
  schema: S;
  positional?: true;
}

/** The options of a command in the order of its help, by name: `dryRun` is typed as `--dry-run`. */
type OptionTable = Record<string, Option>;

/** The values of a command's options. */
export type SettingsOf<T extends OptionTable> = z.infer<
  z.ZodObject<{ [K in keyof T]: T[K]['schema'] }>
>;

/** What a command declares to yargs. */
export interface Declared {
  options: OptionTable;
  /** A command line and its description, for the help. */
  example?: readonly [string, string];
}

/** Declares a command's options to yargs. */
export function addOptions(argv: Argv, { options, example }: Declared): Argv {
  for (const [name, { yargs, positional }] of Object.entries(options)) {
    if (positional) argv.positional(kebab(name), yargs as PositionalOptions);
    else argv.option(kebab(name), yargs);
  }
  return example ? argv.example(...example) : argv;
}

/**
 * @param args as returned by yargs
 * @throws `bad-input` with the first error
 */
export function readSettings<T extends OptionTable>(options: T, args: unknown): SettingsOf<T> {
  const schemas = Object.fromEntries(
    Object.entries(options).map(([name, { schema }]) => [name, schema]),
  );
  const read = z.object(schemas).safeParse(args);
  if (read.success) return read.data as SettingsOf<T>;
  throw new CagematchError(
    'bad-input',
    read.error.issues[0]?.message ?? 'unreadable arguments',
    'cagematch --help',
  );
}

/**
 * `requiresArg`, and a type that yargs does not convert to a number. yargs makes a list of an
 * option that is given twice.
 */
const VALUE = { type: 'string', requiresArg: true } as const;
const once = () => z.string(complaint('is given more than once'));

/** An option with one value. */
export const text = (describe: string, more: Options = {}) => ({
  yargs: { describe, ...VALUE, ...more },
  schema: once().optional(),
});

/** An option with comma-separated names. */
export const list = (describe: string) => ({
  yargs: { describe, ...VALUE },
  schema: once().transform(namesOf).optional(),
});

/** An option with one of a few words. */
export const choice = <C extends string>(describe: string, choices: readonly C[]) => ({
  yargs: { describe, choices },
  schema: z.enum(choices, complaint('is given more than once')).optional(),
});

/** An option with a whole number within bounds. */
export const wholeNumber = (describe: string, bounds: Bounds) => ({
  yargs: { describe, ...VALUE },
  schema: numberWithin(bounds).optional(),
});

/** As `wholeNumber`, or one word instead of a number. */
export const wholeNumberOr = <W extends string>(word: W, describe: string, bounds: Bounds) => ({
  yargs: { describe, ...VALUE },
  schema: z
    .union([z.literal(word), numberWithin(bounds)], complaint(`${aNumber(bounds)}, or ${word}`))
    .optional(),
});

/** An option without a value, false by default. */
export const flag = (describe: string, more: Options = {}) => ({
  yargs: { describe, type: 'boolean', default: false, ...more } satisfies Options,
  schema: z.boolean().default(false),
});

/** A positional argument. */
export const argument = (describe: string) => ({
  yargs: { describe, type: 'string' } satisfies Options,
  schema: z.string().optional(),
  positional: true as const,
});

/** All positional arguments that remain. */
export const remaining = (describe: string) => ({
  ...argument(describe),
  schema: z.array(z.string()).default([]),
});

/** The rows requested for a command. */
export const wanted = remaining(
  'modes or variants to run, such as docker docker:runsc; use @label to repeat one (docker@a docker@b). Default: all that are ready',
);

/** The option with a value for when it is not given. */
export const withDefault = <S extends z.ZodType>(option: Option<z.ZodOptional<S>>, value: string) =>
  filled(option, { default: value });

/** The option, which cannot be omitted. */
export const required = <S extends z.ZodType>(option: Option<z.ZodOptional<S>>) =>
  filled(option, { demandOption: true });

const filled = <S extends z.ZodType>(
  { yargs, schema, ...option }: Option<z.ZodOptional<S>>,
  more: Options,
) => ({
  ...option,
  yargs: { ...yargs, ...more },
  schema: schema.unwrap(),
});

type Bounds = readonly [min: number, max: number];
const aNumber = ([min, max]: Bounds) => `takes a whole number from ${min} to ${max}`;

function numberWithin(bounds: Bounds) {
  const [min, max] = bounds;
  const wrong = complaint(aNumber(bounds));
  return z
    .string(wrong)
    .regex(/^\d+$/, wrong)
    .transform(Number)
    .refine((value) => value >= min && value <= max, wrong);
}

/** An error message that begins with the option's name. */
const complaint = (wrong: string) => ({
  error: ({ path: [name] = [] }: { path?: PropertyKey[] | undefined }) =>
    `--${kebab(String(name))} ${wrong}`,
});

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function namesOf(names: string): string[] {
  return names
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}
