// Finds what a run has left in its workspace: files owned neither by the user inside nor by the
// caller, and the credential.
import { join, relative } from 'node:path';
import { type OpenDir, withOpenDir } from '../os/safe-dir.js';
import type { Leftover } from '../record/types.js';
import { needlesOf } from './search.js';
import { searchFolders } from './search-files.js';

/** Maximum number of entries examined, maximum depth, and maximum number of names reported. */
const MOST_SEEN = 50_000;
const MOST_DEPTH = 100;
const MOST_NAMED = 10;

/**
 * @param secret the credential of the match, which must not be in a workspace, however it was
 *   delivered
 */
export function leftInWorkspace(
  workspace: string,
  owners: readonly (number | undefined)[],
  secret: string,
): Leftover[] {
  const { hits } = searchFolders([workspace], { needles: needlesOf(secret), sinceMs: 0 });
  const credential = hits.slice(0, MOST_NAMED).map(({ where, shape }) => ({
    kind: 'credential',
    id: `${relative(workspace, where)} (${shape})`,
  }));
  return [...foreignFiles(workspace, owners), ...credential];
}

/**
 * Reads only names and owners, through open folders: a process that still runs inside may replace
 * one with a link. `id` is the path below the workspace.
 */
export function foreignFiles(
  workspace: string,
  owners: readonly (number | undefined)[],
): Leftover[] {
  const found: Leftover[] = [];
  let more = 0;
  let seen = 0;
  const walk = (folder: OpenDir, path: string, depth: number): void => {
    for (const name of folder.names(MOST_SEEN - seen)) {
      seen += 1;
      const stat = folder.look(name);
      if (!stat) continue;
      const below = join(path, name.toString());
      if (!owners.includes(stat.uid)) {
        if (found.length < MOST_NAMED)
          found.push({ kind: 'foreign-file', id: `${below} (uid ${stat.uid})` });
        else more += 1;
      }
      if (stat.isDirectory() && depth < MOST_DEPTH && seen < MOST_SEEN)
        folder.folder(name, (inner) => walk(inner, below, depth + 1));
    }
  };
  withOpenDir(workspace, (top) => walk(top, '', 0));
  return more === 0 ? found : [...found, { kind: 'foreign-file', id: `and ${more} more` }];
}
