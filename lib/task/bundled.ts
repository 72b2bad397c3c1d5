// Which tasks there are, and which one is meant by a name.
import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CagematchError, nearest } from '../errors.js';
import { packageRoot } from '../package.js';
import { type FolderTask, isTaskFolder, readTask } from './folder.js';

const TASKS = join(packageRoot, 'tasks');

/** The names of the tasks that cagematch brings. */
export function bundledNames(): string[] {
  return readdirSync(TASKS)
    .filter((name) => isTaskFolder(join(TASKS, name)))
    .toSorted();
}

/** One that cagematch brings; each of them can be replayed. */
export function bundledTask(name: string): FolderTask & { cassette: string } {
  const { cassette, ...task } = readTask(join(TASKS, name), `tasks/${name}`);
  if (cassette === undefined) throw new Error(`the bundled task ${name} has no cassette`);
  return { ...task, cassette };
}

/**
 * A name of ours, or a folder: what holds a slash or begins with a dot is one.
 * @param from the folder that a relative one is relative to
 * @throws `bad-input` for a name that means nothing, and for a folder that is no task
 */
export function findTask(name: string, from: string): FolderTask {
  const names = bundledNames();
  if (names.includes(name)) return bundledTask(name);
  if (name.includes('/') || name.startsWith('.')) return readTask(resolve(from, name), name.replace(/(.)\/+$/, '$1'));
  const meant = isTaskFolder(resolve(from, name)) ? `./${name}` : nearest(name, names);
  const hint = meant === undefined ? `${names.join(', ')}, or a folder: ./${name || 'my-task'}` : `did you mean ${meant}?`;
  throw new CagematchError('bad-input', `there is no task ${name}`, hint);
}

/** Does cagematch bring it? Any other may be a stranger's. */
export function isBundled({ folder }: FolderTask): boolean {
  return dirname(folder) === realpathSync(TASKS);
}

/**
 * The tasks of one match, by id.
 * @throws `bad-input` where two folders have one id: in the record nobody could tell their runs apart
 */
export function byId(tasks: readonly FolderTask[]): ReadonlyMap<string, FolderTask> {
  const found = new Map<string, FolderTask>();
  for (const task of tasks) {
    const other = found.get(task.id);
    if (other && other.folder !== task.folder)
      throw new CagematchError('bad-input', `two tasks are named ${task.id}: ${other.folder} and ${task.folder}`, `id: ${task.id}-2`);
    found.set(task.id, other ?? task);
  }
  return found;
}
