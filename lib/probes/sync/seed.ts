// The initial workspace: a folder for every cell, and how the host sees it.
import { lchownSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { BOTH, bothFolder } from '../guest/sync-both.mjs';
import { folderOf, inFolder } from '../guest/sync-kinds.mjs';
import { type Look, look } from '../guest/sync-look.mjs';
import { kindsOf, type Pair } from './grid.js';

export interface Seeded {
  /** The folder before the change. */
  before(pair: Pair): Look;
  /** For `in`: what the host saw after its change, before launch. */
  made(pair: Pair): Look;
  /** For `in`: why the host could not make the change. */
  failed(pair: Pair): string | undefined;
}

/**
 * @param user the future owner of the workspace: for `in`, the state to compare with is recorded
 *   after the handover
 */
export function seedFolders(workspace: string, user: { uid: number; gid: number }): Seeded {
  const before = new Map<string, Look>();
  const made = new Map<string, Look>();
  const failed = new Map<string, string>();
  mkdirSync(join(workspace, 'sync'));
  for (const direction of ['in', 'in-live', 'out-live', 'out'] as const)
    for (const kind of kindsOf(direction)) {
      const folder = join(workspace, folderOf(direction, kind.cell));
      mkdirSync(folder);
      kind.before?.(inFolder(folder));
      const name = key({ direction, cell: kind.cell });
      before.set(name, look(folder));
      if (direction !== 'in') continue;
      try {
        kind.change(inFolder(folder));
      } catch (error) {
        failed.set(name, `the host could not make it: ${messageOf(error)}`);
      }
      give(folder, user);
      made.set(name, look(folder));
    }
  for (const [cell, texts] of Object.entries(BOTH)) {
    mkdirSync(join(workspace, bothFolder(cell)));
    for (const [name, text] of Object.entries(texts))
      writeFileSync(join(workspace, bothFolder(cell), name), text);
  }
  return {
    before: (pair) => before.get(key(pair)) ?? {},
    made: (pair) => made.get(key(pair)) ?? {},
    failed: (pair) => failed.get(key(pair)),
  };
}

function key({ cell, direction }: Pair): string {
  return `${direction} ${cell}`;
}

/**
 * Gives files that root has created in a folder to the user inside, who could not change them
 * otherwise. Does not follow links.
 */
export function give(folder: string, user: { uid: number; gid: number }): void {
  if (process.getuid?.() !== 0) return;
  for (const path of ['', ...Object.keys(look(folder))]) {
    const at = path === '' ? folder : `${folder}/${decodeURIComponent(path)}`;
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat && (stat.uid !== user.uid || stat.gid !== user.gid))
      lchownSync(at, user.uid, user.gid);
  }
}
