// Writes a folder's files as a git repository with one commit, without running git: no git on this
// host may read files that an agent could have written.
import { createHash } from 'node:crypto';
import {
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';

const WHO = 'cagematch <cagematch@localhost> 0 +0000';

/**
 * Turns `into` into a repository with that commit at HEAD but without a working tree: cloning needs
 * only the objects.
 * @returns whether the commit contains the whole folder; git does not track empty folders or
 *   anything named `.git`
 */
export function writeRepository(folder: string, into: string): { whole: boolean } {
  const git = join(into, '.git');
  for (const name of ['objects', 'refs/heads']) mkdirSync(join(git, name), { recursive: true });
  const seen = { whole: true };
  const tree = writeFolder(git, folder, seen) ?? writeObject(git, 'tree', Buffer.alloc(0));
  const commit = writeObject(
    git,
    'commit',
    Buffer.from(`tree ${tree}\nauthor ${WHO}\ncommitter ${WHO}\n\nthe workspace\n`),
  );
  writeFileSync(join(git, 'refs/heads/main'), `${commit}\n`);
  writeFileSync(
    join(git, 'config'),
    '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n',
  );
  writeFileSync(join(git, 'HEAD'), 'ref: refs/heads/main\n');
  return seen;
}

/** @returns the id of the tree; undefined if the folder contains nothing that git tracks */
function writeFolder(git: string, folder: string, seen: { whole: boolean }): string | undefined {
  const lines = readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => Buffer.compare(Buffer.from(sortedBy(a)), Buffer.from(sortedBy(b))))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      const object = entry.name.toLowerCase() === '.git' ? undefined : idOf(git, path, entry, seen);
      if (object === undefined) seen.whole = false;
      return object === undefined
        ? []
        : [
            Buffer.concat([
              Buffer.from(`${object.mode} ${entry.name}\0`),
              Buffer.from(object.id, 'hex'),
            ]),
          ];
    });
  return lines.length === 0 ? undefined : writeObject(git, 'tree', Buffer.concat(lines));
}

/** Git's sort order: a folder sorts as if its name ended with a slash. */
const sortedBy = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name);

function idOf(
  git: string,
  path: string,
  entry: Dirent,
  seen: { whole: boolean },
): { mode: string; id: string } | undefined {
  if (entry.isSymbolicLink())
    return { mode: '120000', id: writeObject(git, 'blob', Buffer.from(readlinkSync(path))) };
  if (entry.isFile()) {
    const mode = (lstatSync(path).mode & 0o100) === 0 ? '100644' : '100755';
    return { mode, id: writeObject(git, 'blob', readFileSync(path)) };
  }
  const id = entry.isDirectory() ? writeFolder(git, path, seen) : undefined;
  return id === undefined ? undefined : { mode: '40000', id };
}

function writeObject(git: string, type: 'blob' | 'tree' | 'commit', body: Buffer): string {
  const bytes = Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]);
  const id = createHash('sha1').update(bytes).digest('hex');
  const file = join(git, 'objects', id.slice(0, 2), id.slice(2));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, deflateSync(bytes));
  return id;
}
