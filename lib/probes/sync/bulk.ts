// Bulk transfers: thousands of small files, and one file of half a gigabyte.
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { bigFile, checkMany, hashBig, makeBig, makeMany, manyFolder } from '../guest/sync-bulk.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import { BULK, type Finding, type Ledger } from './grid.js';

export interface Bulk {
  files: number;
  bigBytes: number;
}

interface Counted {
  missing: string[];
  wrong: string[];
  more: number;
}

interface GuestReport {
  many?: Counted;
  made?: Counted;
  big?: string;
  bigMade?: string;
  bigFailed?: string;
}

export interface BulkSeed {
  bulk: Bulk;
  /** Hash of the big file in the workspace, or why there is none. */
  hash: { made: string } | { gap: string };
}

/**
 * Creates the files that the guest will check.
 * @param copied true if the workspace is copied into the sandbox
 */
export async function seedBulk(workspace: string, bulk: Bulk, copied: boolean): Promise<BulkSeed> {
  await makeMany(join(workspace, manyFolder('in')), bulk.files);
  return {
    bulk,
    hash: copied
      ? { gap: `not tried: ${mebi(bulk.bigBytes)} is too much for a workspace that is copied` }
      : await seedBig(workspace, bulk),
  };
}

async function seedBig(workspace: string, { bigBytes }: Bulk): Promise<BulkSeed['hash']> {
  const path = join(workspace, bigFile('in'));
  const disk = statfsSync(workspace);
  const freeBytes = disk.bavail * disk.bsize;
  if (freeBytes < 3 * bigBytes)
    return { gap: `not tried: the disk has only ${mebi(freeBytes)} left` };
  try {
    await makeBig(path, bigBytes);
    return { made: (await hashBig(path, bigBytes)) ?? '' };
  } catch (error) {
    rmSync(path, { force: true });
    return { gap: `the host could not make it: ${messageOf(error)}` };
  }
}

/** @returns a function that judges the state after collect and removes the big file */
export async function probeBulk(
  { ask, host: { workspace } }: ProbeSandbox,
  { bulk, hash }: BulkSeed,
  ledger: Ledger,
): Promise<(collect: { ms?: number }) => Promise<void>> {
  const reports: GuestReport = {};
  const bigBytes = 'made' in hash ? bulk.bigBytes : 0;
  for await (const { value } of ask<GuestReport>('sync-bulk.mjs', {
    files: bulk.files,
    bigBytes,
  })) {
    Object.assign(reports, value);
    // Free the half gigabyte as soon as possible.
    if (value.big !== undefined) rmSync(join(workspace, bigFile('in')), { force: true });
  }
  ledger.say({ direction: 'in', cell: BULK.many }, counted(reports.many, bulk.files, 'inside'));
  if ('gap' in hash) {
    for (const direction of ['in', 'out'] as const)
      ledger.say({ direction, cell: BULK.big }, { verdict: 'gap', detail: hash.gap });
  } else
    ledger.say({ direction: 'in', cell: BULK.big }, sameHash(hash.made, reports.big, 'inside'));
  return async ({ ms }) => {
    const latency = ms === undefined ? {} : { latencyMs: ms };
    const many = await checkMany(join(workspace, manyFolder('out')), bulk.files);
    const asMade = counted(reports.made, bulk.files, 'even inside');
    ledger.say(
      { direction: 'out', cell: BULK.many },
      {
        ...(asMade.verdict === 'same' ? counted(many, bulk.files, 'on the host') : asMade),
        ...latency,
      },
    );
    if (bigBytes === 0) return;
    const path = join(workspace, bigFile('out'));
    const seen = await hashBig(path, bulk.bigBytes);
    rmSync(path, { force: true });
    const finding: Finding =
      reports.bigMade === undefined
        ? {
            verdict: 'lost',
            detail: `it could not be made inside: ${reports.bigFailed ?? 'no word'}`,
          }
        : { ...sameHash(reports.bigMade, seen ?? 'none', 'on the host'), ...latency };
    ledger.say({ direction: 'out', cell: BULK.big }, finding);
  };
}

function counted(found: Counted | undefined, files: number, where: string): Finding {
  if (!found) return { verdict: 'gap', detail: `nobody counted ${where}` };
  const words = [
    ...(found.missing.length > 0
      ? [`${found.missing.length} of ${files} not there ${where} (${some(found.missing)})`]
      : []),
    ...(found.wrong.length > 0
      ? [`${found.wrong.length} with other content ${where} (${some(found.wrong)})`]
      : []),
    ...(found.more > 0 ? [`${found.more} more than were made ${where}`] : []),
  ];
  if (words.length === 0) return { verdict: 'same' };
  return { verdict: found.missing.length > 0 ? 'lost' : 'differs', detail: words.join('; ') };
}

function some(names: string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} …` : names.join(', ');
}

function sameHash(made: string, seen: string | undefined, where: string): Finding {
  if (seen === undefined) return { verdict: 'gap', detail: `nobody looked ${where}` };
  if (seen === 'none') return { verdict: 'lost', detail: `not there ${where}` };
  return seen === made
    ? { verdict: 'same' }
    : {
        verdict: 'differs',
        detail: `other content ${where}: sha256 ${seen.slice(0, 12)}, not ${made.slice(0, 12)}`,
      };
}

function mebi(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MiB`;
}
