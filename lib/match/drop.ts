// Takes a run's folder away, and says what stays where that cannot be done.
import { removeFolder } from '../owner.js';
import type { Leftover } from '../record.js';
import { folderBytes } from './capacity.js';

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
