// Changes that the guest makes to the workspace, as the host sees them while the sandbox runs and
// after collect.
import { watch } from 'node:fs';
import { join } from 'node:path';
import { monotonic } from '../../clock.js';
import { messageOf } from '../../errors.js';
import { folderOf } from '../guest/sync-kinds.mjs';
import { type Look, look } from '../guest/sync-look.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import { type Finding, kindsOf, type Ledger, type Pair } from './grid.js';
import { agrees, judge, type Kind } from './judge.js';
import type { Seeded } from './seed.js';
import { lookingFor, stale, unseen, until } from './wait.js';

const SIDES = { makers: 'inside', seers: 'on the host' };

interface Did extends Pair {
  /** What the guest saw after its change. */
  look?: Look;
  failed?: string;
}

/** @returns a function that judges the state after collect */
export async function probeOutgoing(
  sandbox: ProbeSandbox,
  seeded: Seeded,
  ledger: Ledger,
  boundMs: number,
): Promise<(collect: { ms?: number; lost(pair: Pair): string | undefined }) => void> {
  const { workspace } = sandbox.host;
  const pairs = (['out-live', 'out'] as const).flatMap((direction) =>
    kindsOf(direction).map(({ cell }) => ({ direction, cell })),
  );
  const kinds = new Map(kindsOf('out-live').map((kind) => [kind.cell, kind]));
  const waiting: Promise<void>[] = [];
  const atEnd: { kind: Kind; did: Did }[] = [];
  const events = watchFolder(join(workspace, folderOf('out-live', 'watch')));
  // Look at every folder beforehand, so that stale caches from an earlier look become visible.
  for (const { direction, cell } of pairs) look(join(workspace, folderOf(direction, cell)));
  try {
    for await (const { value: did, atMs } of sandbox.ask<Did>('sync-hands.mjs', { pairs })) {
      const kind = kinds.get(did.cell);
      if (!kind) continue;
      if (did.direction === 'out') atEnd.push({ kind, did });
      else waiting.push(seeLive(kind, did, atMs).then((finding) => ledger.say(did, finding)));
    }
    await Promise.all(waiting);
  } finally {
    events.close();
  }

  async function seeLive(kind: Kind, { look: made, failed }: Did, atMs: number): Promise<Finding> {
    if (made === undefined)
      return { verdict: 'lost', detail: `it could not be made inside: ${failed}` };
    const folder = join(workspace, folderOf('out-live', kind.cell));
    const before = seeded.before({ direction: 'out-live', cell: kind.cell });
    let seen: Look = {};
    const looks = lookingFor(() => {
      seen = look(folder);
      return agrees(kind, made, seen);
    }, atMs);
    if (kind.cell === 'watch')
      return sawEvent(await until(events.first, boundMs), atMs, looks.again() !== undefined);
    const seenAtMs =
      looks.again() ?? (kind.made(made) ? await until(looks.again, boundMs) : undefined);
    const finding = judge(kind, { ...SIDES, before, made, seen, live: true });
    if (!kind.made(made)) return finding;
    if (seenAtMs === undefined) return unseen(finding, boundMs);
    const latencyMs = Math.max(0, seenAtMs - atMs);
    return looks.isStale()
      ? { verdict: 'stale', latencyMs, detail: stale(latencyMs) }
      : { ...finding, latencyMs };
  }

  function sawEvent(eventAtMs: number | undefined, atMs: number, there: boolean): Finding {
    if (eventAtMs !== undefined)
      return { verdict: 'same', latencyMs: Math.max(0, eventAtMs - atMs) };
    const what = there
      ? 'the file is seen on the host, but no event came'
      : 'neither the file nor an event came';
    return {
      verdict: 'lost',
      detail: `${events.refused() ?? what}, not within ${boundMs / 1000} s`,
    };
  }

  return ({ ms, lost }) => {
    for (const { kind, did } of atEnd) {
      const pair = { direction: 'out' as const, cell: kind.cell };
      const why =
        did.look === undefined ? `it could not be made inside: ${did.failed}` : lost(pair);
      if (did.look === undefined || why !== undefined) {
        ledger.say(pair, { verdict: 'lost', detail: why ?? 'not made' });
        continue;
      }
      const seen = look(join(workspace, folderOf('out', kind.cell)));
      const finding = judge(kind, { ...SIDES, before: seeded.before(pair), made: did.look, seen });
      ledger.say(pair, ms === undefined ? finding : { ...finding, latencyMs: ms });
    }
  };
}

/** Records change events on the host from now on. */
function watchFolder(folder: string) {
  let firstMs: number | undefined;
  let refused: string | undefined;
  try {
    const watcher = watch(folder, () => {
      firstMs ??= monotonic();
    });
    watcher.on('error', (error) => {
      refused = messageOf(error);
    });
    return { first: () => firstMs, refused: () => refused, close: () => watcher.close() };
  } catch (error) {
    refused = `the host cannot watch it: ${messageOf(error)}`;
    return { first: () => undefined, refused: () => refused, close: () => {} };
  }
}
