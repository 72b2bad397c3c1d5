// A run's workspace on this host. After an agent has used it, files are read only through the same
// folder that was created for the run.
import type { Mode } from '../contract.js';
import { CagematchError } from '../errors.js';
import { type Identity, identify, withOpenDir } from '../os/safe-dir.js';
import type { Gap, Planted, Sync } from '../record/types.js';
import { failureOf } from '../sandbox/failure.js';
import { lookForPlanted, plantedSince, type Snapshot } from '../task/planted.js';
import type { Task } from '../task/task.js';
import type { Transcript } from '../task/transcript.js';

export interface Workspace extends Identity {
  /** Files that would execute by themselves, as found before the agent starts. */
  seeded: Snapshot | undefined;
}

/** Records the workspace before the launch, once it contains the seed. */
export function asSeeded(path: string): Workspace {
  const folder = identify(path);
  return { ...folder, seeded: withOpenDir(folder, lookForPlanted) };
}

/** Checks whether the agent's file is already on this host. */
export function hasArrived(task: Task, workspace: Workspace): Sync['live'] {
  if (!task.arrived) return { gap: 'not-exercised' };
  return withOpenDir(workspace, ({ path }) => task.arrived?.(path)) ? 'yes' : 'no';
}

/**
 * Checks whether the workspace has become a git repository. Git itself is not run: an agent could
 * have configured it.
 */
export function isRepository(workspace: Workspace): boolean {
  return withOpenDir(workspace, (dir) => dir.look('.git')?.isDirectory()) === true;
}

/**
 * Judges the workspace. An agent that shares this host's files may have replaced the folder; a
 * replaced folder is not read.
 */
export function judged(
  task: Task,
  workspace: Workspace,
  nonce: string,
  transcript: Transcript,
): ReturnType<Task['judge']> {
  const verdict = withOpenDir(workspace, ({ path }) => task.judge(path, nonce, transcript));
  if (verdict) return verdict;
  const replaced = new CagematchError(
    'collect-failed',
    'the workspace is not the folder any more that was made for the run',
  );
  return { outcome: failureOf(replaced), sync: { in: { gap: 'not-reached' }, out: 'no' } };
}

/**
 * @param collected whether the workspace has been copied out; before that, a copied workspace is
 *   not on this host
 */
export function plantedIn(
  workspace: Workspace,
  mode: Pick<Mode, 'workspace'>,
  collected: boolean,
): Planted[] | Gap {
  if (mode.workspace === 'copy' && !collected) return { gap: 'not-reached' };
  const now = withOpenDir(workspace, lookForPlanted);
  return workspace.seeded && now ? plantedSince(workspace.seeded, now) : { gap: 'vanished' };
}
