// Validates cassette files when they are read, and writes them as YAML that can be read and diffed.
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { CagematchError, messageOf } from '../errors.js';
import { readPlainFile } from '../os/plain-files.js';

const text = z.strictObject({ type: z.literal('text'), text: z.string() });
const toolUse = z.strictObject({
  type: z.literal('tool_use'),
  name: z.string().min(1),
  input: z.record(z.string(), z.unknown()),
});

/**
 * The result of a tool call from the answer before. Only the beginning of its text is stored, and a
 * replay may differ from it.
 */
const result = z.strictObject({
  tool: z.string().min(1),
  outcome: z.enum(['ok', 'error']),
  text: z.string(),
});

const exchange = z.strictObject({
  /** If absent, the results are not checked. */
  results: z.array(result).optional(),
  /** The number of completed background tasks that the agent reported. */
  notified: z.int().positive().optional(),
  content: z.array(z.discriminatedUnion('type', [text, toolUse])).min(1),
  /** The stop reason, if it does not follow from the blocks. */
  stop: z.string().min(1).optional(),
});

/**
 * Names in double braces, such as `{{cwd}}`, are placeholders for what differs from run to run;
 * placeholders.mjs defines them.
 */
const cassetteSchema = z.strictObject({
  schemaVersion: z.literal(2),
  task: z.string().min(1),
  model: z.string().min(1),
  /** The version of the agent that was recorded; `written` if a person wrote the cassette. */
  agent: z.string().min(1),
  conversations: z
    .array(
      z.strictObject({
        /**
         * The text that opens the conversation, or enough of it to distinguish it from the others.
         * The main agent's conversation has none.
         */
        opens: z.string().min(1).optional(),
        exchanges: z.array(exchange).min(1),
      }),
    )
    .min(1)
    .refine(
      (all) => all.filter(({ opens }) => opens === undefined).length === 1,
      'one conversation, and only one, has no `opens`',
    ),
});

export type Cassette = z.infer<typeof cassetteSchema>;

/** Maximum size in bytes; a long session takes a tenth of it. */
const MOST_CASSETTE = 64 * 1024 ** 2;

/** @throws `bad-input` that names the file and its first error */
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
  throw new CagematchError(
    'bad-input',
    `cassette ${path} is broken at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`,
    HINT,
  );
}

const HINT = 'cagematch record writes one anew';

export function cassetteText(cassette: Cassette): string {
  // Lines are never folded, so that a diff shows exactly what changed and no text is split.
  return stringify(cassette, { lineWidth: 0, blockQuote: 'literal' });
}
