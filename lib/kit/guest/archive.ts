// Packs a folder into a tar archive and unpacks one. An archive that comes back is made by
// strangers and must not write outside its root.
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { create, extract, Parser, type ReadEntry } from 'tar';
import { CagematchError, messageOf } from '../../errors.js';
import { removeTree } from '../../os/remove-tree.js';

/** Limits on the contents of one archive. */
const MAX_BYTES = 2 * 1024 ** 3;
const MAX_ENTRIES = 500_000;
/**
 * Limit on the uncompressed archive, including tar's own headers, some of which are read before any
 * entry is seen.
 */
const MAX_PLAIN_BYTES = MAX_BYTES + MAX_ENTRIES * 1024;

/**
 * Packs a folder's files, folders and links into a gzipped archive; links are packed as links,
 * owners are omitted.
 * @throws `launch-failed` for a file that cannot be read
 */
export async function pack(folder: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const filter = (_path: string, entry: Stats | ReadEntry) =>
    !('isFile' in entry) || entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
  try {
    for await (const chunk of create(
      { cwd: folder, gzip: true, portable: true, strict: true, filter },
      ['.'],
    ))
      chunks.push(chunk);
  } catch (error) {
    throw new CagematchError(
      'launch-failed',
      `the workspace cannot be packed: ${messageOf(error)}`,
    );
  }
  return Buffer.concat(chunks);
}

/**
 * Replaces a folder's content with the archive's: anything that the archive does not contain is
 * removed. The whole archive is checked before anything is written, and unpacked next to the folder
 * before anything in the folder changes.
 * @throws `collect-failed`, which names the entry; the folder is then unchanged
 */
export async function unpack(archive: Buffer, into: string): Promise<void> {
  await inspect(archive);
  const beside = mkdtempSync(join(dirname(into), `.${basename(into)}-`));
  const [arrived, replaced] = [join(beside, 'arrived'), join(beside, 'replaced')];
  for (const folder of [arrived, replaced]) mkdirSync(folder);
  try {
    await write(archive, arrived);
    giveTo(arrived, lstatSync(into));
  } catch (error) {
    removeTree(beside);
    throw error;
  }
  for (const name of readdirSync(into)) renameSync(join(into, name), join(replaced, name));
  for (const name of readdirSync(arrived)) renameSync(join(arrived, name), join(into, name));
  removeTree(beside);
}

async function write(archive: Buffer, into: string): Promise<void> {
  const unpacking = extract({
    cwd: into,
    ...READING,
    preserveOwner: false,
    // No set-uid bits from strangers, and no file or folder that its owner could not remove.
    onReadEntry: (entry) => {
      entry.mode = ((entry.mode ?? 0o644) & 0o777) | (entry.type === 'Directory' ? 0o700 : 0o600);
    },
  });
  try {
    await feed(archive, unpacking, 'close');
  } catch (error) {
    throw new CagematchError('collect-failed', `unpacking: ${messageOf(error)}`);
  }
}

/**
 * Reads the archive to its end and refuses it if even one entry could touch anything outside its
 * root.
 */
async function inspect(archive: Buffer): Promise<void> {
  const judge = createJudge();
  let fault: string | undefined;
  const parser = new Parser({
    ...READING,
    onReadEntry(entry) {
      const why = judge(entry);
      if (why !== undefined) refuse(entry, why);
      entry.resume();
    },
  });
  const refuse = (entry: ReadEntry, why: string) => {
    fault ??= `${JSON.stringify(entry.path.slice(0, 200))} ${why}`;
    parser.emit('error', new Error(fault));
  };
  parser.on('ignoredEntry', (entry: ReadEntry) => refuse(entry, 'is of no known type'));
  try {
    await feed(archive, parser, 'end');
  } catch (error) {
    throw new CagematchError(
      'collect-failed',
      `the workspace that came back was refused: ${fault ?? messageOf(error)}`,
    );
  }
}

/** A high compression ratio is allowed; the uncompressed size is limited instead. */
const READING = {
  strict: true,
  zstd: false,
  maxDecompressionRatio: Number.POSITIVE_INFINITY,
} as const;

/**
 * Decompresses the archive into the parser, and stops at the first fault, however much follows.
 * @param over the event at the very end
 */
