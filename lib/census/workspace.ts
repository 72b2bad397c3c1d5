// Files in a workspace that belong neither to the user inside nor to the caller: the user cannot remove them.
import { lstatSync, opendirSync } from 'node:fs';
import { join } from 'node:path';
import type { Leftover } from '../record.js';

/** The most entries that are looked at, and the most that are named. */
const MOST_SEEN = 50_000;
const MOST_NAMED = 10;

/** Looks at names and owners only; no link is followed. `id`: the path below the workspace. */
export function foreignFiles(workspace: string, owners: readonly (number | undefined)[]): Leftover[] {
  const found: Leftover[] = [];
  let more = 0;
  let seen = 0;
  const open = [''];
  for (let folder = open.pop(); folder !== undefined && seen < MOST_SEEN; folder = open.pop()) {
    for (const name of namesIn(join(workspace, folder))) {
      seen += 1;
      if (seen > MOST_SEEN) break;
      const path = join(folder, name);
      const stat = lstatSync(join(workspace, path), { throwIfNoEntry: false });
      if (!stat) continue;
      if (!owners.includes(stat.uid)) {
        if (found.length < MOST_NAMED) found.push({ kind: 'foreign-file', id: `${path} (uid ${stat.uid})` });
        else more += 1;
      }
      if (stat.isDirectory()) open.push(path);
    }
  }
  return more === 0 ? found : [...found, { kind: 'foreign-file', id: `and ${more} more` }];
}

/** One by one: a folder may hold more names than are looked at. */
function* namesIn(path: string): Generator<string> {
  let dir: ReturnType<typeof opendirSync>;
  try {
    dir = opendirSync(path);
  } catch {
    return; // Gone, or not ours to read.
  }
  try {
    for (let one = dir.readSync(); one; one = dir.readSync()) yield one.name;
  } finally {
    dir.closeSync();
  }
}
