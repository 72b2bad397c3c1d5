// The border where a cassette file becomes a value that can be trusted, and the form in which one is written: YAML, to be read and diffed.
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { CagematchError, messageOf } from '../errors.js';
import { readPlainFile } from '../os/plain-files.js';

const text = z.strictObject({ type: z.literal('text'), text: z.string() });
const toolUse = z.strictObject({ type: z.literal('tool_use'), name: z.string().min(1), input: z.record(z.string(), z.unknown()) });

/** What the agent did with the tools that it was told to use before. Of the text, only its beginning, and it may differ. */
const result = z.strictObject({ tool: z.string().min(1), outcome: z.enum(['ok', 'error']), text: z.string() });

const exchange = z.strictObject({
  /** Absent: they are not looked at. */
  results: z.array(result).optional(),
  /** How many ends of what ran in the background the agent told of. */
  notified: z.int().positive().optional(),
  content: z.array(z.discriminatedUnion('type', [text, toolUse])).min(1),
  /** Why the model stopped, where the blocks do not say it. */
  stop: z.string().min(1).optional(),
});

/** Names in double braces, `{{cwd}}`, stand for what differs from run to run: placeholders.mjs has them all. */
const cassetteSchema = z.strictObject({
  schemaVersion: z.literal(2),
  task: z.string().min(1),
  model: z.string().min(1),
  /** The version of the agent that was recorded; `written`: a person wrote it. */
  agent: z.string().min(1),
  conversations: z
    .array(
      z.strictObject({
        /** The words that open it, or enough of them to tell it from the others. The main agent's is the one without. */
        opens: z.string().min(1).optional(),
        exchanges: z.array(exchange).min(1),
      }),
    )
    .min(1)
    .refine((all) => all.filter(({ opens }) => opens === undefined).length === 1, 'one conversation, and only one, has no `opens`'),
});

export type Cassette = z.infer<typeof cassetteSchema>;

/** In bytes; what a long session takes is a tenth of that. */
const MOST_CASSETTE = 64 * 1024 ** 2;

/** @throws `bad-input` that names the file and the first thing wrong in it */
export function readCassette(path: string): Cassette {
  let parsed: unknown;
  try {
    parsed = parse(readPlainFile(path, { links: 'refuse', most: MOST_CASSETTE }).toString('utf8'));
  } catch (error) {
    const [line] = messageOf(error).split('\n');
    throw new CagematchError('bad-input', `cassette ${path} cannot be read: ${line}`, HINT);
  }
  const checked = cassetteSchema.safeParse(parsed);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new CagematchError('bad-input', `cassette ${path} is broken at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`, HINT);
}

const HINT = 'cagematch record writes one anew';

export function cassetteText(cassette: Cassette): string {
  // A line is never folded: a diff shows what was changed, and nothing is torn apart.
  return stringify(cassette, { lineWidth: 0, blockQuote: 'literal' });
}
