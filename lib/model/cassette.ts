// The border where a cassette file becomes a value that can be trusted.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CagematchError, messageOf } from '../errors.js';

const text = z.strictObject({ type: z.literal('text'), text: z.string() });
const toolUse = z.strictObject({ type: z.literal('tool_use'), name: z.string().min(1), input: z.record(z.string(), z.unknown()) });

/** `{{cwd}}` in any string stands for the working directory that the agent names in its request. */
const cassetteSchema = z.strictObject({
  schemaVersion: z.literal(1),
  task: z.string().min(1),
  model: z.string().min(1),
  exchanges: z.array(z.strictObject({ content: z.array(z.discriminatedUnion('type', [text, toolUse])).min(1) })).min(1),
});

export type Cassette = z.infer<typeof cassetteSchema>;

/** @throws `bad-input` that names the file and the first thing wrong in it */
export function readCassette(path: string): Cassette {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      `cassette ${path} cannot be read: ${messageOf(error)}`,
      'record it again, or use the task that cagematch brings',
    );
  }
  const checked = cassetteSchema.safeParse(parsed);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new CagematchError(
    'bad-input',
    `cassette ${path} is broken at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`,
    'record it again, or use the task that cagematch brings',
  );
}
