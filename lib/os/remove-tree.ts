// Removes what strangers have had: nothing beyond a link or a mount goes, whatever they do meanwhile.
import { randomUUID } from 'node:crypto';
import { closeSync, lstatSync, openSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { AS_FOLDER, type Held, heldBy, type Name, under } from './safe-dir.js';

/** So often a folder is looked at again into which somebody puts new things while it is emptied. */
const TURNS = 3;

/**
 * Node's `rmSync` goes by paths: a folder that becomes a link between two of its looks takes it elsewhere, and a tree that is
 * deeper than a path may be long stays. Here every name is reached from its open folder, and what a folder in the tree holds is
 * first moved up to the top, so that no path grows and two folders are open at a time.
 * @param last a file of the folder that goes when all others have gone: it tells whose the folder is
 * @throws what the file system says of the first thing that will not go; that nothing is there is no failure
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

/** @returns whether nothing is left but the last */
function empty(top: Held, last: string | undefined): boolean {
  const isLast = (name: Name) => last !== undefined && Buffer.from(last).equals(Buffer.from(name));
  const names: Name[] = top.names().filter((name) => !isLast(name));
  if (names.length === 0) return true;
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (drop(top, name)) continue;
    // What was a folder a moment ago and is a link now is not entered; the next turn sees what it is.
    top.folder(name, (inner) => {
      for (const one of inner.names()) {
        if (drop(inner, one) || dropFolder(inner, one)) continue;
        const raised = `.${randomUUID()}`;
        renameSync(under(inner.path, one), under(top.path, raised));
        names.push(raised);
      }
    });
    dropFolder(top, name);
  }
  return false;
}

/** Anything but a folder. @returns whether it is gone */
function drop(from: Held, name: Name): boolean {
  return went(() => unlinkSync(under(from.path, name)), ['EISDIR', 'EPERM']);
}

/** A folder that is empty. @returns whether it is gone */
function dropFolder(from: Held, name: Name): boolean {
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
