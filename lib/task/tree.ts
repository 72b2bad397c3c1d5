// A tree of regular files, read into memory once and written once per run, without following links
// on either side.
import {
  closeSync,
  constants,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CagematchError } from '../errors.js';
import type { Owner } from '../os/own.js';
import { type OpenDir, readBounded, withOpenDir } from '../os/safe-dir.js';

export interface TreeFile {
  bytes: Buffer;
  executable: boolean;
}

export interface Tree {
  files: ReadonlyMap<string, TreeFile>;
  folders: ReadonlyMap<string, Tree>;
}

export interface Bounds {
  files: number;
  bytes: number;
}

export const EMPTY: Tree = { files: new Map(), folders: new Map() };

/**
 * Reads a folder's current content, so that all runs of a match get the same, whatever happens to
 * the folder later.
 * @param name of the folder, for messages
 * @returns undefined if there is no such folder
 * @throws `bad-input` for anything other than regular files and folders, and for content beyond the
 *   limits
 */
export function readTree(folder: string, name: string, most: Bounds): Tree | undefined {
  const left = { ...most };
  const tooMuch = refusal(
    `${name} holds more than ${most.files} files or ${most.bytes / 1024 ** 2} MiB`,
    `du -a ${name}`,
  );
  return withOpenDir(folder, (dir) => readHeld(dir, name, left, tooMuch));
}

/** @param left the rest of the limits */
function readHeld(dir: OpenDir, place: string, left: Bounds, tooMuch: CagematchError): Tree {
  const tree = { files: new Map<string, TreeFile>(), folders: new Map<string, Tree>() };
  const names = dir.names().map((bytes) => ({ bytes, name: bytes.toString('utf8') }));
  for (const { bytes, name } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${place}/${name}`;
    if (!Buffer.from(name).equals(bytes))
      throw refusal(`${path} has a name that is not UTF-8`, 'give it another name');
    if (/[\r\n]/.test(name))
      throw refusal(`${place} has a file with a line break in its name`, 'give it another name');
    const stats = dir.look(bytes);
    if (stats?.isSymbolicLink())
      throw refusal(`${path} is a symbolic link`, 'put the file itself there');
    if (stats?.isDirectory()) {
      const inner = dir.folder(bytes, (below) => readHeld(below, path, left, tooMuch));
      if (!inner) throw refusal(`${path} cannot be read`, `check ${path}`);
      tree.folders.set(name, inner);
      continue;
    }
    if (!stats?.isFile()) throw refusal(`${path} is neither a file nor a folder`, `remove ${path}`);
    left.files -= 1;
    if (left.files < 0 || stats.size > left.bytes) throw tooMuch;
    const content = dir.file(bytes, (descriptor) => ({
      bytes: readBounded(descriptor, left.bytes),
    }));
    if (!content) throw refusal(`${path} cannot be read`, `check ${path}`);
    if (!content.bytes) throw tooMuch;
    left.bytes -= content.bytes.length;
    tree.files.set(name, { bytes: content.bytes, executable: (stats.mode & 0o111) !== 0 });
  }
  return tree;
}

const refusal = (message: string, hint: string) => new CagematchError('bad-input', message, hint);

/** Returns the same tree with one more file. @returns undefined if its path is already taken */
export function withFile(tree: Tree, path: string, file: TreeFile): Tree | undefined {
  const [name = '', ...rest] = path.split('/');
  const [files, folders] = [new Map(tree.files), new Map(tree.folders)];
  if (files.has(name) || (rest.length === 0 && folders.has(name))) return undefined;
  if (rest.length === 0) return { files: files.set(name, file), folders };
  const inner = withFile(folders.get(name) ?? EMPTY, rest.join('/'), file);
  return inner && { files, folders: folders.set(name, inner) };
}

/** Every file with its path, in the order in which the tree was read. */
export function filesOf(tree: Tree, above = ''): { path: string; file: TreeFile }[] {
  return [
    ...[...tree.files].map(([name, file]) => ({ path: above + name, file })),
    ...[...tree.folders].flatMap(([name, inner]) => filesOf(inner, `${above}${name}/`)),
  ];
}

/** The path of every folder. */
export function foldersOf(tree: Tree, above = ''): string[] {
  return [...tree.folders].flatMap(([name, inner]) => [
    above + name,
    ...foldersOf(inner, `${above}${name}/`),
  ]);
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes new files only, and enters folders only through open file descriptors: processes that an
 * agent left running may replace a folder that was just created with a link to anywhere on this
 * host.
 */
export function writeTree(tree: Tree, dir: OpenDir, owner?: Owner): void {
  for (const [name, { bytes, executable }] of tree.files) {
    const descriptor = openSync(join(dir.path, name), NEW_FILE, executable ? 0o777 : 0o666);
    try {
      writeFileSync(descriptor, bytes);
      if (owner) fchownSync(descriptor, owner.uid, owner.gid);
    } finally {
      closeSync(descriptor);
    }
  }
  for (const [name, inner] of tree.folders) {
    mkdirSync(join(dir.path, name));
    const written = dir.folder(name, (made) => {
      writeTree(inner, made, owner);
      if (owner) lchownSync(made.path, owner.uid, owner.gid);
      return true;
    });
    if (!written)
      throw new Error(`the folder ${name} of the seed was taken away while it was filled`);
  }
}
