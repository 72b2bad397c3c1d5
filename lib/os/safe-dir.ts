// Access to folders and files that strangers can change meanwhile: one path component at a time,
// and never through a link.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join } from 'node:path';

/**
 * Between two accesses to a path, a stranger may replace a folder by a link, so that the second
 * access goes elsewhere (a race condition). The kernel's remedy is to open the folder and continue
 * from its file descriptor, but Node has no `openat`. On Linux `/proc/self/fd/<n>/<name>` is
 * equivalent: its first part leads to the open folder, whatever has become of the folder's path. On
 * other platforms only the path is available, and the folder's identity is checked first; a swap
 * between that check and the access still succeeds there.
 */
const BY_DESCRIPTOR =
  process.platform === 'linux' &&
  statSync('/proc/self/fd', { throwIfNoEntry: false })?.isDirectory() === true;

/** Flags that open nothing through a link, and do not block on a pipe. */
export const AS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
export const AS_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A name in a folder; as bytes where it may not be valid text. */
export type Name = string | Buffer;

/**
 * An open folder. All operations apply to the folder that was opened, even if it has been renamed
 * meanwhile.
 */
export interface OpenDir {
  /** A path that leads into the folder as long as it is held. */
  path: string;
  stats(): Stats;
  /** @param most the maximum number of names to return */
  names(most?: number): Buffer[];
  /** Stats of the item with that name, without following a link; undefined if there is none. */
  look(name: Name): Stats | undefined;
  /** Target of a link, as bytes; undefined if there is no link of that name. */
  linkOf(name: Name): Buffer | undefined;
  /**
   * Opens a subfolder for as long as `act` takes; undefined if there is no folder of that name, or
   * it is a link.
   */
  folder<T>(name: Name, act: (dir: OpenDir) => T): T | undefined;
  /**
   * Opens a file in the folder for as long as `act` takes; undefined if it is anything but a plain
   * file.
   */
  file<T>(name: Name, act: (descriptor: number, stats: Stats) => T): T | undefined;
}

/** Identifies a folder, even if another one takes its name later. */
export interface Identity {
  path: string;
  dev: number;
  ino: number;
}

/**
 * @throws the system's error if there is no such folder. A link is identified itself, not its
 *   target.
 */
export function identify(folder: string): Identity {
  const { dev, ino } = lstatSync(folder);
  return { path: folder, dev, ino };
}

/** @returns undefined if there is no such folder, or another one has taken its place */
export function withOpenDir<T>(folder: string | Identity, act: (dir: OpenDir) => T): T | undefined {
  const path = typeof folder === 'string' ? folder : folder.path;
  return withOpenDirAt(path, (dir) => {
    if (typeof folder === 'string') return { value: act(dir) };
    const { dev, ino } = dir.stats();
    return dev === folder.dev && ino === folder.ino ? { value: act(dir) } : undefined;
  })?.value;
}

function withOpenDirAt<T>(path: string | Buffer, act: (dir: OpenDir) => T): T | undefined {
  return opened(path, AS_FOLDER, (descriptor) => act(heldBy(descriptor, path)));
}

/**
 * Any failure to open (a link, a missing item, denied access, no free file descriptors) counts as
 * "not there".
 */
function opened<T>(
  path: string | Buffer,
  flags: number,
  act: (descriptor: number) => T,
): T | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, flags);
  } catch {
    return undefined;
  }
  try {
    return act(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Wraps a folder that is already open. @param found the path by which it was found */
export function heldBy(descriptor: number, found: string | Buffer): OpenDir {
  // The trailing dot is needed because `/proc/self/fd/<n>` is itself a link.
  const path: string | Buffer = BY_DESCRIPTOR ? `/proc/self/fd/${descriptor}/.` : found;
  const at = (name: Name) => under(path, name);
  return {
    path: path.toString(),
    stats: () => fstatSync(descriptor),
    names: (most) =>
      most === undefined ? readdirSync(path, { encoding: 'buffer' }) : someNames(path, most),
    look: (name) => attempt(() => lstatSync(at(name), { throwIfNoEntry: false })),
    linkOf: (name) => attempt(() => readlinkSync(at(name), { encoding: 'buffer' })),
    folder: (name, act) => withOpenDirAt(at(name), act),
    file: (name, act) =>
      opened(at(name), AS_FILE, (own) => {
        const stats = fstatSync(own);
        return stats.isFile() ? act(own, stats) : undefined;
      }),
  };
}

function someNames(path: string | Buffer, most: number): Buffer[] {
  // The names are bytes, as requested, but Node's types allow for text only.
  const listing = opendirSync(path.toString(), { encoding: 'buffer' as BufferEncoding });
  try {
    const names: Buffer[] = [];
    for (
      let entry = listing.readSync();
      entry !== null && names.length < most;
      entry = listing.readSync()
    )
      names.push(entry.name as unknown as Buffer);
    return names;
  } finally {
    listing.closeSync();
  }
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** Like `join`, but also for names that are bytes, which it leaves unnormalized. */
export function under(folder: string | Buffer, name: Name): string | Buffer {
  if (typeof folder === 'string' && typeof name === 'string') return join(folder, name);
  return Buffer.concat([Buffer.from(folder), Buffer.from('/'), Buffer.from(name)]);
}

/**
 * A file's content, or undefined if it has more than `most` bytes. The reported size is not used,
 * since files in /proc report none.
 */
export function readBounded(descriptor: number, most: number): Buffer | undefined {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.min(64 * 1024, most + 1 - length));
    const read = readSync(descriptor, chunk, 0, chunk.length, null);
    if (read === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, read));
    length += read;
    if (length > most) return undefined;
  }
}

/**
 * The text of a plain file in a folder that a stranger could write to. Undefined if it is anything
 * else, longer than `most` bytes, or has a second hard link, since it could then be a file of this
 * host that somebody has linked into the folder.
 */
export function readOwnText(folder: string, name: string, most: number): string | undefined {
  return withOpenDir(folder, (dir) => readOwn(dir, name, most)?.toString('utf8'));
}

/** Like `readOwnText`, but in a folder that is already open, and as bytes. */
export function readOwn(dir: OpenDir, name: Name, most: number): Buffer | undefined {
  return dir.file(name, (descriptor, stats) =>
    stats.nlink > 1 ? undefined : readBounded(descriptor, most),
  );
}
