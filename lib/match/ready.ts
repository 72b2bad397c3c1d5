// Makes a row ready: its image present, the gateway bound where the mode can reach it.
import type { Credential } from '../auth/credential.js';
import { goesAsFile } from '../auth/deliver.js';
import type { Context, Reach } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { RowEvent } from '../record.js';
import { failureOf, INTERRUPTED } from './blame.js';
import { unlessAborted } from './bounds.js';
import type { Recorder } from './events.js';
import type { PlannedEntry } from './plan.js';

export interface Ready {
  entry: PlannedEntry;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
}

/** What all rows share. */
export interface Shared {
  record: Pick<Recorder<RowEvent>, 'emit'>;
  gateway: Gateway;
  model: 'replay' | 'live';
  /** Absent: none that goes into a guest. */
  credential?: Credential;
  signal: AbortSignal;
  concurrency: number;
}

/** Undefined when it cannot be made ready; the record then says why. */
export async function makeReady(entry: PlannedEntry, ctx: Context, match: Shared): Promise<Ready | undefined> {
  const { record, gateway, signal } = match;
  try {
    checkState(entry, match);
    // Before anything is made there, where it is known before.
    if (match.model === 'live' && !entry.adapter.auth.includes('gateway')) throw outOfReach();
    const reach = entry.state === 'cold' ? await reachCold(entry, ctx, match) : await reachPrepared(entry, ctx, match);
    if (reach.via === 'inside' && match.model === 'live') throw outOfReach();
    if (reach.via === 'inside') return { entry, ctx, reach, gatewayPort: undefined };
    const gatewayPort = await gateway.listen(reach.listen).finally(() => release(reach));
    return { entry, ctx, reach, gatewayPort };
  } catch (error) {
    record.emit({ type: 'unprepared', entry: entry.entry, outcome: signal.aborted ? INTERRUPTED : failureOf(error) });
    return undefined;
  }
}

function outOfReach(): CagematchError {
  return new CagematchError('not-ready', 'its guests cannot reach the gateway, and only a replay can run inside them', '--model replay');
}

async function reachPrepared(entry: PlannedEntry, ctx: Context, match: Shared): Promise<Reach> {
  const startedMs = performance.now();
  const made = await unlessAborted(entry.adapter.prepare(ctx), match.signal);
  match.record.emit({ type: 'prepared', entry: entry.entry, imageMs: Math.round(performance.now() - startedMs), ...made });
  return unlessAborted(entry.adapter.reach(ctx), match.signal, release);
}

/** Every run will build the image anyway: here it is built only where nothing tells the way to the gateway without it. */
async function reachCold(entry: PlannedEntry, ctx: Context, match: Shared): Promise<Reach> {
  try {
    return await unlessAborted(entry.adapter.reach(ctx), match.signal, release);
  } catch {
    if (match.signal.aborted) throw match.signal.reason;
    return reachPrepared(entry, ctx, match);
  }
}

/** @throws `bad-input` for what a row of that state cannot do */
function checkState(entry: PlannedEntry, match: Shared): void {
  if (entry.state === 'warm' && entry.workspace === 'copy') {
    throw new CagematchError('bad-input', 'a workspace that is copied in cannot be made fresh in a sandbox that idles', '--state prepared');
  }
  if (entry.state === 'cold' && match.concurrency > 1) {
    throw new CagematchError('bad-input', 'runs at the same time cannot each build the one image', '--state prepared, or --concurrency 1');
  }
  if (entry.deliver === 'file' && match.credential && !goesAsFile(match.credential)) {
    throw new CagematchError(
      'bad-input',
      `${match.credential.where} is no login, and the agent reads no other from a file`,
      '--deliver env',
    );
  }
}

async function release(reach: Reach): Promise<void> {
  if (reach.via === 'address') await reach.release?.();
}
