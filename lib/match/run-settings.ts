// The settings and the result of one run.
import type { Audit, Leftovers } from '../census/census.js';
import type { Clock } from '../clock.js';
import type { Context, Mode } from '../contract.js';
import type {
  Auth,
  Clocks,
  Conditions,
  Cost,
  Gap,
  Outcome,
  Planted,
  State,
  Sync,
} from '../record/types.js';
import type { ModelAccessRequest } from '../sandbox/model-access.js';
import type { Task } from '../task/task.js';
import type { Moments } from './measure.js';

type Phase = 'prepare' | 'launch' | 'work' | 'collect' | 'destroy' | 'verify';

export interface RunRequest extends ModelAccessRequest {
  mode: Mode;
  state: State;
  ctx: Context;
  gatewayPort: number | undefined;
  task: Task;
  timeoutMs: number;
  /** Unique on this machine, short enough for a host name. */
  name: string;
  /** Aborted when the user interrupts: the run ends early, but its sandbox is still destroyed. */
  signal: AbortSignal;
  onPhase(phase: Phase): void;
  /** Called with the image that a `cold` run has built. */
  onImage?(image: { imageMs: number; image?: string }): void;
  /**
   * Awaited just before the clock starts: runs that must start at the same moment wait for each
   * other here.
   */
  together?(): Promise<void>;
  /**
   * Awaited when the sandbox is gone: later checks must not slow the runs that started with this
   * one.
   */
  allOver?(): Promise<void>;
  /** Filled in during the run, for a caller that needs moments as well as clocks. */
  at?: Moments;
  /** The match's audit, which finds leftovers. If absent, the run opens its own. */
  audit?: Audit;
  /**
   * False when several runs execute at once: unlabelled resources then cannot be attributed to this
   * run.
   */
  alone?: boolean;
  /** Called with the version that the agent reports, if it is not the pinned one. */
  onOtherAgent?(version: string): void;
  /**
   * Called with the commits of a copied workspace as a git bundle, or with the reason why there is
   * none.
   */
  onBundle?(bundle: Buffer | Error): void;
  /** Called with the run's folder just before it is removed. */
  onFolder?(folder: string): void;
  clock?: Clock;
}

export interface RunResult {
  outcome: Outcome;
  clocks: Clocks;
  cost: Cost | Gap;
  /** Other load on the machine during the run. */
  conditions: Conditions | Gap;
  /** The machine of the runtime that the run was on, if there are several. */
  place?: string;
  auth: Auth;
  sync: Sync;
  leftovers: Leftovers;
  planted: Planted[] | Gap;
}
