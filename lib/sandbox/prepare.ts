// Makes a row ready: its image present, the gateway bound where the mode can reach it.
import type { Credential } from '../auth/credential.js';
import { goesAsFile } from '../auth/deliver.js';
import type { AuthPath, Context, Reach } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { RowEvent } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import { failureOf, INTERRUPTED } from './failure.js';
import type { PlannedEntry } from './row.js';
import { unlessAborted } from './time-limits.js';

export interface Ready {
  entry: PlannedEntry;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
  /** The live API, which guests that cannot reach the gateway ask themselves: its base URL. */
  upstream?: string;
}

/** What all rows share. */
export interface Shared {
  record: Pick<Recorder<RowEvent>, 'emit'>;
  gateway: Gateway;
  model: 'replay' | 'live';
  /** The live API's base URL. */
  upstream?: string;
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
    if (match.model === 'live' && !entry.adapter.auth.includes('gateway')) checkLeaving(entry);
    const reach = entry.state === 'cold' ? await reachCold(entry, ctx, match) : await reachPrepared(entry, ctx, match);
    if (reach.via === 'inside' && match.model === 'live') {
      checkLeaving(entry);
      return { entry, ctx, reach, gatewayPort: undefined, ...(match.upstream === undefined ? {} : { upstream: match.upstream }) };
    }
    if (reach.via === 'inside') return { entry, ctx, reach, gatewayPort: undefined };
    const gatewayPort = await gateway.listen(reach.listen).finally(() => release(reach));
    return { entry, ctx, reach, gatewayPort };
  } catch (error) {
    record.emit({ type: 'unprepared', entry: entry.entry, outcome: signal.aborted ? INTERRUPTED : failureOf(error) });
    return undefined;
  }
}

/** Ways by which a guest can ask the live API itself. */
const LEAVING: AuthPath[] = ['env', 'runtime-proxy', 'remote-secret'];

/**
 * A guest that cannot reach the gateway has to hold a credential itself: never without being asked to.
 * @throws `not-ready` with the way that would do
 */
function checkLeaving({ adapter, deliver, deliverAsked, state }: PlannedEntry): void {
  const why = 'its guests cannot reach the gateway';
  if (state === 'warm') throw new CagematchError('not-ready', `${why}, and one that idles has no credential yet`, '--state prepared');
  // One that was stored before the match is not this match's to choose.
  const ways = adapter.auth.filter((path) => LEAVING.includes(path) && !(path === 'remote-secret' && adapter.pushSecret));
  if (deliverAsked && ways.includes(deliver)) return;
  if (deliverAsked)
    throw new CagematchError(
      'not-ready',
      `${why}, and no live model by way of ${deliver}`,
      `--deliver ${ways[0] ?? 'env'}, or --model replay`,
    );
  throw new CagematchError(
    'not-ready',
    `${why}: a credential of yours would have to go into them, which has to be asked for`,
    `--deliver ${ways.join(' or ')}, or --model replay`,
  );
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
