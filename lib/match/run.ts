// One run: launch, work, collect, destroy. Whatever happens in between, the sandbox is destroyed
// and a result is returned.

import { type Audit, type Census, openAudit } from '../census/census.js';
import { leftInWorkspace } from '../census/workspace.js';
import { monotonic } from '../clock.js';
import type { Launched } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Tap } from '../model/gateway.js';
import type { Leftover, Outcome, Sync } from '../record/types.js';
import { blamed, failureOf } from '../sandbox/failure.js';
import { commitsOf } from '../sandbox/git-return.js';
import { authOf, deliveryOf, openModelAccess } from '../sandbox/model-access.js';
import {
  buildLaunchPlan,
  createRunDirs,
  type LaunchPlan,
  ownerFor,
  valuesOf,
  workspaceUser,
} from '../sandbox/run-folders.js';
import type { Stopper } from '../sandbox/time-limits.js';
import { withRunFolder, withSandbox } from '../sandbox/with-sandbox.js';
import { agentFailure, startTranscript } from '../task/transcript.js';
import { atBound, undestroyed, unlessDiskFull, unlessDiverged, unlessModel } from './blame.js';
import { watchMachine, withoutSandbox } from './busy.js';
import { imageAnew } from './cold.js';
import { openMeter } from './cost.js';
import { follow, type Watched } from './follow.js';
import { type Moments, measure } from './measure.js';
import type { RunRequest, RunResult } from './run-settings.js';
import { verifierName, verifyInside } from './verify.js';
import { asSeeded, hasArrived, isRepository, judged, plantedIn } from './workspace.js';

/** Runs the task once in its own sandbox. Never throws: any failure becomes a result. */
export async function runOnce(settings: RunRequest): Promise<RunResult> {
  const at = settings.at ?? {};
  if (settings.state === 'cold') {
    settings.onPhase('prepare');
    const failure = await imageAnew(settings, at);
    if (failure) return unlaunched(settings, at, failure);
  }
  try {
    const { value, left } = await withRunFolder(
      'run',
      (folder) => runIn(folder, settings, at),
      settings,
    );
    return { ...value, leftovers: withMore(value.leftovers, left) };
  } catch (error) {
    return unlaunched(settings, at, blamed('harness', messageOf(error)));
  }
}

/** Adds leftovers to others. Those found are reported even if another check could not be made. */
export function withMore(others: RunResult['leftovers'], more: Leftover[]): RunResult['leftovers'] {
  if (more.length === 0) return others;
  return [...('gap' in others ? [] : others), ...more];
}

/** The result of a run that ended before its clock started. */
export function unlaunched(settings: RunRequest, at: Moments, outcome: Outcome): RunResult {
  const gap = { gap: 'not-reached' } as const;
  return {
    outcome,
    clocks: measure(at, settings.state),
    cost: gap,
    conditions: gap,
    auth: { path: deliveryOf(settings), delivered: gap },
    sync: { in: gap, out: gap, live: gap },
    leftovers: [],
    planted: gap,
  };
}

async function runIn(folder: string, settings: RunRequest, at: Moments): Promise<RunResult> {
  const { mode, task, gateway } = settings;
  const { tap, access } = openModelAccess(settings, task.id);
  // Stops the run's own clients, after the check for leftovers.
  const over = new AbortController();
  const audit = settings.audit ?? openAudit();
  let before: Census | undefined;
  try {
    const user = mode.owner?.(settings.ctx) ?? workspaceUser(settings.ctx.uid);
    const host = createRunDirs(folder, user, settings.ctx, mode);
    const { nonce } = task.seed(host.workspace, ownerFor(user, settings.ctx.uid));
    tap.values = valuesOf(mode.layout(settings.ctx, host), nonce);
    const plan = buildLaunchPlan({ ...settings, nonce }, host, user, access);
    const watched = watch(settings, at, tap, host.workspace);
    before = await audit.before(settings);
    await settings.together?.();
    audit.launching();
    const conditions = watchMachine();
    at.launchCalled = watched.clock();
    const work = await attempt(settings, plan, watched, over);
    const seen = conditions();
    await settings.allOver?.();
    const own = leftInWorkspace(
      host.workspace,
      [user.uid, settings.ctx.uid],
      settings.credential.secret,
    );
    const result = {
      ...buildResult(settings, watched, { ...work, conditions: seen }, nonce),
      ...(work.place === undefined ? {} : { place: work.place }),
    };
    const { outcome, leftovers: more } = await verifyInside(settings, {
      ...result,
      workspace: host.workspace,
      nonce,
      user,
    });
    const left = await leftovers({ ...settings, audit }, before, {
      ...work,
      name: settings.name,
      also: verifierName(settings.name),
      folder,
    });
    return { ...result, outcome, leftovers: withMore(left, [...own, ...more]) };
  } catch (error) {
    const outcome = blamed('harness', messageOf(error));
    const left = await leftovers({ ...settings, audit }, before, { name: settings.name, folder });
    return { ...unlaunched(settings, at, outcome), leftovers: left };
  } finally {
    gateway.closeTap(tap);
    over.abort();
  }
}

/** What a run observes while its agent works; `at` and `tap` are filled as it goes. */
export function watch(settings: RunRequest, at: Moments, tap: Tap, workspace: string): Watched {
  const meter = openMeter(settings.mode, settings.ctx);
  const inside = settings.reach.via === 'inside';
  return {
    at,
    tap,
    transcript: startTranscript(),
    workspace: asSeeded(workspace),
    clock: settings.clock ?? monotonic,
    meter,
    inside,
  };
}

