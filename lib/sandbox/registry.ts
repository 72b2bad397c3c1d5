// Loads the modes: every file in modes/ is a mode.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Mode } from '../contract.js';
import { CagematchError, nearest } from '../errors.js';
import { optionsSchema } from '../record/types.js';

const modesFolder = fileURLToPath(new URL('../../modes/', import.meta.url));

const fn = z.custom<unknown>((value) => typeof value === 'function', 'must be a function');
const modeSchema = z.looseObject({
  id: z.string().regex(/^[a-z][a-z0-9-]*$/),
  title: z.string(),
  letter: z.string(),
  isolation: z.string(),
  workspace: z.enum(['bind', 'copy']),
  auth: z.array(z.string()).min(1),
  inputs: z.record(z.string(), z.object({ help: z.string() })),
  platforms: z.array(z.string()),
  summary: z.string(),
  oneShot: z.boolean(),
  options: z.array(optionsSchema.keyof()).optional(),
  detect: fn,
  prepare: fn,
  reach: fn,
  layout: fn,
  launch: fn,
  exec: fn,
  collect: fn,
  destroy: fn,
  list: fn,
  reap: fn,
  terminal: fn,
});

export type Registry = ReadonlyMap<string, Mode>;

/**
 * Every mode in the folder, by id; ordered by isolation (none first, then os-sandbox), then by
 * letter and id.
 */
export async function loadModes(folder: string = modesFolder): Promise<Registry> {
  const files = readdirSync(folder).filter(
    (name) => /\.(js|mjs|ts)$/.test(name) && !name.endsWith('.d.ts'),
  );
  const modes = await Promise.all(files.map((file) => loadMode(folder, file)));
  modes.sort(
    (a, b) => rank(a) - rank(b) || a.letter.localeCompare(b.letter) || a.id.localeCompare(b.id),
  );
  return new Map(modes.map((mode) => [mode.id, mode]));
}

function rank(mode: Mode): number {
  return mode.isolation === 'none' ? 0 : mode.isolation === 'os-sandbox' ? 1 : 2;
}

async function loadMode(folder: string, file: string): Promise<Mode> {
  const { default: mode } = (await import(pathToFileURL(join(folder, file)).href)) as {
    default?: unknown;
  };
  const id = file.replace(/\.[a-z]+$/, '');
  const checked = modeSchema.safeParse(mode);
  if (!checked.success) {
    const issue = checked.error.issues[0];
    throw new CagematchError(
      'bad-input',
      `modes/${file} is no mode: ${issue?.path.join('.') || 'default export'}: ${issue?.message}`,
      'see lib/contract.ts',
    );
  }
  if (checked.data.id !== id)
    throw new CagematchError(
      'bad-input',
      `modes/${file} declares the id ${checked.data.id}`,
      `name it ${id}`,
    );
  return mode as Mode;
}

/** A mode or variant as the user wrote it: `mode`, `mode:variant`, either with `@label`. */
export interface Wanted {
  /** The canonical spelling: `docker:` becomes `docker`. */
  entry: string;
  mode: Mode;
  variant: string | undefined;
  /** Distinguishes several entries of one mode. */
  label: string | undefined;
}

const LABEL = /^[a-zA-Z0-9][a-zA-Z0-9-]*$/;

/**
 * @throws `bad-input` for an unknown mode, with the nearest name as the hint, or for an invalid
 *   label
 */
export function parseWanted(registry: Registry, entry: string): Wanted {
  const at = entry.indexOf('@');
  const name = at === -1 ? entry : entry.slice(0, at);
  const label = at === -1 ? undefined : entry.slice(at + 1);
  const [id = '', ...rest] = name.split(':');
  const variant = rest.join(':') || undefined;
  const mode = registry.get(id);
  if (!mode) {
    const meant = nearest(id, [...registry.keys()]);
    throw new CagematchError(
      'bad-input',
      `unknown mode: ${entry}`,
      meant ? `did you mean ${meant}?` : `modes: ${[...registry.keys()].join(' ')}`,
    );
  }
  if (label !== undefined && !LABEL.test(label))
    throw new CagematchError(
      'bad-input',
      label === ''
        ? `${entry}: there is no label after the @`
        : `${entry}: a label is made of letters, digits and dashes`,
      `${entryName(id, variant)}@a`,
    );
  return { entry: entryName(id, variant, label), mode, variant, label };
}

/** The canonical name of a row: `docker`, `docker:runsc`, `docker:runsc@a`. */
export function entryName(mode: string, variant: string | undefined, label?: string): string {
  return `${mode}${variant === undefined ? '' : `:${variant}`}${label === undefined ? '' : `@${label}`}`;
}

/**
 * The label of a row that is entered for several tasks: its own label, if it has one, and the
 * task's id in the characters of a label.
 */
export function taskLabel(own: string | undefined, task: string): string {
  const id = task.replace(/[^a-zA-Z0-9]+/g, '-');
  return own === undefined ? id : `${own}-${id}`;
}
