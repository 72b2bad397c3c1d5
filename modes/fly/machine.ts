// One machine: ordered, tracked by its own timestamps until it runs, found again, removed.
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from '../../lib/clock.js';
import type { Context, LaunchSpec, Listed } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import {
  appOf,
  call,
  client,
  diagnose,
  get,
  imageOf,
  isFull,
  type Machine,
  must,
  regionsOf,
  whyNoMachine,
} from './api.js';
import { guestOf } from './guest.js';
import { type Answer, hasSucceeded, mayBeDone, whyRefused } from './http-api.js';

const GONE_MS = 25_000;

const STARTED_MS = 300_000;

/** When to look for a machine after an order of unknown outcome, in ms after the order failed. */
const STRAY_MS = [0, 1000, 2000];

/** Longer than any run may take: a machine whose harness has died ends and removes itself. */
const LIFE_MS = 25 * 3600_000;

export interface Content {
  path: string;
  bytes: Buffer;
}

/** Orders a machine in the first of the configured regions that has capacity. */
export async function order(ctx: Context, spec: LaunchSpec, content: Content[]): Promise<Machine> {
  const regions = regionsOf(ctx);
  const body = {
    name: spec.name,
    // If the model runs beside the agent, the machine must not get the app's own credentials.
    skip_secrets: spec.files.length > 0,
    config: {
      image: imageOf(ctx),
      init: { exec: ['/bin/sleep', String(Math.ceil((spec.maxLifeMs ?? LIFE_MS) / 1000))] },
      guest: guestOf(ctx),
      restart: { policy: 'no' },
      auto_destroy: true,
      metadata: metadata(ctx),
      // None of these files may contain a secret: the configuration outlives the run in the API's
      // records.
      files: content.map(({ path, bytes }) => ({
        guest_path: path,
        raw_value: bytes.toString('base64'),
        mode: 0o644,
      })),
    },
  };
  const request = { method: 'POST', path: '/machines', key: 'create', timeoutMs: 60_000 } as const;
  const full: string[] = [];
  for (const region of regions.length > 0 ? regions : [undefined]) {
    const answer = await call(ctx, {
      ...request,
      body: region === undefined ? body : { ...body, region },
    });
    if (hasSucceeded(answer)) return answer.body as Machine;
    if (mayBeDone(answer)) throw await afterUnclear(ctx, spec.name, answer);
    if (!isFull(answer)) throw whyNoMachine(ctx, answer);
    full.push(`${region ?? 'the nearest region'} (${whyRefused(answer)})`);
    if (region !== regions.at(-1))
      ctx.say(`Fly.io has no room in ${full.at(-1)}; the next region is tried`);
  }
  throw new CagematchError(
    'launch-failed',
    `Fly.io has no room in ${full.join(', nor in ')}`,
    'FLY_REGION=ams,fra,iad tries several in turn',
  );
}

/**
 * An order without an answer may still have created a machine, which would cost money, so we look
 * for it by its name and remove it.
 */
async function afterUnclear(ctx: Context, name: string, answer: Answer): Promise<CagematchError> {
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  try {
    for (const [at, afterMs] of STRAY_MS.entries()) {
      await pause(afterMs - (STRAY_MS[at - 1] ?? 0), undefined, { signal: ctx.signal });
      const made = await machinesNamed(ctx, name);
      for (const id of made) await remove(ctx, id);
      if (made.length > 0)
        return new CagematchError(
          'launch-failed',
          `${trouble.reason}; the machine that it made all the same is removed`,
          trouble.hint,
        );
    }
  } catch {
    // The API cannot be queried now. Destroying this run's sandbox and the sweep after the match
    // look for the machine again.
  }
  return new CagematchError('launch-failed', trouble.reason, trouble.hint);
}

/** The keys have no dots, because they are also used as names of query parameters. */
function metadata(ctx: Context) {
  const { match, mode, owner, session } = ctx.labels;
  const kept = session === undefined ? {} : { cagematch_session: session };
  return {
    cagematch_match: match,
    cagematch_mode: mode,
    cagematch_owner: owner,
    ...kept,
    cagematch_host: hostname(),
  };
}

/** When a machine reached a state: the latest time on our clock that its own timestamp can mean. */
export async function stampOf(
  ctx: Context,
  id: string,
  status: string,
): Promise<number | undefined> {
  return stampIn(ctx, await get(ctx, id), status);
}

