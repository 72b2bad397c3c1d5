// Searches files of this host for the credential: whole folders, but only files written since the
// credential was created.
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { AS_FILE } from '../os/safe-dir.js';
import { createSeeker, type Needle } from './search.js';

interface Look {
  needles: readonly Needle[];
  /** Files last changed before this time are skipped; ms since the epoch. */
  sinceMs: number;
  /** Absolute paths that are skipped entirely. */
  skip?: readonly string[];
  /** Decides whether a name is read or entered; if absent, every name is. */
  wanted?(name: string, path: string): boolean;
}

/** Limits of one search; `left` reports that something was skipped. */
const MOST_FILES = 2_000_000;
const MOST_BYTES = 1024 ** 3;
/** The kernel limits the length of a path; this limits the recursion depth. */
const DEEPEST = 1000;
const CHUNK = 1024 * 1024;

export interface Searched {
  files: number;
  /** Number of files that were written since `sinceMs`, and read. */
  read: number;
  bytes: number;
  hits: { where: string; shape: string }[];
  /** True if the limits were reached and something was skipped. */
  left: boolean;
}

/**
 * Searches the folders. It only reads, and within limits, so it is safe where other users may
 * write.
 */
export function searchFolders(folders: readonly string[], look: Look): Searched {
  const searched: Searched = { files: 0, read: 0, bytes: 0, hits: [], left: false };
  for (const folder of folders) walk(folder, 0, look, searched);
  return searched;
}

function walk(path: string, depth: number, look: Look, searched: Searched): void {
  if (look.skip?.includes(path)) return;
  if (depth > DEEPEST || searched.files > MOST_FILES) {
    searched.left = true;
    return;
  }
  for (const entry of attempt(() => readdirSync(path, { withFileTypes: true })) ?? []) {
    if (look.wanted?.(entry.name, path) === false) continue;
    const below = `${path}/${entry.name}`;
    if (entry.isDirectory()) walk(below, depth + 1, look, searched);
    if (entry.isFile()) lookAt(below, look, searched);
  }
}

function lookAt(path: string, look: Look, searched: Searched): void {
  searched.files += 1;
  const stats = attempt(() => lstatSync(path));
  if (!stats || stats.ctimeMs < look.sinceMs) return;
  if (searched.bytes + stats.size > MOST_BYTES) {
    searched.left = true;
    return;
  }
  const file = attempt(() => openSync(path, AS_FILE));
  if (file === undefined) return;
  searched.read += 1;
  const seeker = createSeeker(look.needles);
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(stats.size, 4096)));
  try {
    for (
      let read = readSync(file, chunk);
      read > 0 && searched.bytes <= MOST_BYTES;
      read = readSync(file, chunk)
    ) {
      searched.bytes += read;
      seeker.push(chunk.subarray(0, read));
    }
  } catch {
    // The kernel does not allow it to be read as a file.
  } finally {
    closeSync(file);
  }
  for (const shape of seeker.found()) searched.hits.push({ where: path, shape });
}

/** Undefined if the file is gone or may not be read. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
