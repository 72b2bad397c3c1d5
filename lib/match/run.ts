// One run: launch, work, collect, destroy. Whatever happens in between, the sandbox is destroyed and a result comes out.
import { type Clock, monotonic } from '../clock.js';
import type { Context, Handle, Mode, Reach } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Gateway, Tap } from '../model/gateway.js';
import { makeFolder, removeFolder } from '../owner.js';
import type { Auth, Clocks, Cost, Gap, Leftover, Outcome, Sync } from '../record.js';
import type { Task } from '../task/task.js';
import { agentFailure, startTranscript } from '../task/transcript.js';
import { blamed, failureOf } from './blame.js';
import { stopper, within } from './bounds.js';
import { openMeter } from './cost.js';
import { follow, type Watched } from './follow.js';
import { furnish, type LaidOut, layOut, own, workspaceUser } from './furnish.js';
import { type Moments, measure } from './measure.js';

type Phase = 'launch' | 'work' | 'collect' | 'destroy';

export interface RunSettings {
  mode: Mode;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
  gateway: Gateway;
  task: Task;
  /** Which way the credential went. */
  authPath: Auth['path'];
  timeoutMs: number;
  /** Unique on this machine, short enough for a host name. */
  name: string;
  /** Aborted when the user wants out: the run ends early, its sandbox is still destroyed. */
  signal: AbortSignal;
  onPhase(phase: Phase): void;
  clock?: Clock;
}

export interface RunResult {
  outcome: Outcome;
  clocks: Clocks;
  cost: Cost | Gap;
  auth: Auth;
  sync: Sync;
  leftovers: Leftover[] | { gap: 'not-reported' };
}

/** How long a runtime may take to remove a sandbox before it counts as left over. */
const DESTROY_MS = 30_000;
/** How long a launch that the user or the bound has cut short may take to come back with its sandbox. */
const LAUNCH_GRACE_MS = 5_000;

/** Never throws: a run that fails in any way is a result. */
export async function runOnce(settings: RunSettings): Promise<RunResult> {
  let folder: string;
  try {
    folder = makeFolder('run');
  } catch (error) {
    return unlaunched(settings, error);
  }
  const result = await runIn(folder, settings);
  try {
    removeFolder(folder);
    return result;
  } catch {
    // Files that another user made inside can be out of our reach.
    const others = 'gap' in result.leftovers ? [] : result.leftovers;
    return { ...result, leftovers: [...others, { kind: 'folder', id: folder }] };
  }
}

/** A run that ended before anything was asked of the runtime. */
function unlaunched(settings: RunSettings, error: unknown): RunResult {
  const gap = { gap: 'not-reached' } as const;
  return {
    outcome: blamed('harness', messageOf(error)),
    clocks: measure({}),
    cost: gap,
    auth: { path: settings.authPath, delivered: gap },
    sync: { in: gap, out: gap, live: gap },
    leftovers: [],
  };
}

async function runIn(folder: string, settings: RunSettings): Promise<RunResult> {
  const clock = settings.clock ?? monotonic;
  const { mode, task, gateway } = settings;
  const tap = gateway.openTap();
  const transcript = startTranscript();
  // Ends what the run's own clients still do once its sandbox is gone.
  const over = new AbortController();
  const ctx: Context = { ...settings.ctx, signal: over.signal };
  try {
    const user = mode.owner?.(settings.ctx) ?? workspaceUser(settings.ctx.uid);
    const host = furnish(folder, user, settings.ctx);
    const { nonce } = task.seed(host.workspace);
    own(host.workspace, user, settings.ctx.uid);
    const plan = layOut(settings, host, user, tap.token);
    const at: Moments = { launchCalled: clock() };
    const meter = openMeter(mode, ctx);
    const work = await attempt({ ...settings, ctx }, plan, { at, tap, transcript, workspace: host.workspace, clock, meter });
    if (tap.firstRequestAtMs !== undefined) at.firstRequest ??= tap.firstRequestAtMs;
    if (tap.requests > 0) at.modelMs = tap.modelMs;
    const verdict = task.verify(host.workspace, nonce, transcript);
    return {
      outcome: work.failure ?? verdict.outcome,
      clocks: measure(at),
      cost: meter.cost(),
      auth: { path: settings.authPath, delivered: delivered(tap, settings.reach) },
      sync: { ...verdict.sync, live: work.live },
      leftovers: await leftovers(settings, work.undestroyed),
    };
  } catch (error) {
    return { ...unlaunched(settings, error), leftovers: await leftovers(settings, undefined) };
  } finally {
    gateway.closeTap(tap);
    over.abort();
  }
}

