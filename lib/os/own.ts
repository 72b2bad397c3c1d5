// Ownership of a tree of files that was created on this host.
import { lchownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The owner of a file. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Hands a tree over to the user inside the sandbox, who could not access root's files. Only for a
 * tree that no agent has touched yet.
 */
export function own(
  path: string,
  user: { uid: number; gid: number },
  uid: number | undefined,
): void {
  if (uid !== 0) return;
  for (const name of ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })])
    lchownSync(join(path, name), user.uid, user.gid);
}