async function stampIn(ctx: Context, answer: Answer, status: string): Promise<number | undefined> {
  if (answer.status !== 200) return undefined;
  const event = (answer.body as Machine).events?.find((item) => item.status === status);
  return event?.timestamp === undefined
    ? undefined
    : (await client(ctx)).clock.latest(event.timestamp);
}

/** Waits until the machine has started; each request makes the API wait up to a minute. */
export async function started(ctx: Context, id: string): Promise<void> {
  const deadline = Date.now() + STARTED_MS;
  for (;;) {
    const path = `/machines/${id}/wait?state=started&timeout=60`;
    const answer = await call(ctx, { method: 'GET', path, key: `wait ${id}`, timeoutMs: 70_000 });
    if (answer.status === 200) return;
    const why = await whyNotRunning(ctx, id);
    if (answer.status !== 408 || why !== undefined || Date.now() > deadline)
      throw new CagematchError(
        'launch-failed',
        `the machine does not start: ${why ?? whyRefused(answer)}`,
      );
  }
}

/** Why the machine does not run; undefined while it runs, starts, or cannot be queried. */
export async function whyNotRunning(ctx: Context, id: string): Promise<string | undefined> {
  const answer = await get(ctx, id);
  if (answer.status === 404) return 'the machine is gone';
  if (answer.status !== 200) return undefined;
  const { state, events } = answer.body as Machine;
  if (['created', 'creating', 'starting', 'started'].includes(state)) return undefined;
  const exit = events?.find((event) => event.type === 'exit')?.request?.exit_event;
  return `the machine is ${state}${exit?.oom_killed ? ', out of memory' : ''}`;
}

export async function machinesNamed(ctx: Context, name: string): Promise<string[]> {
  return (await ours(ctx)).filter((machine) => machine.name === name).map(({ id }) => id);
}

async function ours(ctx: Context): Promise<Machine[]> {
  const path = `/machines?metadata.cagematch_mode=${ctx.labels.mode}`;
  const all = await must<Machine[]>(ctx, 'not-ready', { method: 'GET', path, key: 'list' });
  return all.filter(({ state, config }) => {
    const { cagematch_mode: mode, cagematch_host: host } = config?.metadata ?? {};
    // A server without this filter would return every machine of the app. Whether an owner on
    // another host is alive is unknown here.
    return state !== 'destroyed' && mode === ctx.labels.mode && host === hostname();
  });
}

const STATES: Record<string, Listed['state']> = {
  started: 'running',
  stopped: 'stopped',
  suspended: 'stopped',
};

export async function list(ctx: Context): Promise<Listed[]> {
  return (await ours(ctx)).map(({ id, name, state, region, config }) => {
    const {
      cagematch_match: match,
      cagematch_owner: owner,
      cagematch_session: session,
    } = config?.metadata ?? {};
    const labels: Listed['labels'] = { mode: ctx.labels.mode };
    if (match !== undefined) labels.match = match;
    if (owner !== undefined) labels.owner = owner;
    if (session !== undefined) labels.session = session;
    return {
      id: `${name} ${id}`,
      kind: 'machine',
      labels,
      state: STATES[state] ?? 'unknown',
      ...(region === undefined ? {} : { place: region }),
    };
  });
}

/** @returns when the machine was gone */
export async function remove(ctx: Context, id: string): Promise<number> {
  const deadline = Date.now() + GONE_MS;
  for (let deleted: Answer | undefined; ; ) {
    const answer = await get(ctx, id);
    const state = answer.status === 200 ? (answer.body as Machine).state : undefined;
    if (answer.status === 404 || state === 'destroyed') {
      const seenMs = monotonic();
      return Math.min(seenMs, (await stampIn(ctx, answer, 'destroyed')) ?? seenMs);
    }
    if (Date.now() > deadline || ctx.signal.aborted) {
      const why = whyRefused(deleted ?? answer);
      throw new CagematchError(
        'destroy-failed',
        `machine ${id} is still there: ${why}`,
        `fly machine destroy --force ${id}`,
      );
    }
    if (state !== 'destroying')
      deleted = await call(ctx, {
        method: 'DELETE',
        path: `/machines/${id}?force=true`,
        key: `delete ${id}`,
      });
  }
}
