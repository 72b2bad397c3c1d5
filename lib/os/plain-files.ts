// Reads and creates files and folders at paths that a user or a stranger chose: plain files only,
// without blocking, and size-limited.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { CagematchError } from '../errors.js';
import { readBounded } from './safe-dir.js';

/** Maximum size, in bytes, of a file that a person writes by hand. */
export const MOST_TYPED = 1024 ** 2;

interface Access {
  /** `refuse`: the path itself must not be a symbolic link. */
  links: 'follow' | 'refuse';
}

/**
 * Opens a plain file for reading. Anything else is refused before it is opened, since opening a
 * device can have side effects, and the check is repeated after opening, since the path may have
 * changed in between.
 * @returns the file descriptor, which the caller closes
 * @throws `bad-input` for anything but a plain file; file system errors are passed on unchanged
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
 * @param access `most`: the maximum size in bytes
 * @throws like `openPlainFile`, and `bad-input` for a larger file
 */
export function readPlainFile(path: string, access: Access & { most: number }): Buffer {
  const descriptor = openPlainFile(path, access);
  try {
    const content = readBounded(descriptor, access.most);
    if (content !== undefined) return content;
  } finally {
    closeSync(descriptor);
  }
  throw new CagematchError(
    'bad-input',
    `${path} has more than ${access.most / 1024 ** 2} MiB`,
    `ls -l ${path}`,
  );
}

function refuseUnlessPlain(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  throw new CagematchError(
    'bad-input',
    `${path} is ${kindOf(stats)}, not a plain file`,
    `ls -l ${path}`,
  );
}

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

/**
 * The folder that TMPDIR names, as a path without symbolic links: sandboxes and the checks on them
 * have to use the same path.
 * @returns undefined if TMPDIR is not set
 * @throws `bad-input` for a path that a runtime's client could not handle
 */
export function realTemporaryFolder(named: string | undefined): string | undefined {
  if (!named) return undefined;
  const hint = 'set TMPDIR to another folder, or unset it';
  if (/[\r\n]/.test(named))
    throw new CagematchError('bad-input', 'TMPDIR has a line break in it', hint);
  if (!isAbsolute(named))
    throw new CagematchError('bad-input', `TMPDIR is not an absolute path: ${named}`, hint);
  try {
    return realpathSync(named);
  } catch {
    // A missing folder is reported when something first writes to it.
    return named;
  }
}

/**
 * Creates a folder and its missing parents. Node's own recursive mkdir (20.20) never returns if an
 * existing parent refuses new folders with ENOENT, as `/proc` does.
 */
export function makeFolders(path: string): void {
  const found = (path: string) => statSync(path, { throwIfNoEntry: false });
  if (found(path)?.isDirectory()) return;
  // If a file is in the way, mkdir reports ENOTDIR in every version of Node.
  if (!found(dirname(path))) makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have created the same folder meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !found(path)?.isDirectory())
      throw error;
  }
}
