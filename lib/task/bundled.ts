// The tasks that cagematch brings, by id.
import { helloTask } from './hello.js';
import { refactorTask } from './refactor.js';
import { TASKS, type Task } from './task.js';

const MAKE: Record<(typeof TASKS)[number], (packageRoot: string) => Task> = { hello: helloTask, refactor: refactorTask };

/** @param packageRoot where their cassettes lie */
export function bundledTasks(packageRoot: string): ReadonlyMap<string, Task> {
  return new Map(TASKS.map((id) => [id, MAKE[id](packageRoot)]));
}