interface Attempt {
  failure: Outcome | undefined;
  live: Sync['live'];
  /** Set when the sandbox could not be destroyed: why. */
  undestroyed?: string;
}

/** The four phases. `destroy` runs after every launch, also after one that failed. */
async function attempt(settings: RunSettings, plan: LaidOut, watched: Watched): Promise<Attempt> {
  const { mode, ctx } = settings;
  const { at, clock } = watched;
  const stop = stopper(settings.signal, settings.timeoutMs);
  let handle: Handle = { name: plan.spec.name };
  let failure: Outcome | undefined;
  let live: Sync['live'] = { gap: 'not-reached' };
  try {
    settings.onPhase('launch');
    const launching = mode.launch(ctx, plan.spec);
    handle = await stop.race(launching, async () => {
      handle = (await within(launching, LAUNCH_GRACE_MS).catch(() => undefined)) ?? handle;
    });
    at.running = handle.runningAtMs ?? clock();
    settings.onPhase('work');
    watched.meter.launched(handle);
    const stream = handle.process ?? mode.exec(ctx, handle, plan.command);
    const working = follow(stream, plan.mark, watched, () => settings.task.arrived(watched.workspace));
    const done = await stop.race(working, async () => {});
    at.ended = done.endedAtMs;
    live = done.live;
    failure = agentFailure(watched.transcript, done.end);
    if (done.end.type === 'lost' || watched.transcript.result === undefined)
      failure ??= blamed('agent', 'the agent ended without a result');
    settings.onPhase('collect');
    at.collectCalled = clock();
    await stop.race(mode.collect(ctx, handle, watched.workspace), async () => {});
    at.collected = clock();
  } catch (error) {
    failure = stop.reason() ?? failure ?? failureOf(error);
  } finally {
    stop.clear();
  }
  settings.onPhase('destroy');
  at.destroyCalled = clock();
  try {
    const gone = await within(mode.destroy(ctx, handle), DESTROY_MS);
    at.gone = gone.goneAtMs ?? clock();
    return { failure, live };
  } catch (error) {
    return { failure: failure ?? failureOf(error), live, undestroyed: messageOf(error) };
  }
}

/** What the gateway saw. Where the model runs beside the agent, the mode's own way was not used at all. */
function delivered(tap: Tap, reach: Reach): Auth['delivered'] {
  if (reach.via === 'inside') return { gap: 'not-exercised' };
  if (!tap.credential) return { gap: 'not-reached' };
  return `${tap.credential.header}${tap.credential.oauth ? ' (oauth)' : ''}`;
}

/** What the runtime still lists of this run, whatever `destroy` said. */
async function leftovers(settings: RunSettings, undestroyed: string | undefined): Promise<RunResult['leftovers']> {
  try {
    const listed = await within(settings.mode.list(settings.ctx), DESTROY_MS);
    return listed.filter((one) => one.id === settings.name || one.id.startsWith(`${settings.name} `)).map(({ kind, id }) => ({ kind, id }));
  } catch {
    return undestroyed === undefined ? { gap: 'not-reported' } : [{ kind: 'sandbox', id: settings.name }];
  }
}
