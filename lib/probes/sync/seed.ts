// What lies in the workspace before launch: for every cell a folder of its own, and what the host sees in it.
import { lchownSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { BOTH, bothFolder } from '../guest/sync-both.mjs';
import { folderOf, inFolder } from '../guest/sync-kinds.mjs';
import { type Look, look } from '../guest/sync-look.mjs';
import { kindsOf, type Pair } from './grid.js';

export interface Seeded {
  /** What lay there before the change. */
  before(pair: Pair): Look;
  /** Of `in`: what the host saw after its change, before launch. */
  made(pair: Pair): Look;
  /** Of `in`: why the host could not make it. */
  failed(pair: Pair): string | undefined;
}

/** @param user whose the workspace will be: what `in` is held against has to be seen as it is handed over */
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
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(workspace, bothFolder(cell), name), text);
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

/** Gives what root has made in a folder to the user inside, who could not change it otherwise. No link is followed. */
export function give(folder: string, user: { uid: number; gid: number }): void {
  if (process.getuid?.() !== 0) return;
  for (const path of ['', ...Object.keys(look(folder))]) {
    const at = path === '' ? folder : `${folder}/${decodeURIComponent(path)}`;
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat && (stat.uid !== user.uid || stat.gid !== user.gid)) lchownSync(at, user.uid, user.gid);
  }
}
