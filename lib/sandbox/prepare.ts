// Makes a row ready: makes sure that its image is present, and binds the gateway where the mode can
// reach it.
import type { Credential } from '../auth/credential.js';
import { goesAsFile } from '../auth/deliver.js';
import type { AuthPath, Context, Reach } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { RowEvent } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import { failureOf, INTERRUPTED } from './failure.js';
import type { PlannedRow } from './row.js';
import { unlessAborted } from './time-limits.js';

export interface PreparedRow {
  entry: PlannedRow;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
  /** Base URL of the live API, which guests that cannot reach the gateway call directly. */
  upstream?: string;
}

/** What all rows share. */
export interface Shared {
  record: Pick<Recorder<RowEvent>, 'emit'>;
  gateway: Gateway;
  model: 'replay' | 'live';
  /** The live API's base URL. */
  upstream?: string;
  /** Absent: no credential goes into a guest. */
  credential?: Credential;
  signal: AbortSignal;
  concurrency: number;
}

/** Makes a row ready. Undefined if that is impossible; the record then contains the reason. */
export async function makeReady(
  entry: PlannedRow,
  ctx: Context,
  match: Shared,
): Promise<PreparedRow | undefined> {
  const { record, gateway, signal } = match;
  try {
    checkState(entry, match);
    // If it is known in advance that the gateway is out of reach, check before anything is created.
    if (match.model === 'live' && !entry.adapter.auth.includes('gateway')) checkLeaving(entry);
    const reach =
      entry.state === 'cold'
        ? await reachCold(entry, ctx, match)
        : await reachPrepared(entry, ctx, match);
    if (reach.via === 'inside' && match.model === 'live') {
      checkLeaving(entry);
      return {
        entry,
        ctx,
        reach,
        gatewayPort: undefined,
        ...(match.upstream === undefined ? {} : { upstream: match.upstream }),
      };
    }
    if (reach.via === 'inside') return { entry, ctx, reach, gatewayPort: undefined };
    const gatewayPort = await gateway.listen(reach.listen).finally(() => release(reach));
    return { entry, ctx, reach, gatewayPort };
  } catch (error) {
    record.emit({
      type: 'unprepared',
      entry: entry.entry,
      outcome: signal.aborted ? INTERRUPTED : failureOf(error),
    });
    return undefined;
  }
}

/** Deliveries with which a guest can call the live API directly. */
const LEAVING: AuthPath[] = ['env', 'runtime-proxy', 'remote-secret'];

/**
 * A guest that cannot reach the gateway needs the credential itself, which is never delivered
 * unless the user asked for that.
 * @throws `not-ready` with the delivery that would work
 */
function checkLeaving({ adapter, deliver, deliverAsked, state }: PlannedRow): void {
  const why = 'its guests cannot reach the gateway';
  if (state === 'warm')
    throw new CagematchError(
      'not-ready',
      `${why}, and one that idles has no credential yet`,
      '--state prepared',
    );
  // A credential that was stored with the runtime before the match cannot be chosen by this match.
  const ways = adapter.auth.filter(
    (path) => LEAVING.includes(path) && !(path === 'remote-secret' && adapter.pushSecret),
  );
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

async function reachPrepared(entry: PlannedRow, ctx: Context, match: Shared): Promise<Reach> {
  const startedMs = performance.now();
  const made = await unlessAborted(entry.adapter.prepare(ctx), match.signal);
  match.record.emit({
    type: 'prepared',
    entry: entry.entry,
    imageMs: Math.round(performance.now() - startedMs),
    ...made,
  });
  return unlessAborted(entry.adapter.reach(ctx), match.signal, release);
}

/**
 * Every run builds the image anyway, so it is built here only if the way to the gateway cannot be
 * determined without it.
 */
async function reachCold(entry: PlannedRow, ctx: Context, match: Shared): Promise<Reach> {
  try {
    return await unlessAborted(entry.adapter.reach(ctx), match.signal, release);
  } catch {
    if (match.signal.aborted) throw match.signal.reason;
    return reachPrepared(entry, ctx, match);
  }
}

/**
 * @throws `bad-input` for settings that a row of that state, or with that credential, cannot have
 */
function checkState(entry: PlannedRow, match: Shared): void {
  if (entry.state === 'warm' && entry.workspace === 'copy') {
    throw new CagematchError(
      'bad-input',
      'a workspace that is copied in cannot be made fresh in a sandbox that idles',
      '--state prepared',
    );
  }
  if (entry.state === 'cold' && match.concurrency > 1) {
    throw new CagematchError(
      'bad-input',
      'runs at the same time cannot each build the one image',
      '--state prepared, or --concurrency 1',
    );
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
