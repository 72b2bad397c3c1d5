// Lists the bundled tasks, and finds a task by name or folder.
import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CagematchError, nearest } from '../errors.js';
import { packageRoot } from '../package.js';
import { type FolderTask, isTaskFolder, readTask } from './folder.js';

const TASKS = join(packageRoot, 'tasks');

/** The names of the bundled tasks. */
export function bundledNames(): string[] {
  return readdirSync(TASKS)
    .filter((name) => isTaskFolder(join(TASKS, name)))
    .toSorted();
}

/** Reads a bundled task; every bundled task has a cassette. */
export function bundledTask(name: string): FolderTask & { cassette: string } {
  const { cassette, ...task } = readTask(join(TASKS, name), `tasks/${name}`);
  if (cassette === undefined) throw new Error(`the bundled task ${name} has no cassette`);
  return { ...task, cassette };
}

/**
 * Finds a task by the name of a bundled one or by its folder. A name that contains a slash or
 * begins with a dot is a folder.
 * @param from the folder that relative paths refer to
 * @throws `bad-input` for an unknown name, and for a folder without a task
 */
export function findTask(name: string, from: string): FolderTask {
  const names = bundledNames();
  if (names.includes(name)) return bundledTask(name);
  if (name.includes('/') || name.startsWith('.'))
    return readTask(resolve(from, name), name.replace(/(.)\/+$/, '$1'));
  const meant = isTaskFolder(resolve(from, name)) ? `./${name}` : nearest(name, names);
  const hint =
    meant === undefined
      ? `${names.join(', ')}, or a folder: ./${name || 'my-task'}`
      : `did you mean ${meant}?`;
  throw new CagematchError('bad-input', `there is no task ${name}`, hint);
}

/** True if the task is bundled with cagematch. Any other task may be untrusted. */
export function isBundled({ folder }: FolderTask): boolean {
  return dirname(folder) === realpathSync(TASKS);
}

/**
 * The tasks of one match, by id.
 * @throws `bad-input` if two folders have the same id: their runs would be indistinguishable in the
 *   record
 */
export function byId(tasks: readonly FolderTask[]): ReadonlyMap<string, FolderTask> {
  const found = new Map<string, FolderTask>();
  for (const task of tasks) {
    const other = found.get(task.id);
    if (other && other.folder !== task.folder)
      throw new CagematchError(
        'bad-input',
        `two tasks are named ${task.id}: ${other.folder} and ${task.folder}`,
        `id: ${task.id}-2`,
      );
    found.set(task.id, other ?? task);
  }
  return found;
}
