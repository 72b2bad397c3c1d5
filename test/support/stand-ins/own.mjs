// Gives a folder to the user inside, where the caller may.
import { lchownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} folder @param {{uid: number, gid: number} | undefined} user */
export function own(folder, user) {
  if (user === undefined || process.getuid?.() !== 0) return;
  for (const name of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })])
    lchownSync(join(folder, name), user.uid, user.gid);
}
