// Removes folder trees that strangers had access to: nothing beyond a link or a mount is removed,
// whatever the strangers do meanwhile.
import { randomUUID } from 'node:crypto';
import { closeSync, lstatSync, openSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { AS_FOLDER, heldBy, type Name, type OpenDir, under } from './safe-dir.js';

/** How many times a folder is emptied if somebody keeps adding new files to it meanwhile. */
const TURNS = 3;

/**
 * Removes a folder and everything in it. Node's `rmSync` works with paths: a folder that is
 * replaced by a link between two checks leads it elsewhere, and it fails on a tree deeper than the
 * maximum path length. Here every name is reached from its open folder, and the contents of a
 * folder in the tree are first moved up to the top, so that no path grows and only two folders are
 * open at a time.
 * @param last a file in the folder that is removed after all others, since it identifies the owner
 *   of the folder
 * @throws the file system's error for the first item that cannot be removed; a missing folder is
 *   not an error
 */
export function removeTree(folder: string, last?: string): void {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    unlinkSync(folder);
    return;
  }
  const descriptor = openSync(folder, AS_FOLDER);
  try {
    const top = heldBy(descriptor, folder);
    for (let turn = 1; turn <= TURNS; turn += 1) if (empty(top, last)) break;
    if (last !== undefined) drop(top, last);
  } finally {
    closeSync(descriptor);
  }
  rmdirSync(folder);
}

/** @returns whether nothing but `last` was left */
function empty(top: OpenDir, last: string | undefined): boolean {
  const isLast = (name: Name) => last !== undefined && Buffer.from(last).equals(Buffer.from(name));
  const names: Name[] = top.names().filter((name) => !isLast(name));
  if (names.length === 0) return true;
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (drop(top, name)) continue;
    // A folder that has meanwhile been replaced by a link is not entered; the next turn handles the
    // link.
    top.folder(name, (inner) => {
      for (const name of inner.names()) {
        if (drop(inner, name) || dropFolder(inner, name)) continue;
        const raised = `.${randomUUID()}`;
        renameSync(under(inner.path, name), under(top.path, raised));
        names.push(raised);
      }
    });
    dropFolder(top, name);
  }
  return false;
}

/** Removes anything but a folder. @returns whether it is gone */
function drop(from: OpenDir, name: Name): boolean {
  return went(() => unlinkSync(under(from.path, name)), ['EISDIR', 'EPERM']);
}

/** Removes an empty folder. @returns whether it is gone */
function dropFolder(from: OpenDir, name: Name): boolean {
  return went(() => rmdirSync(under(from.path, name)), ['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);
}

function went(act: () => void, ifNot: string[]): boolean {
  try {
    act();
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (ifNot.includes(code)) return false;
    throw error;
  }
}
