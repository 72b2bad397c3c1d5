// A folder as a tar archive and back again; what comes back was made by strangers and may not leave the folder.
import { lchownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { create, extract, Parser, type ReadEntry } from 'tar';
import { CagematchError, messageOf } from './errors.js';

/** What one archive may hold at most. */
const MAX_BYTES = 2 * 1024 ** 3;
const MAX_ENTRIES = 500_000;

/**
 * A folder's files, folders and links, gzipped; links are packed as links, owners are left out.
 * @throws `launch-failed` for a file that cannot be read
 */
export async function pack(folder: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const filter = (_path: string, entry: Stats | ReadEntry) =>
    !('isFile' in entry) || entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
  try {
    for await (const chunk of create({ cwd: folder, gzip: true, portable: true, strict: true, filter }, ['.'])) chunks.push(chunk);
  } catch (error) {
    throw new CagematchError('launch-failed', `the workspace cannot be packed: ${messageOf(error)}`);
  }
  return Buffer.concat(chunks);
}

/**
 * Makes a folder's content that of the archive; what the archive does not hold is gone afterwards.
 * The archive is read whole before anything is written, and is written beside the folder before anything in it changes.
 * @throws `collect-failed` that names the entry, with the folder as it was
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
    rmSync(beside, { recursive: true, force: true });
    throw error;
  }
  for (const name of readdirSync(into)) renameSync(join(into, name), join(replaced, name));
  for (const name of readdirSync(arrived)) renameSync(join(arrived, name), join(into, name));
  rmSync(beside, { recursive: true, force: true });
}

function write(archive: Buffer, into: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const unpacking = extract({
      cwd: into,
      strict: true,
      preserveOwner: false,
      // No set-uid bits from strangers, and nothing that its owner could not remove.
      onReadEntry: (entry) => {
        entry.mode = ((entry.mode ?? 0o644) & 0o777) | (entry.type === 'Directory' ? 0o700 : 0o600);
      },
    });
    unpacking.on('close', () => resolve());
    unpacking.on('error', (error: unknown) => reject(new CagematchError('collect-failed', `unpacking: ${messageOf(error)}`)));
    unpacking.end(archive);
  });
}

/** Reads the archive to its end and refuses it for a single entry that could touch anything outside its root. */
function inspect(archive: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const judge = createJudge();
    const refuse = (why: string) => reject(new CagematchError('collect-failed', `the workspace that came back was refused: ${why}`));
    const look = (entry: ReadEntry) => {
      const fault = judge(entry);
      if (fault !== undefined) refuse(`${JSON.stringify(entry.path.slice(0, 200))} ${fault}`);
      entry.resume();
    };
    const parser = new Parser({ strict: true, onReadEntry: look });
    parser.on('ignoredEntry', (entry: ReadEntry) => refuse(`${JSON.stringify(entry.path.slice(0, 200))} is of no known type`));
    parser.on('error', (error: unknown) => refuse(messageOf(error)));
    parser.on('end', () => resolve());
    parser.end(archive);
  });
}

/** Says what is wrong with an entry, given those before it. */
function createJudge(): (entry: ReadEntry) => string | undefined {
  const links = new Set<string>();
  const files = new Set<string>();
  let bytes = 0;
  let entries = 0;
  return (entry) => {
    entries += 1;
    bytes += entry.size;
    if (entries > MAX_ENTRIES || bytes > MAX_BYTES) return 'is more than one archive may hold';
    const parts = within(entry.path);
    if (!parts) return 'lies outside the workspace';
    const key = keyOf(parts);
    if (parts.some((_, at) => at > 0 && links.has(keyOf(parts.slice(0, at))))) return 'is written through a link';
    if (links.has(key) || (files.has(key) && entry.type !== 'Directory')) return 'comes twice';
    switch (entry.type) {
      case 'Directory':
        return files.has(key) ? 'comes twice' : undefined;
      case 'File':
      case 'OldFile':
      case 'ContiguousFile':
        files.add(key);
        return undefined;
      case 'SymbolicLink':
        links.add(key);
        return staysInside(parts, entry.linkpath ?? '') ? undefined : 'is a link that leaves the workspace';
      case 'Link': {
        const target = within(entry.linkpath ?? '');
        if (!target || !files.has(keyOf(target))) return 'is a hard link to no file of the archive';
        files.add(key);
        return undefined;
      }
      default:
        return `is no file, folder or link (${entry.type})`;
    }
  };
}

/** A path's components below the root; undefined where it would leave it, on any system. */
function within(path: string): string[] | undefined {
  if (path.startsWith('/') || /^[a-zA-Z]:|\\|\0/.test(path)) return undefined;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts;
}

/** Some file systems hold `A` and `a`, or two spellings of one letter, for the same name. */
function keyOf(parts: string[]): string {
  return parts.join('/').normalize('NFC').toLowerCase();
}

/**
 * Up from the link's own folder, never past the root, then down. A `..` after a name is refused:
 * where it leads depends on what the name is.
 */
function staysInside(link: string[], target: string): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const down = ups === -1 ? [] : parts.slice(ups);
  const climbed = parts.length - down.length;
  return target !== '' && !target.startsWith('/') && climbed < link.length && within(down.join('/')) !== undefined;
}

/** Root writes as root; the workspace belongs to whoever had it. Links are not followed: they may go round in circles. */
function giveTo(folder: string, owner: { uid: number; gid: number }): void {
  if (process.getuid?.() !== 0) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    lchownSync(path, owner.uid, owner.gid);
    if (entry.isDirectory()) giveTo(path, owner);
  }
}