function feed(archive: Buffer, parser: Parser, over: 'close' | 'end'): Promise<void> {
  return new Promise((resolve, reject) => {
    const plain = createGunzip({ chunkSize: 64 * 1024 });
    let bytes = 0;
    const stop = (error: Error) => {
      plain.destroy();
      reject(error);
    };
    plain.on('data', (chunk: Buffer) => {
      // The parser would decompress doubly compressed data itself, without any limit on its size.
      if (bytes === 0 && chunk[0] === 0x1f && chunk[1] === 0x8b)
        stop(new Error('it is packed twice'));
      bytes += chunk.length;
      if (bytes > MAX_PLAIN_BYTES) stop(new Error('it is more than one archive may hold'));
    });
    plain.on('error', stop);
    parser.on('error', stop);
    // Data after the end of a tar can be arbitrarily long and compress to almost nothing, so it is
    // not decompressed.
    parser.on('eof', () => {
      plain.unpipe().destroy();
      setImmediate(() => parser.end());
    });
    parser.on(over, () => resolve());
    plain.pipe(parser as unknown as NodeJS.WritableStream);
    plain.end(archive);
  });
}

/**
 * Returns a function that describes what is wrong with an entry, given the entries before it;
 * undefined if nothing is.
 */
function createJudge(): (entry: ReadEntry) => string | undefined {
  const links = new Set<string>();
  const files = new Set<string>();
  const folders = new Set<string>();
  let bytes = 0;
  let entries = 0;
  return (entry) => {
    entries += 1;
    bytes += entry.size;
    if (entries > MAX_ENTRIES || bytes > MAX_BYTES) return 'is more than one archive may hold';
    const parts = within(entry.path);
    if (!parts) return 'lies outside the workspace';
    const key = keyOf(parts);
    for (let at = 1; at < parts.length; at += 1) {
      const above = keyOf(parts.slice(0, at));
      if (links.has(above)) return 'is written through a link';
      if (files.has(above)) return 'lies in a file';
      folders.add(above);
    }
    if (links.has(key) || files.has(key)) return 'comes twice';
    if (entry.type === 'Directory') {
      folders.add(key);
      return undefined;
    }
    // The root's own key is the empty string.
    if (key === '' || folders.has(key)) return 'takes the place of a folder';
    return leafFault(entry, parts, files, links);
  };
}

/** Like the judge, for an entry that is not a folder. Its key is added to `files` or `links`. */
function leafFault(
  entry: ReadEntry,
  parts: string[],
  files: Set<string>,
  links: Set<string>,
): string | undefined {
  const key = keyOf(parts);
  switch (entry.type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
      files.add(key);
      return undefined;
    case 'SymbolicLink':
      links.add(key);
      return staysInside(parts, entry.linkpath ?? '')
        ? undefined
        : 'is a link that leaves the workspace';
    case 'Link': {
      const target = within(entry.linkpath ?? '');
      if (!target || !files.has(keyOf(target))) return 'is a hard link to no file of the archive';
      files.add(key);
      return undefined;
    }
    default:
      return `is no file, folder or link (${entry.type})`;
  }
}

/**
 * A path's components below the root; undefined if the path would leave the root on any operating
 * system.
 */
function within(path: string): string[] | undefined {
  if (path.startsWith('/') || /^[a-zA-Z]:|\\|\0/.test(path)) return undefined;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts;
}

/** Some file systems treat `A` and `a`, or two encodings of one character, as the same name. */
function keyOf(parts: string[]): string {
  return parts.join('/').normalize('NFC').toLowerCase();
}

/**
 * Whether a link's target goes up from the link's own folder, never past the root, and then only
 * down. A `..` after a name is refused, since where it leads depends on what that name is.
 */
function staysInside(link: string[], target: string): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const down = ups === -1 ? [] : parts.slice(ups);
  const climbed = parts.length - down.length;
  return (
    target !== '' &&
    !target.startsWith('/') &&
    climbed < link.length &&
    within(down.join('/')) !== undefined
  );
}

/**
 * Files written by root are handed to the previous owner of the workspace. Links are not followed,
 * since they may form cycles.
 */
function giveTo(folder: string, owner: { uid: number; gid: number }): void {
  if (process.getuid?.() !== 0) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    lchownSync(path, owner.uid, owner.gid);
    if (entry.isDirectory()) giveTo(path, owner);
  }
}
