// Makes a row ready: its image present, the gateway bound where the mode can reach it.
import type { Context, Reach } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { Outcome } from '../record.js';
import { failureOf } from './blame.js';
import type { Recorder } from './events.js';
import type { PlannedEntry } from './plan.js';

export interface Ready {
  entry: PlannedEntry;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
}

/** How long a step that the user has cut short may take to come to its own end. */
const GRACE_MS = 5000;

const INTERRUPTED: Outcome = { status: 'failed', cause: 'interrupted', message: 'interrupted by the user' };

/** Undefined when it cannot be made ready; the record then says why. */
export async function makeReady(
  entry: PlannedEntry,
  ctx: Context,
  match: { record: Recorder; gateway: Gateway; model: 'replay' | 'live'; signal: AbortSignal },
): Promise<Ready | undefined> {
  const { record, gateway, signal } = match;
  try {
    const startedMs = performance.now();
    const made = await unlessAborted(entry.adapter.prepare(ctx), signal);
    record.emit({ type: 'prepared', entry: entry.entry, imageMs: Math.round(performance.now() - startedMs), ...made });
    const reach = await unlessAborted(entry.adapter.reach(ctx), signal, release);
    if (reach.via === 'inside' && match.model === 'live') {
      throw new CagematchError('not-ready', 'its guests cannot reach the gateway, and only a replay can run inside them', '--model replay');
    }
    if (reach.via === 'inside') return { entry, ctx, reach, gatewayPort: undefined };
    const gatewayPort = await gateway.listen(reach.listen).finally(() => release(reach));
    return { entry, ctx, reach, gatewayPort };
  } catch (error) {
    record.emit({ type: 'unprepared', entry: entry.entry, outcome: signal.aborted ? INTERRUPTED : failureOf(error) });
    return undefined;
  }
}

async function release(reach: Reach): Promise<void> {
  if (reach.via === 'address') await reach.release?.();
}

/**
 * A mode that hangs must not keep the user from leaving, and one that does not should be let finish:
 * what it made can then be undone.
 * @param undo for a result that comes when nobody wants it any more
 */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, undo?: (result: T) => Promise<void>): Promise<T> {
  let stop: () => void = () => {};
  const aborted = new Promise<'aborted'>((resolve) => {
    stop = () => resolve('aborted');
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    const first = await Promise.race([work.then((result) => ({ result })), aborted]);
    if (first !== 'aborted') return first.result;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const late = await Promise.race([work.then((result) => ({ result })).catch(() => undefined), pause(GRACE_MS)]);
  if (late && undo) await undo(late.result);
  throw signal.reason;
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}
