// Warm runs: an idle sandbox is launched once, reset before the clock of each run starts, and
// replaced after a failure.
import { dirname } from 'node:path';
import { type Census, openAudit } from '../census/census.js';
import { leftInWorkspace } from '../census/workspace.js';
import type { Command, Context, Handle, HostPaths, Layout } from '../contract.js';
import { CagematchError } from '../errors.js';
import { makeFolder } from '../os/owner.js';
import { type Identity, identify, withOpenDir } from '../os/safe-dir.js';
import type { Leftover } from '../record/types.js';
import { dropFolder } from '../sandbox/drop-folder.js';
import { failureOf } from '../sandbox/failure.js';
import { openModelAccess } from '../sandbox/model-access.js';
import {
  commandFor,
  createRunDirs,
  ownerFor,
  specFor,
  valuesOf,
  workspaceUser,
} from '../sandbox/run-folders.js';
import { stopper } from '../sandbox/time-limits.js';
import { type OpeningSandbox, openSandbox, whyLeft } from '../sandbox/with-sandbox.js';
import { watchMachine } from './busy.js';
import {
  buildResult,
  cutShort,
  leftovers,
  unlaunched,
  type Work,
  watch,
  withMore,
  workIn,
} from './run.js';
import type { RunRequest, RunResult } from './run-settings.js';
import { verifierName, verifyInside } from './verify.js';

/** What a sandbox needs in order to serve many runs. */
type PoolNeeds = Pick<RunRequest, 'mode' | 'ctx' | 'reach' | 'gatewayPort' | 'task' | 'onFolder'>;

interface Idle {
  name: string;
  handle: Handle;
  host: HostPaths;
  /** Identity of the workspace folder. */
  workspace: Identity;
  user: { uid: number; gid: number };
  layout: Layout;
  /** Context whose signal aborts when the sandbox ends. */
  ctx: Context;
  /** Number of runs so far. */
  used: number;
}

/** The idle sandboxes of one row, by place. A row without a burst has one. */
export interface Pool {
  /** Returns the sandbox at this place, launching it if there is none. */
  take(place: number): Promise<Idle>;
  /**
   * Destroys the sandbox at this place, even if its launch has failed or is still in progress.
   * Never throws.
   */
  drop(place: number): Promise<Dropped>;
  /** Drops the sandboxes at this place and above. */
  close(from?: number): Promise<Dropped[]>;
}

interface Dropped {
  /** Absent if there was no sandbox. */
  name?: string;
  /** The reason why the sandbox could not be destroyed. */
  undestroyed?: string;
  /** The folder, if it could not be removed. */
  folder: Leftover[];
}

/**
 * @param nameOf returns a sandbox's name for the suffix that distinguishes it from the row's others
 */
export function createPool(needs: PoolNeeds, nameOf: (tail: string) => string): Pool {
  const places = new Map<
    number,
    { name: string; folder: string; opening: OpeningSandbox; idle: Promise<Idle> }
  >();
  let launched = 0;
  const pool: Pool = {
    take(place) {
      let slot = places.get(place);
      if (!slot) {
        launched += 1;
        slot = open(needs, nameOf(`idle${launched}`));
        slot.idle.catch(() => {});
        places.set(place, slot);
      }
      return slot.idle;
    },
    async drop(place) {
      const slot = places.get(place);
      if (!slot) return { folder: [] };
      places.delete(place);
      const { name, folder, opening } = slot;
      const undestroyed = whyLeft((await opening.close()).destroyed);
      return {
        name,
        ...(undestroyed === undefined ? {} : { undestroyed }),
        folder: dropFolder(folder, needs),
      };
    },
    close: (from = 0) =>
      Promise.all(
        [...places.keys()].filter((place) => place >= from).map((place) => pool.drop(place)),
      ),
  };
  return pool;
}

function open(needs: PoolNeeds, name: string) {
  const { mode, ctx } = needs;
  const folder = makeFolder('warm');
  let host: HostPaths;
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  try {
    host = createRunDirs(folder, user, ctx, mode);
  } catch (error) {
    dropFolder(folder);
    throw error;
  }
  const opening = openSandbox({ mode, ctx, spec: specFor({ ...needs, name }, host, user) });
  const idle = opening.launched.then(
    (sandbox): Idle => ({
      name,
      ...sandbox,
      host,
      workspace: identify(host.workspace),
      user,
      layout: mode.layout(ctx, host),
      used: 0,
    }),
  );
  return { name, folder, opening, idle };
}

/**
 * Runs the task once in the pool's sandbox. Never throws. The sandbox is destroyed if the run
 * failed or left anything behind.
 */
