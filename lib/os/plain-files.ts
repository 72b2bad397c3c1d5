// Reads and makes what a user or a stranger names by a path: plain files only, without waiting for anybody, and never more than a bound.
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { CagematchError } from '../errors.js';
import { readBounded } from './safe-dir.js';

/** Bytes that a file which a person writes by hand may have. */
export const MOST_TYPED = 1024 ** 2;

interface Access {
  /** `refuse`: the path itself must be no symbolic link. */
  links: 'follow' | 'refuse';
}

/**
 * Opens a plain file to read it. Anything else is refused before it is opened, since opening a device may do something; and once more
 * after that, since the path may have changed in between.
 * @returns the descriptor, which the caller closes
 * @throws `bad-input` for what is no plain file; errors of the file system pass as they are
 */
export function openPlainFile(path: string, { links }: Access): number {
  refuseUnlessPlain(path, links === 'follow' ? statSync(path) : lstatSync(path));
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const descriptor = openSync(path, links === 'follow' ? flags : flags | constants.O_NOFOLLOW);
  try {
    refuseUnlessPlain(path, fstatSync(descriptor));
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * The content of a plain file.
 * @param access with the most bytes that it may have
 * @throws as `openPlainFile` does, and `bad-input` for a longer file
 */
export function readPlainFile(path: string, access: Access & { most: number }): Buffer {
  const descriptor = openPlainFile(path, access);
  try {
    const content = readBounded(descriptor, access.most);
    if (content !== undefined) return content;
  } finally {
    closeSync(descriptor);
  }
  throw new CagematchError('bad-input', `${path} has more than ${access.most / 1024 ** 2} MiB`, `ls -l ${path}`);
}

function refuseUnlessPlain(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  throw new CagematchError('bad-input', `${path} is ${kindOf(stats)}, not a plain file`, `ls -l ${path}`);
}

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

/**
 * The folder that TMPDIR names, by a path without links: sandboxes and the looks at them have to use the same one.
 * @returns undefined where TMPDIR is not set
 * @throws `bad-input` for a path that a runtime's client could not take
 */
export function realTemporaryFolder(named: string | undefined): string | undefined {
  if (!named) return undefined;
  const hint = 'set TMPDIR to another folder, or unset it';
  if (/[\r\n]/.test(named)) throw new CagematchError('bad-input', 'TMPDIR has a line break in it', hint);
  if (!isAbsolute(named)) throw new CagematchError('bad-input', `TMPDIR is not an absolute path: ${named}`, hint);
  try {
    return realpathSync(named);
  } catch {
    // A folder that is missing is reported by whoever writes to it first.
    return named;
  }
}

/**
 * Makes a folder and those above it that are missing. Node's own recursive form (20.20) never returns where a parent exists that refuses
 * new folders with ENOENT, as `/proc` does.
 */
export function makeFolders(path: string): void {
  const found = (one: string) => statSync(one, { throwIfNoEntry: false });
  if (found(path)?.isDirectory()) return;
  // If a file is in the way, mkdir reports ENOTDIR in every version of Node.
  if (!found(dirname(path))) makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made the same folder meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !found(path)?.isDirectory()) throw error;
  }
}
