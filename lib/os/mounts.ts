// What is mounted below a folder of this host: it must be unmounted before the folder is removed, or another's files would go with it.
import { readFileSync, realpathSync } from 'node:fs';

/** Every mount that this process sees, in the kernel's order. Empty where the platform keeps no such list. */
export function readMounts(proc = '/proc'): { point: string; root: string; type: string }[] {
  return read(`${proc}/self/mountinfo`)
    .split('\n')
    .flatMap((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , root = '', point] = left.split(' ');
      return point === undefined ? [] : [{ point: plain(point), root, type: right.split(' ', 1)[0] ?? '' }];
    });
}

/** Mount points at or below a folder, the last mounted first: in this order they can be unmounted. */
export function mountsBelow(folder: string): string[] {
  const real = realpathOf(folder);
  return readMounts()
    .map(({ point }) => point)
    .filter((point) => point === real || point.startsWith(`${real}/`))
    .reverse();
}

/** Spaces and their like are written in octal. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
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
