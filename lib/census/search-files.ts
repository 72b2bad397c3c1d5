// Looks for the credential in files of this host: whole folders, and of these only what was written since it was made.
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { AS_FILE } from '../os/safe-dir.js';
import { createSeeker, type Needle } from './search.js';

interface Look {
  needles: readonly Needle[];
  /** Files that were last changed before are passed over; ms since the epoch. */
  sinceMs: number;
  /** Absolute paths that are not entered, and not looked at. */
  skip?: readonly string[];
  /** Whether a name is looked at or entered; absent: every one. */
  wanted?(name: string, path: string): boolean;
}

/** Bounds of one look; what is left out is said. */
const MOST_FILES = 2_000_000;
const MOST_BYTES = 1024 ** 3;
/** The length of a path is bounded by the kernel; this keeps the stack from being. */
const DEEPEST = 1000;
const CHUNK = 1024 * 1024;

export interface Searched {
  files: number;
  /** Those that were written since. */
  read: number;
  bytes: number;
  hits: { where: string; shape: string }[];
  /** There was too much to look at it all. */
  left: boolean;
}

/** Whoever else may write there: it is only read, and within bounds. */
export function searchFolders(folders: readonly string[], look: Look): Searched {
  const so: Searched = { files: 0, read: 0, bytes: 0, hits: [], left: false };
  for (const folder of folders) walk(folder, 0, look, so);
  return so;
}

function walk(path: string, depth: number, look: Look, so: Searched): void {
  if (look.skip?.includes(path)) return;
  if (depth > DEEPEST || so.files > MOST_FILES) {
    so.left = true;
    return;
  }
  for (const one of attempt(() => readdirSync(path, { withFileTypes: true })) ?? []) {
    if (look.wanted?.(one.name, path) === false) continue;
    const below = `${path}/${one.name}`;
    if (one.isDirectory()) walk(below, depth + 1, look, so);
    if (one.isFile()) lookAt(below, look, so);
  }
}

function lookAt(path: string, look: Look, so: Searched): void {
  so.files += 1;
  const stats = attempt(() => lstatSync(path));
  if (!stats || stats.ctimeMs < look.sinceMs) return;
  if (so.bytes + stats.size > MOST_BYTES) {
    so.left = true;
    return;
  }
  const file = attempt(() => openSync(path, AS_FILE));
  if (file === undefined) return;
  so.read += 1;
  const seeker = createSeeker(look.needles);
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(stats.size, 4096)));
  try {
    for (let read = readSync(file, chunk); read > 0 && so.bytes <= MOST_BYTES; read = readSync(file, chunk)) {
      so.bytes += read;
      seeker.push(chunk.subarray(0, read));
    }
  } catch {
    // What the kernel does not let be read as a file.
  } finally {
    closeSync(file);
  }
  for (const shape of seeker.found()) so.hits.push({ where: path, shape });
}

/** Undefined for what has gone, or is not ours to see. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
