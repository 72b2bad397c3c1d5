// The workspace-sync truth table of one row: what is done to a file on one side, and what of it the
// other side sees. Only our own scripts run in that sandbox; even so, where a guest could write,
// the host follows no links, opens no pipes and runs no git.
import { monotonic } from '../../clock.js';
import { CagematchError, messageOf } from '../../errors.js';
import type { SyncCell } from '../../record/probe.js';
import { workspaceUser } from '../../sandbox/run-folders.js';
import { folderOf, KINDS } from '../guest/sync-kinds.mjs';
import { inSandbox, type ProbeSandbox, type Subject } from '../sandbox.js';
import { probeBoth } from './both.js';
import { type BulkSeed, probeBulk, seedBulk } from './bulk.js';
import { BULK, GRID, openLedger, type Pair, SHAPES } from './grid.js';
import { probeIncoming } from './incoming.js';
import { probeOutgoing } from './outgoing.js';
import { type Seeded, seedFolders } from './seed.js';
import { probeShapes, type ShapesSeed, seedShapes } from './shapes.js';

const SCRIPTS = ['look', 'kinds', 'eyes', 'hands', 'both', 'bulk']
  .map((name) => `sync-${name}.mjs`)
  .concat('sync-git.mjs');

export interface SyncSize {
  /** Number of small files. */
  files: number;
  /** Size of the one big file. */
  bigBytes: number;
  /** How long to wait for a change before it counts as lost, in ms. */
  boundMs: number;
}

const SIZE: SyncSize = { files: 10_000, bigBytes: 512 << 20, boundMs: 3000 };

/**
 * Reports every cell of `GRID` once.
 * @throws the same errors as opening a sandbox; cells reported until then stand, and the rest are
 *   reported as gaps with that cause
 */
export async function probeSync(
  subject: Subject,
  tell: (cell: SyncCell) => void,
  size: Partial<SyncSize> = {},
): Promise<void> {
  const { files, bigBytes, boundMs } = { ...SIZE, ...size };
  const { ctx, entry } = subject;
  const ledger = openLedger(tell);
  const copied = entry.workspace === 'copy';
  const user = entry.adapter.owner?.(ctx) ?? workspaceUser(ctx.uid);
  let seeded: Seeded | undefined;
  let bulk: BulkSeed | undefined;
  let shapes: ShapesSeed | undefined;
  const seed = async (workspace: string) => {
    seeded = seedFolders(workspace, user);
    shapes = await seedShapes(workspace, ctx.env.PATH, user, ctx.uid);
    bulk = await seedBulk(workspace, { files, bigBytes }, copied);
  };
  const failures: unknown[] = [];
  /** A part that fails does not prevent the others: only its own cells become gaps. */
  const attempt = async <T>(
    matches: (pair: Pair) => boolean,
    work: () => Promise<T>,
  ): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      failures.push(error);
      ledger.close(error, matches);
      return undefined;
    }
  };
  try {
    await inSandbox(subject, SCRIPTS, { tail: 'sync', seed }, async (sandbox) => {
      if (!seeded || !bulk || !shapes)
        throw new CagematchError('launch-failed', 'the workspace was not filled');
      const [folders, heap, repositories] = [seeded, bulk, shapes];
      await attempt(KINDS_IN, () => probeIncoming(sandbox, folders, ledger, boundMs));
      const judgeBoth = await attempt(BOTH_SIDES, () =>
        probeBoth(sandbox, ledger, boundMs, copied ? boundMs : PATIENT_MS),
      );
      const judgeOut = await attempt(KINDS_OUT, () =>
        probeOutgoing(sandbox, folders, ledger, boundMs),
      );
      const judgeBulk = await attempt(IN_BULK, () => probeBulk(sandbox, heap, ledger));
      const judgeShapes = await attempt(OF_SHAPE, () => probeShapes(sandbox, repositories, ledger));
      const collected = await collect(sandbox);
      const took = copied ? { ms: collected.ms } : {};
      judgeOut?.({ ...took, lost: collected.lost });
      judgeBoth?.();
      await judgeBulk?.(took);
      judgeShapes?.(took);
    });
    ledger.close('nobody tried it');
    if (failures.length > 0) throw failures[0];
  } catch (error) {
    ledger.close(error);
    throw error;
  }
}

/** If the guest shares the host's files, a busy host is given this long. */
const PATIENT_MS = 15_000;

const isKind = ({ cell }: Pair) => KINDS.some((kind) => kind.cell === cell);
const KINDS_IN = (pair: Pair) => isKind(pair) && pair.direction.startsWith('in');
const KINDS_OUT = (pair: Pair) => isKind(pair) && pair.direction.startsWith('out');
const BOTH_SIDES = ({ direction }: Pair) => direction === 'both';
const IN_BULK = ({ cell }: Pair) => Object.values(BULK).includes(cell);
const OF_SHAPE = ({ cell }: Pair) => SHAPES.some(({ shape }) => shape === cell);

/** How many cells may be dropped to make collect succeed. */
const MAX_REFUSED = 12;

/**
 * Collect may refuse the whole workspace because of one entry, such as a link out of the workspace.
 * That cell is then lost, and the rest is collected without it.
 */
async function collect(
  sandbox: ProbeSandbox,
): Promise<{ ms: number; lost(pair: Pair): string | undefined }> {
  const refused = new Map<string, string>();
  for (;;) {
    const startedMs = monotonic();
    try {
      await sandbox.collect();
      return { ms: monotonic() - startedMs, lost: ({ cell }) => refused.get(cell) };
    } catch (error) {
      const reason = messageOf(error);
      const culprit = GRID.find((pair) =>
        reason.includes(`${folderOf(pair.direction, pair.cell)}/`),
      );
      if (!culprit || refused.size >= MAX_REFUSED) throw error;
      refused.set(culprit.cell, `nothing of the workspace comes back with it: ${reason}`);
      const folders = GRID.filter(({ cell }) => cell === culprit.cell).map(({ direction, cell }) =>
        folderOf(direction, cell),
      );
      for await (const event of sandbox.run(['rm', '-rf', ...folders]))
        if (event.type === 'lost') throw error;
    }
  }
}
