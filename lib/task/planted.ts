// Detects what an agent did to files that execute by themselves, by comparing the workspace before
// the launch and after collect.
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { parseJson } from '../json.js';
import { spelledOut } from '../os/printable.js';
import { type OpenDir, readBounded } from '../os/safe-dir.js';
import type { Planted } from '../record/types.js';
import { PLACES, type Place } from './self-running.js';

/** Marks by path. A path is stored as latin1 bytes, since a name may not be valid text. */
export type Snapshot = ReadonlyMap<string, Mark>;

/** `mark` changes when the file does. `link` is the target of a link, which is not followed. */
interface Mark {
  mark: string;
  link?: string;
}

/** Limits for each place separately, so that many files in one place cannot hide another. */
const MOST_FILES = 500;
const DEEPEST = 16;
const MOST_BYTES = 8 * 1024 * 1024;
/** Maximum number of entries reported for one run. */
const MOST_TOLD = 200;
const MOST_LETTERS = 1000;

/** Represents everything that was skipped. */
const MORE: Mark = { mark: 'more' };

/** Takes a snapshot. Follows no links, and never blocks on a pipe. */
export function lookForPlanted(workspace: OpenDir): Snapshot {
  const seen = new Map<string, Mark>();
  for (const place of PLACES) reach(workspace, place.path.split('/'), '', place, seen);
  return seen;
}

/** The differences, sorted by path. */
export function plantedSince(before: Snapshot, after: Snapshot): Planted[] {
  const changes: Planted[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].toSorted()) {
    const [was, is] = [before.get(path), after.get(path)];
    const how =
      is === undefined
        ? 'removed'
        : was === undefined
          ? 'added'
          : was.mark !== is.mark || is === MORE
            ? 'changed'
            : undefined;
    if (how === undefined) continue;
    if (changes.length === MOST_TOLD) return [...changes, { path: '...', how: 'changed' }];
    changes.push({
      path: shown(path),
      how,
      ...(is?.link === undefined ? {} : { link: shown(is.link) }),
    });
  }
  return changes;
}

function reach(
  dir: OpenDir,
  [name = '', ...rest]: string[],
  above: string,
  place: Place,
  seen: Map<string, Mark>,
): void {
  const path = below(above, name);
  const stats = dir.look(name);
  if (stats === undefined) return;
  if (stats.isDirectory()) {
    dir.folder(name, (inner) => {
      if (rest.length > 0) reach(inner, rest, path, place, seen);
      else if (place.kind === 'tree')
        walk(inner, { path, depth: 0, place, left: { files: MOST_FILES } }, seen);
    });
  } else if (rest.length === 0 || stats.isSymbolicLink())
    note(dir, Buffer.from(name), path, stats, place, seen);
}

interface Walk {
  path: string;
  depth: number;
  place: Extract<Place, { kind: 'tree' }>;
  left: { files: number };
}

function walk(dir: OpenDir, at: Walk, seen: Map<string, Mark>): void {
  const { place, left } = at;
  for (const bytes of dir.names(left.files + 1)) {
    const name = bytes.toString('latin1');
    const path = below(at.path, name);
    left.files -= 1;
    if (left.files < 0 || at.depth > DEEPEST) {
      seen.set(`${at.path}/...`, MORE);
      return;
    }
    const stats = dir.look(bytes);
    if (stats?.isDirectory()) {
      if (!place.skipped?.includes(name))
        dir.folder(bytes, (inner) => walk(inner, { ...at, path, depth: at.depth + 1 }, seen));
    } else if (
      stats &&
      (stats.isSymbolicLink() || (place.wanted?.(path.slice(place.path.length + 1)) ?? true))
    )
      note(dir, bytes, path, stats, place, seen);
  }
}

function note(
  dir: OpenDir,
  name: Buffer,
  path: string,
  stats: Stats,
  place: Place,
  seen: Map<string, Mark>,
): void {
  if (stats.isSymbolicLink()) {
    const link = dir.linkOf(name)?.toString('latin1') ?? '';
    seen.set(path, { mark: `link ${link}`, link });
    return;
  }
  const mark = stats.isFile() ? markOf(dir, name, stats, place) : 'no file';
  if (mark !== undefined) seen.set(path, { mark });
}

/**
 * Undefined for a file that executes nothing: an empty file (some sandboxes leave these where they
 * forbid writing), or one without the keys.
 */
function markOf(dir: OpenDir, name: Buffer, stats: Stats, place: Place): string | undefined {
  if (stats.size === 0) return undefined;
  const unread = `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
  // A file with a second hard link may be a file of this host.
  if (stats.nlink > 1) return unread;
  const content = dir.file(name, (descriptor, { nlink }) =>
    nlink > 1 ? undefined : readBounded(descriptor, MOST_BYTES),
  );
  if (content === undefined) return unread;
  const runs = place.kind === 'keys' ? valuesOf(content, place.keys) : content;
  if (runs === undefined) return undefined;
  return `${(stats.mode & 0o111) === 0 ? '' : 'x '}${createHash('sha256').update(runs).digest('hex')}`;
}

function valuesOf(content: Buffer, keys: readonly string[]): string | undefined {
  const document = parseJson<Record<string, unknown>>(
    content.toString('utf8').replace(/^\uFEFF/, ''),
  );
  const values = keys.map((key) => document?.[key]);
  return values.every((value) => value === undefined) ? undefined : JSON.stringify(values);
}

const below = (above: string, name: string) => (above === '' ? name : `${above}/${name}`);

/** Converts an untrusted name to text that is safe to print on a terminal. */
const shown = (path: string) =>
  spelledOut(Buffer.from(path.slice(0, MOST_LETTERS), 'latin1').toString('utf8'));