export async function runWarm(settings: RunRequest, pool: Pool, place: number): Promise<RunResult> {
  const at = settings.at ?? {};
  const { tap, access } = openModelAccess(settings, settings.task.id);
  const work: Work = { failure: undefined, live: { gap: 'not-reached' }, phase: 'work' };
  const audit = settings.audit ?? openAudit();
  const audited = { ...settings, audit };
  let result: RunResult;
  let before: Census | undefined;
  let target: { name: string; also: string; id: string | undefined; folder: string } | undefined;
  try {
    const { idle, layout, nonce } = await madeReady(settings, pool, place);
    target = {
      name: idle.name,
      also: verifierName(settings.name),
      id: idle.handle.id,
      folder: dirname(idle.host.workspace),
    };
    before = await audit.before(settings, { fresh: idle.used === 1 });
    const watched = watch(settings, at, tap, idle.host.workspace);
    tap.values = valuesOf(layout, nonce);
    const plan = commandFor(settings, layout, access);
    watched.meter.launched(idle.handle);
    await watched.meter.baseline();
    await settings.together?.();
    const stop = stopper(settings.signal, settings.timeoutMs);
    audit.launching();
    const conditions = watchMachine();
    at.launchCalled = watched.clock();
    try {
      await workIn(idle, { ...settings, ctx: idle.ctx }, plan, watched, { stop, work });
    } catch (error) {
      work.failure =
        cutShort(settings, work, watched, stop.reason()) ?? work.failure ?? failureOf(error);
    } finally {
      stop.clear();
    }
    const seen = conditions();
    await settings.allOver?.();
    const own = leftInWorkspace(
      idle.host.workspace,
      [idle.user.uid, settings.ctx.uid],
      settings.credential.secret,
    );
    const verdict = buildResult(settings, watched, { ...work, conditions: seen }, nonce);
    const { user, host } = idle;
    const { outcome, leftovers: more } = await verifyInside(settings, {
      ...verdict,
      workspace: host.workspace,
      nonce,
      user,
    });
    const left =
      outcome.status === 'passed'
        ? await leftovers(audited, before, { ...target, staysUp: true })
        : [];
    result = { ...verdict, outcome, leftovers: withMore(left, [...own, ...more]) };
  } catch (error) {
    result = unlaunched(settings, at, error instanceof Unready ? error.outcome : failureOf(error));
  } finally {
    settings.gateway.closeTap(tap);
  }
  const untidy = !('gap' in result.leftovers) && result.leftovers.length > 0;
  if (result.outcome.status === 'passed' && !untidy) return result;
  settings.onPhase('destroy');
  const dropped = await pool.drop(place);
  const found = withMore(result.leftovers, dropped.folder);
  if (result.outcome.status === 'passed') return { ...result, leftovers: found };
  const { name = settings.name, undestroyed } = dropped;
  const left = await leftovers(audited, before, {
    name,
    ...target,
    ...(undestroyed === undefined ? {} : { undestroyed }),
  });
  return { ...result, leftovers: withMore(left, 'gap' in found ? [] : found) };
}

/** Carries an outcome that was decided before the clock started. */
class Unready extends Error {
  constructor(readonly outcome: RunResult['outcome']) {
    super('not ready');
  }
}

/**
 * Returns the sandbox with a seeded workspace and a home that no agent has used; time-limited, and
 * outside of every clock. A sandbox that cannot be reset is replaced, once.
 * @throws Unready
 */
async function madeReady(
  settings: RunRequest,
  pool: Pool,
  place: number,
): Promise<{ idle: Idle; layout: Layout; nonce: string }> {
  const stop = stopper(settings.signal, settings.timeoutMs);
  const fresh = async () => {
    for (let replaced = false; ; replaced = true) {
      const idle = await pool.take(place);
      const isNew = idle.used === 0;
      try {
        return { idle, ...(await refresh(settings, idle)) };
      } catch (error) {
        if (replaced || isNew || stop.reason()) throw error;
        await pool.drop(place);
        // The user may have interrupted in the meantime: launch nothing after that.
        if (stop.reason()) throw error;
      }
    }
  };
  try {
    return await stop.race(fresh());
  } catch (error) {
    throw new Unready(stop.reason() ?? failureOf(error));
  } finally {
    stop.clear();
  }
}

/**
 * Shell script with the arguments WORKSPACE BASE HOME: empties the workspace without following
 * links, and creates a home and a temporary folder for this run only. It runs inside the sandbox,
 * so what agents left there can only affect the sandbox itself.
 */
const REFRESH = `set -e
find "$1" -mindepth 1 -delete
rm -rf "$2"
mkdir -p "$2/home" "$2/tmp"
cp -a "$3/." "$2/home"`;

async function refresh(
  settings: RunRequest,
  idle: Idle,
): Promise<{ layout: Layout; nonce: string }> {
  const { layout } = idle;
  const base = `${layout.tmp ?? '/tmp'}/cagematch-run`;
  idle.used += 1;
  await inside(settings, idle, [
    '/bin/sh',
    '-c',
    REFRESH,
    'sh',
    layout.workspace,
    base,
    layout.home,
  ]);
  // Use the folder itself, not whatever may have replaced it: agents were here, and their processes
  // may still be running.
  const seeded = withOpenDir(idle.workspace, (dir) => {
    if (dir.names(1).length > 0) return undefined;
    return settings.task.seed(dir.path, ownerFor(idle.user, settings.ctx.uid));
  });
  if (!seeded)
    throw new CagematchError(
      'launch-failed',
      'the workspace of the sandbox that idles could not be emptied',
    );
  return {
    layout: {
      ...layout,
      home: `${base}/home`,
      ...(layout.tmp === undefined ? {} : { tmp: `${base}/tmp` }),
    },
    nonce: seeded.nonce,
  };
}

async function inside(settings: RunRequest, idle: Idle, argv: Command['argv']): Promise<void> {
  const { layout } = idle;
  const env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
  };
  let words = '';
  // Do not start in the workspace: an OS sandbox may mount what it forbids into a command's working
  // directory.
  const command: Command = { argv, env, secretEnv: {}, cwd: layout.tmp ?? '/tmp' };
  for await (const event of settings.mode.exec(idle.ctx, idle.handle, command)) {
    if (event.type === 'line') words = event.text;
    else if (event.type === 'exit' && event.code === 0) return;
    else
      throw new CagematchError(
        'launch-failed',
        `the sandbox that idles could not be made fresh: ${words || event.type}`,
      );
  }
}
