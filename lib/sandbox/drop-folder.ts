// Removes a run's folder, and reports what is left if that fails.

import { removeFolder } from '../os/owner.js';
import { type OpenDir, withOpenDir } from '../os/safe-dir.js';
import type { Leftover } from '../record/types.js';

/**
 * The folder and its disk usage if it could not be removed: files that another user created inside
 * may be inaccessible to us.
 */
export function dropFolder(
  folder: string,
  settings: { onFolder?(folder: string): void } = {},
): Leftover[] {
  try {
    settings.onFolder?.(folder);
    removeFolder(folder);
    return [];
  } catch {
    return [
      { kind: 'folder', id: folder },
      { kind: 'disk', id: `at least ${folderBytes(folder)} bytes in ${folder}` },
    ];
  }
}

/** Unit of `blocks` in `stat`, in bytes. */
const BLOCK = 512;
/** Maximum depth that is searched, since an agent may leave folders nested to any depth. */
const DEEPEST = 64;

/** Disk usage of a folder, in bytes. Links are not followed; unreadable items are not counted. */
export function folderBytes(folder: string): number {
  return withOpenDir(folder, (dir) => bytesIn(dir, DEEPEST)) ?? 0;
}

function bytesIn(dir: OpenDir, depth: number): number {
  let sum = dir.stats().blocks * BLOCK;
  for (const name of dir.names()) {
    const stats = dir.look(name);
    if (!stats?.isDirectory()) sum += (stats?.blocks ?? 0) * BLOCK;
    else if (depth > 0) sum += dir.folder(name, (inner) => bytesIn(inner, depth - 1)) ?? 0;
  }
  return sum;
}
