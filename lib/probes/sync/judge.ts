// Compares what one side made with what the other side sees: same, differs (how), or lost.

import { type KINDS, PAST } from '../guest/sync-kinds.mjs';
import type { Entry, Look } from '../guest/sync-look.mjs';
import type { Finding } from './grid.js';

export type Kind = (typeof KINDS)[number];

/** What was made and what is seen; `makers` and `seers` name the sides, as in "on the host". */
export interface Views {
  before: Look;
  made: Look;
  seen: Look;
  makers: string;
  seers: string;
  /**
   * True if the change was awaited: an unchanged view then means that the change did not arrive.
   */
  live?: boolean;
}

/** A look reduced to what the kind compares: a description per path. */
type View = Record<string, string>;

/** True if what is seen matches what was made in everything that the kind compares. */
export function agrees(kind: Kind, made: Look, seen: Look): boolean {
  return same(viewOf(kind, made), viewOf(kind, seen));
}

/**
 * @param views if the change did not come about, `made` and `seen` still describe the actual state
 */
export function judge(kind: Kind, views: Views): Finding {
  const made = viewOf(kind, views.made);
  const seen = viewOf(kind, views.seen);
  if (!kind.made(views.made))
    return {
      verdict: 'differs',
      detail: `not as it was meant, even ${views.makers}: ${describe(made)}; ${views.seers}: ${describe(seen)}`,
    };
  if (same(made, seen)) return { verdict: 'same', ...remark(kind, views) };
  const detail = differences(made, seen, views);
  const unseen =
    same(viewOf(kind, views.before), seen) && (kind.compares === 'content' || views.live === true);
  const nothing =
    Object.keys(views.made).length > 0 &&
    Object.keys(views.made).every((path) => views.seen[path] === undefined);
  return { verdict: unseen || nothing ? 'lost' : 'differs', detail };
}

function viewOf(kind: Kind, look: Look): View {
  const files = Object.entries(look).filter(([, entry]) => entry.type === 'file');
  const each = (word: (entry: Entry) => string) =>
    Object.fromEntries(files.map(([path, entry]) => [path, word(entry)]));
  switch (kind.compares) {
    case 'exec':
      return each(({ mode }) =>
        mode & 0o111 ? `executable (${octal(mode & 0o111)})` : 'not executable',
      );
    case 'mode':
      return each(
        (entry) => `mode ${octal(entry.mode)}${entry.hash === undefined ? ', not readable' : ''}`,
      );
    case 'mtime':
      return each(({ mtimeNs }) => `time ${mtimeNs.slice(0, -9) || '0'} s`);
    case 'hardlink': {
      const inodes = new Set(files.map(([, { ino }]) => ino));
      return {
        ...each(({ nlink, hash }) => `${nlink} link${nlink === 1 ? '' : 's'}${hashed(hash)}`),
        ...(files.length > 1
          ? { 'both names': inodes.size === 1 ? 'one file' : `${inodes.size} files` }
          : {}),
      };
    }
    case 'sparse':
      return each(
        (entry) =>
          `${entry.size} bytes, ${sparse(entry) ? 'with holes' : 'without holes'}${hashed(entry.hash)}`,
      );
    case 'owner':
      return each(({ uid, gid }) => `${uid}:${gid}`);
    default:
      return Object.fromEntries(
        Object.entries(look).map(([path, entry]) => [path, content(entry)]),
      );
  }
}

function content({ type, size, hash, target }: Entry): string {
  if (type === 'link') return `link to ${target}`;
  return type === 'file' ? `file of ${size} bytes${hashed(hash)}` : type;
}

/** Part of a view for comparison; removed again before display. */
function hashed(hash: string | undefined): string {
  return hash === undefined ? ', not readable' : ` #${hash}`;
}

function words(view: View, path: string): string {
  return view[path]?.replace(/ #[0-9a-f]+$/, '') ?? 'not there';
}

function sparse({ size, blocks }: Entry): boolean {
  return blocks * 512 < size / 2;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0');
}

function same(view: View, other: View): boolean {
  const paths = Object.keys(view);
  return (
    paths.length === Object.keys(other).length && paths.every((path) => view[path] === other[path])
  );
}

/** Describes the first few differences. */
function differences(made: View, seen: View, { makers, seers }: Views): string {
  const paths = [...new Set([...Object.keys(made), ...Object.keys(seen)])].filter(
    (path) => made[path] !== seen[path],
  );
  const some = paths.slice(0, 3).map((path) => {
    const [was, is] = [words(made, path), words(seen, path)];
    return was === is
      ? `${short(path)}: other content`
      : `${short(path)}: ${was} ${makers}, ${is} ${seers}`;
  });
  return [...some, ...(paths.length > 3 ? [`${paths.length - 3} more`] : [])].join('; ');
}

function describe(view: View): string {
  const paths = Object.keys(view).slice(0, 3);
  return paths.length === 0
    ? 'nothing there'
    : paths.map((path) => `${short(path)}: ${words(view, path)}`).join(', ');
}

function short(path: string): string {
  return path.length > 60 ? `${path.slice(0, 20)}…${path.slice(-20)}` : path;
}

/** A remark for views that are the same but have a noteworthy detail. */
function remark(kind: Kind, { made, seen, makers, seers }: Views): { detail?: string } {
  if (kind.compares === 'mtime') {
    const [was, is] = [made.file?.mtimeNs.slice(-9), seen.file?.mtimeNs.slice(-9)];
    return was === is
      ? { detail: `to the nanosecond: .${is}` }
      : { detail: `to the second ${PAST.second} only: .${was} ${makers}, .${is} ${seers}` };
  }
  if (kind.compares === 'owner' && seen.file)
    return { detail: `${seen.file.uid}:${seen.file.gid} on both sides` };
  if (
    kind.compares === 'sparse' &&
    made.holes &&
    seen.holes &&
    made.holes.blocks !== seen.holes.blocks
  )
    return {
      detail: `${made.holes.blocks / 2} KiB on disk ${makers}, ${seen.holes.blocks / 2} KiB ${seers}`,
    };
  return {};
}
