// Finds the record that a user names, and reads it.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CagematchError, messageOf } from '../lib/errors.js';
import type { MatchEvent } from '../lib/record.js';
import type { Report } from '../lib/report/document.js';
import { createFold, type Fold } from '../lib/report/fold.js';
import { readRecord } from '../lib/report/read.js';

export interface Found {
  /** As the user calls it. */
  name: string;
  /** An events.jsonl, or a report as JSON where that was named. */
  path: string;
}

/**
 * @param named a match's id, its folder, its events.jsonl; none: the newest
 * @param out where match folders are
 * @throws `bad-input` where there is no such thing, with the newest that there are
 */
export function findRecord(named: string | undefined, out: string, cwd: string): Found {
  const folder = resolve(cwd, out);
  const known = list(folder);
  const name = named ?? known.at(-1);
  if (name === undefined) throw new CagematchError('bad-input', `no match found in ${folder}`, 'cagematch run');
  for (const place of [join(folder, name), resolve(cwd, name)]) {
    const within = join(place, 'events.jsonl');
    if (existsSync(within)) return { name, path: within };
    if (named !== undefined && statSync(place, { throwIfNoEntry: false })?.isFile()) return { name, path: place };
  }
  throw new CagematchError(
    'bad-input',
    `no record of a match ${name}`,
    known.length > 0 ? `the newest are ${known.slice(-3).join(' ')}` : 'cagematch run',
  );
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d{8}-\d{6}-/.test(name))
      .sort();
  } catch {
    return [];
  }
}

/** @throws `bad-input` with what is wrong with it, and its line */
export async function readFound({ name, path }: Found, onEvent: (event: MatchEvent) => void): Promise<void> {
  try {
    await readRecord(path, onEvent);
  } catch (error) {
    const hint = error instanceof CagematchError ? error.hint : undefined;
    throw new CagematchError('bad-input', `the record of ${name} cannot be read: ${messageOf(error)}`, hint, { cause: error });
  }
}

/** The report of a record, without its runs, and the fold that it came from. @throws as readFound does */
export async function finishedFold(found: Found): Promise<{ report: Report; fold: Fold }> {
  const fold = createFold();
  await readFound(found, fold.push);
  try {
    return { report: fold.finish(), fold };
  } catch (error) {
    throw new CagematchError('bad-input', `the record of ${found.name} cannot be read: ${messageOf(error)}`);
  }
}
