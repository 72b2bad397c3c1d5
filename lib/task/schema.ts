// The zod schema of task.yaml; `docs/schema/task.json` is generated from it.
import { posix } from 'node:path';
import { z } from 'zod';

/** Placeholders that are replaced in a task. */
export const NONCE = '{{nonce}}';
export const VERIFY = '{{verify}}';

/**
 * Maximum length of the prompt, in bytes. The agent takes the prompt as one argument, and the
 * kernel accepts no argument longer than 128 KiB.
 */
const MOST_PROMPT = 100_000;

/**
 * The agent interprets a prompt that begins with a slash as one of its own commands, on stdin too
 * (observed with 2.1.329).
 */
const isPrompt = (text: string) =>
  text.trim() !== '' &&
  !text.includes('\0') &&
  !/^(-|\s*\/)/.test(text) &&
  Buffer.byteLength(text) <= MOST_PROMPT;

const pathInWorkspace = z
  .string()
  .min(1)
  .max(1000)
  .refine(
    (path) =>
      !path.includes('\0') && path === posix.normalize(path) && !/^(\/|\.\.?(\/|$))|\/$/.test(path),
  );

/**
 * A JavaScript regular expression in which ^ and $ match at line boundaries. The nonce contains
 * only letters and digits.
 */
export const toPattern = (text: string, nonce: string) =>
  new RegExp(text.replaceAll(NONCE, nonce), 'm');

const pattern = z
  .string()
  .min(1)
  .refine((text) => {
    try {
      toPattern(text, '0');
      return true;
    } catch {
      return false;
    }
  });

/** Message for a failed expectation, in place of the default one. */
const otherwise = z.string().min(1).max(200).optional();

const fileSchema = z.strictObject({
  path: pathInWorkspace,
  matches: pattern.optional(),
  not: pattern.optional(),
  otherwise,
});

const printedSchema = z.union([
  z.string().min(1),
  z.strictObject({
    matches: pattern,
    times: z.number().int().min(1).max(1000).optional(),
    otherwise,
  }),
]);

const expectSchema = z.strictObject({
  /** Files that must come back byte for byte as in the agent's last Write. */
  written: z.array(pathInWorkspace).default([]),
  /** Files that must exist after collect with the expected content. */
  files: z.array(fileSchema).default([]),
  /** Texts that must appear in the output of a successful Bash command. */
  printed: z.array(printedSchema).default([]),
});
export type Expectations = z.infer<typeof expectSchema>;

export const taskSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Defaults to the folder's name. */
  id: z.string().optional(),
  prompt: z.string().max(MOST_PROMPT).refine(isPrompt),
  /** A file of the workspace that contains a fresh random text in every run. */
  nonce: pathInWorkspace.optional(),
  /** Checked on the host, without executing anything. */
  expect: expectSchema.optional(),
  /**
   * Command that runs in a fresh sandbox of the same mode, on the workspace as it came back; exit
   * code 0 means passed.
   */
  verify: z.array(z.string().min(1)).min(1).optional(),
});
export type TaskFile = z.infer<typeof taskSchema>;

/** The values that each key accepts: a description, and an example line to type. */
export const TAKES: Record<string, { words: string; example: string }> = {
  schemaVersion: { words: 'the number 1', example: 'schemaVersion: 1' },
  id: { words: 'letters, digits, dots and dashes, at most 40', example: 'id: my-task' },
  prompt: {
    words: `text that begins with neither a dash nor a slash (a command of the agent's own), at most ${MOST_PROMPT} bytes`,
    example: 'prompt: Write hello.mjs.',
  },
  nonce: {
    words: 'a path in the workspace, not absolute and without ..',
    example: 'nonce: nonce.txt',
  },
  expect: {
    words: 'the keys written, files and printed',
    example: 'expect: {written: [hello.mjs]}',
  },
  written: {
    words: 'a list of paths in the workspace, not absolute and without ..',
    example: 'written: [hello.mjs]',
  },
  files: {
    words: 'a list of keys with a path',
    example: 'files: [{path: money.mjs, matches: export}]',
  },
  path: {
    words: 'a path in the workspace, not absolute and without ..',
    example: 'path: src/money.mjs',
  },
  matches: { words: 'a regular expression', example: "matches: '^total: \\d+$'" },
  not: { words: 'a regular expression', example: 'not: toFixed' },
  otherwise: {
    words: 'some words, at most 200 characters',
    example: 'otherwise: the total is wrong',
  },
  printed: { words: 'a list of texts, or of keys with matches', example: "printed: ['{{nonce}}']" },
  times: { words: 'a whole number from 1 to 1000', example: 'times: 2' },
  verify: {
    words: 'a command as a list of words',
    example: "verify: [node, '{{verify}}/check.mjs']",
  },
};

/** The keys allowed at a path. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  const key = path.findLast((part) => typeof part === 'string');
  const shapes = {
    expect: expectSchema.shape,
    files: fileSchema.shape,
    printed: printedSchema.options[1].shape,
  };
  return Object.keys(shapes[key as keyof typeof shapes] ?? taskSchema.shape);
}
