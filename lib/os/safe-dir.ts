// Folders and files that strangers can change while we look: reached one name at a time, and never through a link.
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
 * Between two looks at a path, a stranger may put a link where a folder was, and the second look is somewhere else. The kernel's
 * answer is to open the folder and go on from there, but Node has no `openat`. On Linux `/proc/self/fd/<n>/<name>` is the same:
 * the first part leads to the open folder, whatever its path has become. Elsewhere the path is all there is, and a look at which
 * folder it is comes before; who swaps it just between the two still wins there.
 */
const BY_DESCRIPTOR = process.platform === 'linux' && statSync('/proc/self/fd', { throwIfNoEntry: false })?.isDirectory() === true;

/** Not opened through a link; without waiting for who is at the other end of a pipe. */
export const AS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
export const AS_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A name in a folder, as bytes where it may be no text. */
export type Name = string | Buffer;

/** An open folder. All of it is of the one folder that was opened, under whatever name that is now. */
export interface Held {
  /** A path that leads into it as long as it is held. */
  path: string;
  stats(): Stats;
  /** @param most so many of them at the most */
  names(most?: number): Buffer[];
  /** Of the thing of that name, a link itself; undefined where there is none. */
  look(name: Name): Stats | undefined;
  /** Where a link leads, as bytes; undefined where there is none. */
  linkOf(name: Name): Buffer | undefined;
  /** Opens a folder in it for as long as `act` takes; undefined where there is none of that name, or a link. */
  folder<T>(name: Name, act: (held: Held) => T): T | undefined;
  /** The same of a file; undefined where it is anything but a plain file. */
  file<T>(name: Name, act: (descriptor: number, stats: Stats) => T): T | undefined;
}

/** Which folder it is, whatever may stand under its name later. */
export interface Identity {
  path: string;
  dev: number;
  ino: number;
}

export function identify(folder: string): Identity {
  const { dev, ino } = lstatSync(folder);
  return { path: folder, dev, ino };
}

/** @returns undefined where there is no such folder, or another one has taken its place */
export function hold<T>(folder: string | Identity, act: (held: Held) => T): T | undefined {
  const path = typeof folder === 'string' ? folder : folder.path;
  return holdAt(path, (held) => {
    if (typeof folder === 'string') return { value: act(held) };
    const { dev, ino } = held.stats();
    return dev === folder.dev && ino === folder.ino ? { value: act(held) } : undefined;
  })?.value;
}

function holdAt<T>(path: string | Buffer, act: (held: Held) => T): T | undefined {
  return opened(path, AS_FOLDER, (descriptor) => act(heldBy(descriptor, path)));
}

/** What stands in our way (a link, nothing at all, a lock, an end of descriptors) is no folder and no file to us. */
function opened<T>(path: string | Buffer, flags: number, act: (descriptor: number) => T): T | undefined {
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

/** Of a folder that is open. @param found the path by which it was found */
export function heldBy(descriptor: number, found: string | Buffer): Held {
  // The dot: what leads to the folder is itself a link.
  const path: string | Buffer = BY_DESCRIPTOR ? `/proc/self/fd/${descriptor}/.` : found;
  const at = (name: Name) => under(path, name);
  return {
    path: path.toString(),
    stats: () => fstatSync(descriptor),
    names: (most) => (most === undefined ? readdirSync(path, { encoding: 'buffer' }) : someNames(path, most)),
    look: (name) => attempt(() => lstatSync(at(name), { throwIfNoEntry: false })),
    linkOf: (name) => attempt(() => readlinkSync(at(name), { encoding: 'buffer' })),
    folder: (name, act) => holdAt(at(name), act),
    file: (name, act) =>
      opened(at(name), AS_FILE, (own) => {
        const stats = fstatSync(own);
        return stats.isFile() ? act(own, stats) : undefined;
      }),
  };
}

function someNames(path: string | Buffer, most: number): Buffer[] {
  // Its names are bytes as asked; the types know of text only.
  const listing = opendirSync(path.toString(), { encoding: 'buffer' as BufferEncoding });
  try {
    const names: Buffer[] = [];
    for (let one = listing.readSync(); one !== null && names.length < most; one = listing.readSync())
      names.push(one.name as unknown as Buffer);
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

/** `join` would take a name apart and is for text only. */
export function under(folder: string | Buffer, name: Name): string | Buffer {
  if (typeof folder === 'string' && typeof name === 'string') return join(folder, name);
  return Buffer.concat([Buffer.from(folder), Buffer.from('/'), Buffer.from(name)]);
}

/** A file's content, or undefined when it has more than `most` bytes. Its size is not believed: files of /proc tell none. */
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
 * The text of a plain file in a folder that a stranger could write; undefined where it is anything else, longer than `most` bytes,
 * or has a second name: that can be a file of this host's, which somebody has linked into the folder.
 */
export function readOwnText(folder: string, name: string, most: number): string | undefined {
  return hold(folder, (held) => readOwn(held, name, most)?.toString('utf8'));
}

/** The same in a folder that is open, as bytes. */
export function readOwn(held: Held, name: Name, most: number): Buffer | undefined {
  return held.file(name, (descriptor, stats) => (stats.nlink > 1 ? undefined : readBounded(descriptor, most)));
}
