// One run: launch, work, collect, destroy. Whatever happens in between, the sandbox is destroyed and a result comes out.
import { cpSync, lchownSync, mkdirSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { type Clock, monotonic } from '../clock.js';
import type { Context, ExecEnd, ExecStream, Handle, HostPaths, LaunchSpec, Mode, Reach } from '../contract.js';
import { CagematchError, messageOf } from '../errors.js';
import type { Gateway, Tap } from '../model/gateway.js';
import { makeFolder, removeFolder } from '../owner.js';
import { packageRoot } from '../package.js';
import type { Auth, Clocks, Leftover, Outcome, Sync } from '../record.js';
import { agentCommand } from '../task/agent.js';
import type { Task } from '../task/task.js';
import { agentFailure, startTranscript } from '../task/transcript.js';
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
  auth: Auth;
  sync: Sync;
  leftovers: Leftover[] | { gap: 'not-reported' };
}

/** How long a runtime may take to remove a sandbox before it counts as left over. */
const DESTROY_MS = 30_000;
/** How long a launch that the user or the bound has cut short may take to come back with its sandbox. */
const LAUNCH_GRACE_MS = 5_000;

/** Owner of a workspace: the caller, or the image's own user when the caller is root. */
export function workspaceUser(uid: number | undefined): { uid: number; gid: number } {
  const agent = { uid: 1000, gid: 1000 };
  return uid === undefined || uid === 0 ? agent : { uid, gid: process.getgid?.() ?? uid };
}

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
    const plan = layOut(settings, host, user, tap);
    const at: Moments = { launchCalled: clock() };
    const work = await attempt({ ...settings, ctx }, plan, { at, tap, transcript, workspace: host.workspace, clock });
    if (tap.firstRequestAtMs !== undefined) at.firstRequest ??= tap.firstRequestAtMs;
    if (tap.requests > 0) at.modelMs = tap.modelMs;
    const verdict = task.verify(host.workspace, nonce, transcript);
    return {
      outcome: work.failure ?? verdict.outcome,
      clocks: measure(at),
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

/** The run's folders: a workspace, and an agent home with the same bytes as the image's. */
function furnish(folder: string, user: { uid: number; gid: number }, ctx: Context): HostPaths {
  const workspace = join(folder, 'workspace');
  const home = join(folder, 'home');
  const tmp = join(folder, 'tmp');
  for (const one of [workspace, tmp]) mkdirSync(one);
  cpSync(join(packageRoot, 'lib/task/home'), home, { recursive: true });
  own(folder, user, ctx.uid);
  const folders = [ctx.agentBinary, process.execPath].flatMap((binary) => (binary === undefined ? [] : [dirname(binary)]));
  return { workspace, home, tmp, path: [...folders, ctx.env.PATH ?? ''].join(delimiter) };
}

/** Gives a tree to the user inside; root's own files would be out of its reach. */
function own(path: string, user: { uid: number; gid: number }, uid: number | undefined): void {
  if (uid !== 0) return;
  for (const name of ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })]) lchownSync(join(path, name), user.uid, user.gid);
}

interface LaidOut {
  spec: LaunchSpec;
  command: NonNullable<LaunchSpec['command']>;
  mark: string;
}

function layOut(settings: RunSettings, host: HostPaths, user: { uid: number; gid: number }, tap: Tap): LaidOut {
  const { mode, ctx, reach, gatewayPort, task } = settings;
  const layout = mode.layout(ctx, host);
  const mark = `@${settings.name}`;
  const inside = reach.via === 'inside' ? { script: '/tmp/cagematch/inside.mjs', cassette: '/tmp/cagematch/cassette.json' } : undefined;
  const command = agentCommand({
    prompt: task.prompt,
    layout,
    mark,
    token: tap.token,
    ...(reach.via === 'address' && gatewayPort !== undefined ? { gatewayUrl: reach.url(gatewayPort) } : {}),
    ...(inside ? { inside } : {}),
  });
  const source = (file: string) => join(packageRoot, 'lib/model', file);
  const spec: LaunchSpec = {
    name: settings.name,
    host,
    user,
    files: inside
      ? [
          { path: inside.script, source: source('inside.mjs') },
          { path: '/tmp/cagematch/replay.mjs', source: source('replay.mjs') },
          { path: inside.cassette, source: task.cassette },
        ]
      : [],
    ...(gatewayPort === undefined ? {} : { gatewayPort }),
    ...(mode.oneShot ? { command } : {}),
  };
  return { spec, command, mark };
}

