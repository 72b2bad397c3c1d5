// Who has a tree of files that was made on this host.
import { lchownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Whom a file belongs to. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Gives a tree to the user inside; root's own files would be out of its reach. Only for a tree that no agent has had yet. */
export function own(path: string, user: { uid: number; gid: number }, uid: number | undefined): void {
  if (uid !== 0) return;
  for (const name of ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })]) lchownSync(join(path, name), user.uid, user.gid);
}
