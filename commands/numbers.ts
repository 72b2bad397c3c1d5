// Numbers as they stand in argv.
import { z } from 'zod';

/** A whole number within bounds, or one line that says so. */
export function wholeNumber(name: string, min: number, max: number) {
  const said = `${name} takes a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+$/, said)
    .transform(Number)
    .refine((value) => value >= min && value <= max, said);
}
