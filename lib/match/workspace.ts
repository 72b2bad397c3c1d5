// A run's workspace on this host: what is read of it once an agent was in it is read of the very folder that was made for the run.
import type { Mode } from '../contract.js';
import { CagematchError } from '../errors.js';
import { hold, type Identity, identify } from '../os/safe-dir.js';
import type { Gap, Planted, Sync } from '../record/types.js';
import { failureOf } from '../sandbox/failure.js';
import { lookForPlanted, plantedSince, type Snapshot } from '../task/planted.js';
import type { Task } from '../task/task.js';
import type { Transcript } from '../task/transcript.js';

export interface Workspace extends Identity {
  /** What runs by itself in it before the agent comes. */
  seeded: Snapshot | undefined;
}

/** Before the launch, when the seed is in it. */
export function asSeeded(path: string): Workspace {
  const folder = identify(path);
  return { ...folder, seeded: hold(folder, lookForPlanted) };
}

/** Is the agent's file there already? */
export function hasArrived(task: Task, workspace: Workspace): Sync['live'] {
  if (!task.arrived) return { gap: 'not-exercised' };
  return hold(workspace, ({ path }) => task.arrived?.(path)) ? 'yes' : 'no';
}

/** Has anybody made a git repository of it? Its own git is not asked: an agent could have configured it. */
export function isRepository(workspace: Workspace): boolean {
  return hold(workspace, (held) => held.look('.git')?.isDirectory()) === true;
}

/** An agent that shares this host's files may put something else in the folder's place: that is not looked into. */
export function judged(task: Task, workspace: Workspace, nonce: string, transcript: Transcript): ReturnType<Task['judge']> {
  const verdict = hold(workspace, ({ path }) => task.judge(path, nonce, transcript));
  if (verdict) return verdict;
  const replaced = new CagematchError('collect-failed', 'the workspace is not the folder any more that was made for the run');
  return { outcome: failureOf(replaced), sync: { in: { gap: 'not-reached' }, out: 'no' } };
}

/** @param collected what is copied out is here from then on only */
export function plantedIn(workspace: Workspace, mode: Pick<Mode, 'workspace'>, collected: boolean): Planted[] | Gap {
  if (mode.workspace === 'copy' && !collected) return { gap: 'not-reached' };
  const now = hold(workspace, lookForPlanted);
  return workspace.seeded && now ? plantedSince(workspace.seeded, now) : { gap: 'vanished' };
}
