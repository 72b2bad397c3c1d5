// The truth table of one row that a test plays: the real host mode underneath, with what the test
// changes about it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { pack, unpack } from '../../lib/kit/guest/archive.js';
import { capture } from '../../lib/os/capture.js';
import type { Subject } from '../../lib/probes/sandbox.js';
import { probeSync, type SyncSize } from '../../lib/probes/sync/sync.js';
import { type SyncCell, syncCellSchema } from '../../lib/record/probe.js';
import host from '../../modes/host.js';
import { modeContext } from './mode-context.js';
import { entryOf } from './scripted-match.js';

export const SMALL: SyncSize = { files: 40, bigBytes: 3 << 20, boundMs: 1500 };

/** How a cell is written in these tests. */
export const nameOf = ({ direction, cell }: Pick<SyncCell, 'direction' | 'cell'>) =>
  `${direction} ${cell}`;

export interface Table {
  cells: SyncCell[];
  /** Why it broke off. */
  failure?: unknown;
  /** Cells that are neither the same nor senseless, with their verdict. */
  amiss: Record<string, SyncCell['verdict']>;
  detail(name: string): string;
}

export async function tableOf(mode: Mode, size = SMALL): Promise<Table> {
  const ctx = modeContext(mode.id, {
    env: { PATH: process.env.PATH ?? '' },
    uid: process.getuid?.(),
    platform: process.platform,
  });
  const subject: Subject = {
    entry: entryOf(mode, { workspace: mode.workspace }),
    ctx,
    reach: { via: 'inside' },
    gatewayPort: undefined,
    nameOf: (tail) => `cagematch-test-${process.pid}-${tail}`,
    signal: new AbortController().signal,
    timeoutMs: 50_000,
  };
  const cells: SyncCell[] = [];
  const failure: unknown = await probeSync(
    subject,
    (cell) => cells.push(syncCellSchema.parse(cell)),
    size,
  ).then(
    () => undefined,
    (error) => error,
  );
  const amiss = cells.filter(({ verdict }) => verdict !== 'same' && verdict !== 'not-applicable');
  return {
    cells,
    ...(failure === undefined ? {} : { failure }),
    amiss: Object.fromEntries(amiss.map((cell) => [nameOf(cell), cell.verdict])),
    detail: (name) => cells.find((cell) => nameOf(cell) === name)?.detail ?? '',
  };
}

/**
 * Does something to the workspace, as a shell script, when it goes in (`launch`) and when it comes
 * back (`collect`).
 */
export function spoiled(scripts: { launch: string; collect: string }): Mode {
  return {
    ...host,
    async launch(ctx, spec) {
      await sh(scripts.launch, spec.host.workspace);
      return host.launch(ctx, spec);
    },
    async collect(_ctx, _handle, into) {
      await sh(scripts.collect, into);
    },
  };
}

const WHOLE = {
  in: (workspace: string, copy: string) => sh('cp -a . "$1"', workspace, copy),
  out: (copy: string, workspace: string) =>
    sh('find . -mindepth 1 -delete && cp -a "$1/." .', workspace, copy),
};

/** As a remote guest's workspace travels. */
export const ARCHIVED: typeof WHOLE = {
  async in(workspace, copy) {
    const archive = `${copy}.tgz`;
    writeFileSync(archive, await pack(workspace));
    await sh('mkdir "$1" && tar -x -z -o -f "$2" -C "$1"', '/', copy, archive);
  },
  async out(copy, workspace) {
    const archive = `${copy}.tgz`;
    await sh('tar -c -z -f "$2" -C "$1" .', '/', copy, archive);
    await unpack(readFileSync(archive), workspace);
  },
};

/**
 * A mode whose guests work in a copy: it is made at launch, and brought back at collect.
 * @param how it travels
 * @param meanwhile a script that runs in between, again and again, in the workspace, with the copy
 *   as $1
 */
export function copying(how = WHOLE, meanwhile?: string): Mode {
  const base = mkdtempSync(join(tmpdir(), 'test-of-cagematch-'));
  const copy = join(base, 'copy');
  let going: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();
  onTestFinished(async () => {
    clearInterval(going);
    await working;
    rmSync(base, { recursive: true, force: true });
  });
  return {
    ...host,
    workspace: 'copy',
    async launch(ctx, spec) {
      await how.in(spec.host.workspace, copy);
      const again = () => {
        working = working.then(() => sh(meanwhile ?? '', spec.host.workspace, copy));
      };
      if (meanwhile !== undefined) going = setInterval(again, 300);
      return host.launch(ctx, spec);
    },
    exec: (ctx, handle, command) => host.exec(ctx, handle, { ...command, cwd: copy }),
    async collect(_ctx, _handle, into) {
      clearInterval(going);
      await working;
      await how.out(copy, into);
    },
  };
}

async function sh(script: string, cwd: string, ...args: string[]): Promise<void> {
  const ran = await capture(['/bin/sh', '-ec', script, 'sh', ...args], {
    env: { PATH: process.env.PATH ?? '' },
    cwd,
    timeoutMs: 20_000,
  });
  if (ran.end.type !== 'exit' || ran.end.code !== 0) throw new Error(`${script}: ${ran.stderr}`);
}
