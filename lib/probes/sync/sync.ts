// The workspace-sync truth table of one row: what is done to a file on one side, and what of it the other side sees.
import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SyncCell } from '../../probe-record.js';
import { inSandbox, type Subject } from '../sandbox.js';

/** @throws what opening a sandbox throws; what was told until then stands */
export async function probeSync(subject: Subject, tell: (cell: SyncCell) => void): Promise<void> {
  await inSandbox(
    subject,
    ['sync.mjs'],
    { tail: 'sync', seed: (workspace) => writeFileSync(join(workspace, 'seeded'), 'seed') },
    async (sandbox) => {
      for await (const { value } of sandbox.ask<{ seeded: boolean }>('sync.mjs', {}))
        tell({ cell: 'create', direction: 'in', ...(value.seeded ? { verdict: 'same' } : { verdict: 'lost', detail: 'not there' }) });
      await sandbox.collect();
      const made = join(sandbox.host.workspace, 'made');
      const same = lstatSync(made, { throwIfNoEntry: false })?.isFile() && readFileSync(made, 'utf8') === 'made';
      tell({ cell: 'create', direction: 'out', ...(same ? { verdict: 'same' } : { verdict: 'lost', detail: 'not there' }) });
    },
  );
}
