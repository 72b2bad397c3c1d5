// The boundary where argv becomes settings: errors are reported in one line.
import { z } from 'zod';
import { CagematchError } from '../lib/errors.js';

/** An option with a value, which yargs does not convert to a number. */
export const text = { requiresArg: true, string: true } as const;

/** The rows requested for a command. */
export const wanted = {
  describe:
    'modes or variants to run, such as docker docker:runsc; use @label to repeat one (docker@a docker@b). Default: all that are ready',
  type: 'string',
  array: true,
} as const;

/** @throws `bad-input` with the first error */
export function readSettings<T extends z.ZodType>(schema: T, args: unknown): z.infer<T> {
  const read = schema.safeParse(args);
  if (read.success) return read.data;
  throw new CagematchError('bad-input', read.error.issues[0]?.message ?? 'unreadable arguments', 'cagematch --help');
}

/** A whole number in argv, within bounds. */
export function wholeNumber(name: string, min: number, max: number) {
  const said = `${name} takes a whole number from ${min} to ${max}`;
  return z
    .string(said)
    .regex(/^\d+$/, said)
    .transform(Number)
    .refine((value) => value >= min && value <= max, said);
}

/** As `wholeNumber`, or one word instead of a number. */
export function wholeNumberOr<W extends string>(word: W, name: string, min: number, max: number) {
  const said = `${name} takes a whole number from ${min} to ${max}, or ${word}`;
  return z.union([z.literal(word), wholeNumber(name, min, max)], said);
}

/** An option that takes one value: yargs makes a list of an option that is given twice. */
export const once = (name: string) => z.string(`--${name} is given more than once`);

/** Splits comma-separated names. */
export const namesOf = (list: string): string[] =>
  list
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
