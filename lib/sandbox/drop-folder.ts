// Takes a run's folder away, and says what stays where that cannot be done.

import { removeFolder } from '../os/owner.js';
import { type Held, hold } from '../os/safe-dir.js';
import type { Leftover } from '../record/types.js';

/** The folder and what it takes, where it could not be removed: files that another user made inside can be out of our reach. */
export function dropFolder(folder: string, settings: { onFolder?(folder: string): void } = {}): Leftover[] {
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

/** Of `stat`. */
const BLOCK = 512;
/** Deeper than this nobody looks: what an agent left may be as deep as it likes. */
const DEEPEST = 64;

/** What a folder takes on disk, in bytes. Links are not followed; what cannot be read is not counted. */
export function folderBytes(folder: string): number {
  return hold(folder, (held) => bytesIn(held, DEEPEST)) ?? 0;
}

function bytesIn(held: Held, depth: number): number {
  let sum = held.stats().blocks * BLOCK;
  for (const name of held.names()) {
    const stats = held.look(name);
    if (!stats?.isDirectory()) sum += (stats?.blocks ?? 0) * BLOCK;
    else if (depth > 0) sum += held.folder(name, (inner) => bytesIn(inner, depth - 1)) ?? 0;
  }
  return sum;
}
