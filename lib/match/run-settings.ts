// What one run needs, and what comes out of it.
import type { Audit, Leftovers } from '../census/census.js';
import type { Clock } from '../clock.js';
import type { Context, Mode } from '../contract.js';
import type { Auth, Clocks, Conditions, Cost, Gap, Outcome, Planted, State, Sync } from '../record/types.js';
import type { Admission } from '../sandbox/model-access.js';
import type { Task } from '../task/task.js';
import type { Moments } from './measure.js';

type Phase = 'prepare' | 'launch' | 'work' | 'collect' | 'destroy' | 'verify';

export interface RunSettings extends Admission {
  mode: Mode;
  state: State;
  ctx: Context;
  gatewayPort: number | undefined;
  task: Task;
  timeoutMs: number;
  /** Unique on this machine, short enough for a host name. */
  name: string;
  /** Aborted when the user wants out: the run ends early, its sandbox is still destroyed. */
  signal: AbortSignal;
  onPhase(phase: Phase): void;
  /** Told the image that a `cold` run has made. */
  onImage?(image: { imageMs: number; image?: string }): void;
  /** Awaited just before the clock starts: runs that are to start at the same moment wait here for each other. */
  together?(): Promise<void>;
  /** Awaited when the sandbox is gone: what is looked at afterwards must not weigh on runs that started with this one. */
  allOver?(): Promise<void>;
  /** Filled as the run goes on; for a caller who needs moments beside the clocks. */
  at?: Moments;
  /** Of the match: what is left is told by it. Absent: the run has one of its own. */
  audit?: Audit;
  /** False in a wave of several: what bears no name is then nobody's. */
  alone?: boolean;
  /** Told which version the agent says it is, where that is not the pinned one. */
  onOtherAgent?(version: string): void;
  /** Told what was committed in a workspace that is copied, as a git bundle; or why it cannot be had. */
  onBundle?(bundle: Buffer | Error): void;
  /** Told the run's folder just before it is removed. */
  onFolder?(folder: string): void;
  clock?: Clock;
}

export interface RunResult {
  outcome: Outcome;
  clocks: Clocks;
  cost: Cost | Gap;
  /** What else the machine did meanwhile. */
  conditions: Conditions | Gap;
  /** Which of the runtime's machines it was on, where there are several. */
  place?: string;
  auth: Auth;
  sync: Sync;
  leftovers: Leftovers;
  planted: Planted[] | Gap;
}
