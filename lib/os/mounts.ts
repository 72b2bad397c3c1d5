// Finds what is mounted below a folder of this host: it must be unmounted before the folder is
// removed, or the mounted files would be deleted too.
import { readFileSync, realpathSync } from 'node:fs';

/**
 * Every mount visible to this process, in the kernel's order. Empty where the platform has no such
 * list.
 */
export function readMounts(proc = '/proc'): { point: string; root: string; type: string }[] {
  return read(`${proc}/self/mountinfo`)
    .split('\n')
    .flatMap((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , root = '', point] = left.split(' ');
      return point === undefined
        ? []
        : [{ point: plain(point), root, type: right.split(' ', 1)[0] ?? '' }];
    });
}

/**
 * Mount points at or below a folder, most recently mounted first, which is the order in which they
 * can be unmounted.
 */
export function mountsBelow(folder: string): string[] {
  const real = realpathOf(folder);
  return readMounts()
    .map(({ point }) => point)
    .filter((point) => point === real || point.startsWith(`${real}/`))
    .reverse();
}

/** Decodes the octal escapes that the kernel uses for spaces and the like. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