/** The result of a run that got as far as starting the agent, or trying to. */
export function buildResult(
  settings: RunRequest,
  watched: Watched,
  work: Work & Pick<RunResult, 'conditions'>,
  nonce: string,
): Omit<RunResult, 'leftovers'> {
  const { at, tap, transcript, workspace, meter } = watched;
  if (tap.firstRequestAtMs !== undefined) at.firstRequest ??= tap.firstRequestAtMs;
  if (tap.requests > 0) at.modelMs = tap.modelMs;
  const { agentVersion } = transcript;
  if (agentVersion !== undefined && agentVersion !== settings.ctx.agentVersion)
    settings.onOtherAgent?.(agentVersion);
  const verdict = judged(settings.task, workspace, nonce, transcript);
  const cost = meter.cost();
  return {
    outcome: unlessDiskFull(
      unlessDiverged(work.failure, verdict.outcome, tap) ??
        unlessModel(verdict.outcome, tap) ??
        verdict.outcome,
      workspace.path,
    ),
    clocks: measure(at, settings.state),
    cost,
    conditions: withoutSandbox(work.conditions, cost, settings.alone ?? true),
    auth: authOf(settings, tap),
    sync: { ...verdict.sync, live: work.live },
    planted: plantedIn(workspace, settings.mode, at.collected !== undefined),
  };
}

/** The state of the agent's work. */
export interface Work {
  failure: Outcome | undefined;
  live: Sync['live'];
  /** The current phase, or the last one reached. */
  phase: 'launch' | 'work' | 'collect';
}

interface Attempt extends Work {
  /** The runtime's own identifier of the sandbox. */
  id?: string | undefined;
  place?: string | undefined;
  /** The reason why the sandbox could not be destroyed; absent if it was. */
  undestroyed?: string;
}

/** Runs the four phases. */
async function attempt(
  settings: RunRequest,
  plan: LaunchPlan,
  watched: Watched,
  over: AbortController,
): Promise<Attempt> {
  const { at, clock } = watched;
  const work: Work = { failure: undefined, live: { gap: 'not-reached' }, phase: 'launch' };
  settings.onPhase('launch');
  const used = await withSandbox(
    { mode: settings.mode, ctx: settings.ctx, spec: plan.spec, over },
    {
      signal: settings.signal,
      timeoutMs: settings.timeoutMs,
      onDestroy() {
        settings.onPhase('destroy');
        at.destroyCalled = clock();
      },
    },
    async ({ ctx, stop, ...launched }) => {
      at.running = launched.runningAtMs ?? clock();
      await workIn(launched, { ...settings, ctx }, plan, watched, { stop, work });
    },
  );
  if ('error' in used.work)
    work.failure =
      cutShort(settings, work, watched, used.cutShort) ??
      work.failure ??
      failureOf(used.work.error);
  const { id, place } = used.handle;
  if (used.destroyed.how === 'gone') {
    at.gone = used.destroyed.atMs ?? clock();
    return { ...work, id, place };
  }
  const { error } = used.destroyed;
  return {
    ...work,
    id,
    place,
    failure: undestroyed(work.failure, failureOf(error)),
    undestroyed: messageOf(error),
  };
}

/**
 * The reason why a run was cut short, if it was. If the agent had already failed before the
 * timeout, that failure is kept.
 */
export function cutShort(
  settings: RunRequest,
  work: Work,
  { tap, clock }: Watched,
  reason: Outcome | undefined,
): Outcome | undefined {
  if (reason?.status !== 'failed') return undefined;
  if (work.failure && reason.cause === 'timeout') return work.failure;
  return atBound(reason, { phase: work.phase, tap, boundMs: settings.timeoutMs, nowMs: clock() });
}

/**
 * Runs the work and collect phases in a running sandbox. `work` is filled in even if it throws.
 * @throws any error from the mode, or an error because the run was cut short
 */
export async function workIn(
  { handle, process }: Launched,
  settings: RunRequest,
  plan: Pick<LaunchPlan, 'command' | 'mark'>,
  watched: Watched,
  { stop, work }: { stop: Stopper; work: Work },
): Promise<void> {
  const { mode, ctx } = settings;
  const { at, clock, transcript, workspace } = watched;
  settings.onPhase('work');
  work.phase = 'work';
  watched.meter.launched(handle);
  const stream = process ?? mode.exec(ctx, handle, plan.command);
  const working = follow(stream, plan.mark, watched, () => hasArrived(settings.task, workspace));
  const done = await stop.race(working);
  at.ended = done.endedAtMs;
  work.live = done.live;
  work.failure = unlessModel(agentFailure(transcript, done.end), watched.tap);
  settings.onPhase('collect');
  work.phase = 'collect';
  at.collectCalled = clock();
  await stop.race(mode.collect(ctx, handle, workspace.path));
  at.collected = clock();
  if (
    mode.workspace === 'copy' &&
    settings.onBundle &&
    (isRepository(workspace) || handle.commits !== undefined)
  ) {
    const bundling = commitsOf(mode, ctx, handle, { workspace: plan.command.cwd }).catch(
      (error) => new Error(messageOf(error)),
    );
    const bundle = await stop.race(bundling);
    if (bundle) settings.onBundle(bundle);
  }
}

/** Finds what exists after a run and did not before, whatever `destroy` reported. */
export async function leftovers(
  settings: RunRequest & { audit: Audit },
  before: Census | undefined,
  target: {
    name: string;
    also?: string;
    folder?: string;
    id?: string | undefined;
    undestroyed?: string;
    staysUp?: boolean;
  },
): Promise<RunResult['leftovers']> {
  const { undestroyed, staysUp = false, ...whose } = target;
  const left = await settings.audit.after(before, settings, {
    ...whose,
    staysUp,
    alone: settings.alone ?? true,
  });
  return 'gap' in left && undestroyed !== undefined ? [{ kind: 'sandbox', id: target.name }] : left;
}