interface Watched {
  at: Moments;
  tap: Tap;
  transcript: ReturnType<typeof startTranscript>;
  workspace: string;
  clock: Clock;
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

/** Reads the stream to its end, and stamps the moments that only its lines tell. */
async function follow(
  stream: ExecStream,
  mark: string,
  watched: Watched,
  arrived: () => boolean,
): Promise<{ end: ExecEnd; endedAtMs: number; live: Sync['live'] }> {
  const { at, tap, transcript } = watched;
  let live: Sync['live'] = { gap: 'not-reached' };
  let askedAtMs: number | undefined;
  for await (const event of stream) {
    if (event.type !== 'line') {
      const { atMs, ...end } = event;
      return { end, endedAtMs: atMs, live };
    }
    if (event.stream === 'stdout' && event.text.startsWith(`${mark} `)) {
      const [what = '', ...rest] = event.text.slice(mark.length + 1).split(' ');
      if (what === 'first-process') at.firstProcess ??= event.atMs;
      if (what === 'request') {
        at.firstRequest ??= event.atMs;
        askedAtMs = event.atMs;
        tap.requests += 1;
        tap.credential ??= readCredential(rest.join(' '));
      }
      if (what === 'answered' && askedAtMs !== undefined) {
        tap.modelMs += event.atMs - askedAtMs;
        askedAtMs = undefined;
      }
      continue;
    }
    if (transcript.read(event.text, event.stream).result) {
      at.result = event.atMs;
      live = arrived() ? 'yes' : 'no';
    }
  }
  return { end: { type: 'lost', reason: 'the stream broke off' }, endedAtMs: watched.clock(), live };
}

function readCredential(text: string): { header: string; oauth: boolean } {
  try {
    const { header, oauth } = JSON.parse(text) as { header?: unknown; oauth?: unknown };
    return { header: String(header), oauth: oauth === true };
  } catch {
    return { header: 'unknown', oauth: false };
  }
}

/** Lets a run be cut short by the user or by its bound. */
function stopper(signal: AbortSignal, timeoutMs: number) {
  let why: Outcome | undefined;
  let cut: (reason: Outcome) => void = () => {};
  const cutShort = new Promise<never>((_, reject) => {
    cut = (reason) => {
      why ??= reason;
      reject(new Error('cut short'));
    };
  });
  cutShort.catch(() => {});
  const interrupted = () => cut(blamed('interrupted', 'interrupted by the user'));
  if (signal.aborted) interrupted();
  signal.addEventListener('abort', interrupted, { once: true });
  const timer = setTimeout(() => cut(blamed('timeout', `no end within ${timeoutMs / 1000} s`, '--timeout S')), timeoutMs);
  return {
    /** `otherwise` is awaited before the cut is passed on. */
    async race<T>(work: Promise<T>, otherwise: () => Promise<void>): Promise<T> {
      work.catch(() => {});
      try {
        return await Promise.race([work, cutShort]);
      } catch (error) {
        if (why) await otherwise();
        throw error;
      }
    },
    reason: () => why,
    clear() {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupted);
    },
  };
}

function within<T>(work: Promise<T>, boundMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CagematchError('destroy-failed', `the runtime did not answer within ${boundMs / 1000} s`)),
      boundMs,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function blamed(cause: Extract<Outcome, { status: 'failed' }>['cause'], message: string, hint?: string): Outcome {
  return { status: 'failed', cause, message, ...(hint === undefined ? {} : { hint }) };
}

export function failureOf(error: unknown): Outcome {
  const message = messageOf(error);
  if (!(error instanceof CagematchError)) return blamed('harness', message);
  const cause =
    error.code === 'collect-failed'
      ? 'sync'
      : error.code === 'image-unavailable'
        ? 'image'
        : error.code === 'launch-failed' || error.code === 'destroy-failed'
          ? 'sandbox'
          : 'harness';
  return blamed(cause, message, error.hint);
}

function delivered(tap: Tap, reach: Reach): Auth['delivered'] {
  if (!tap.credential) return { gap: 'not-reached' };
  const how = `${tap.credential.header}${tap.credential.oauth ? ' (oauth)' : ''}`;
  return reach.via === 'inside' ? `${how}, inside` : how;
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
