// What work costs inside: the guest's loops, really run on this host, and rows in which something
// is planted.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Command, HostPaths, Mode } from '../../lib/contract.js';
import type { Subject } from '../../lib/probes/sandbox.js';
import { KINDS } from '../../lib/probes/tax/kinds.js';
import { type Loops, probeTax } from '../../lib/probes/tax/tax.js';
import type { Work } from '../../lib/record/probe.js';
import { isGap } from '../../lib/record/types.js';
import type { PlannedRow } from '../../lib/sandbox/row.js';
import host from '../../modes/host.js';
import { modeContext } from '../support/mode-context.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const NAMES = KINDS.map(({ probe }) => probe);
/** Past its bound from the start, a loop ends with the operation at hand. */
const ONCE: Loops = { kinds: NAMES, budgetMs: 1, atLeast: 1_000_000, boundMs: 0 };
const QUICK = NAMES.filter((name) => !['small-files', 'read-files', 'unpack'].includes(name));
const PATH = [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);

interface Found {
  worked: { entry: string; round: number; work: Work }[];
  brokeOff: string[];
}

/** Runs the loops in rows that are this host, each with its own change of a command. */
async function taxed(
  rows: Record<string, Partial<Mode>>,
  loops: Partial<Loops> = { kinds: QUICK },
  rounds = 1,
): Promise<Found> {
  const found: Found = { worked: [], brokeOff: [] };
  const subjects = Object.entries(rows).map(([entry, change]): Subject => {
    const adapter: Mode = { ...host, ...change };
    return {
      entry: { entry, adapter } as PlannedRow,
      ctx: modeContext(host.id, {
        env: { PATH },
        platform: process.platform,
        uid: process.getuid?.(),
      }),
      reach: { via: 'inside' },
      gatewayPort: undefined,
      nameOf: (tail) => `test-${process.pid}-${entry}-${tail}`,
      signal: new AbortController().signal,
      timeoutMs: 50_000,
    };
  });
  await probeTax(
    subjects,
    { rounds, seed: 1, loops: { ...ONCE, ...loops } },
    {
      worked: ({ entry: { entry } }, round, work) => void found.worked.push({ entry, round, work }),
      tried: (_, work) => work().catch((error: Error) => void found.brokeOff.push(error.message)),
    },
  );
  return found;
}

const changed = (change: (command: Command) => Command): Partial<Mode> => ({
  exec: (ctx, handle, command) => host.exec(ctx, handle, change(command)),
});
const withEnv = (env: Record<string, string>) =>
  changed((command) => ({ ...command, env: { ...command.env, ...env } }));
const saying = (script: string) =>
  changed((command) => ({ ...command, argv: ['node', '-e', script] }));

const gapsOf = ({ worked }: Found) =>
  worked.filter(({ work }) => isGap(work.opMs)).map(({ work }) => work);

/** A folder with one program in it. */
function folderWith(name: string, script: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
  return folder;
}

test('every kind of work that is declared is done, and leaves nothing in the workspace nor beside it', async () => {
  const left: string[] = [];
  let paths: HostPaths | undefined;
  const watched: Partial<Mode> = {
    launch: (ctx, spec) => {
      paths = spec.host;
      return host.launch(ctx, spec);
    },
    destroy: (ctx, handle) => {
      if (paths) left.push(...readdirSync(paths.workspace), ...readdirSync(paths.tmp));
      return host.destroy(ctx, handle);
    },
  };
  const found = await taxed({ watched }, {});
  expect(found.brokeOff).toEqual([]);
  expect(found.worked.map(({ work }) => work.probe)).toEqual(NAMES);
  expect(gapsOf(found)).toEqual([]);
  // However long one takes: an operation is never cut off, and no second one is begun past the
  // bound.
  expect(found.worked.map(({ work }) => work.ops)).toEqual(found.worked.map(() => 1));
  expect(paths).toBeDefined();
  expect(left).toEqual([]);
});

test('every round does the work in every row, in an order that the seed decides', async () => {
  const kinds = ['name-lookup', 'cpu-hash'];
  const order = async () =>
    (await taxed({ a: {}, b: {}, c: {} }, { kinds }, 2)).worked.map(
      ({ entry, round }) => `${round} ${entry}`,
    );
  const first = await order();
  expect([...first].sort()).toEqual(
    [1, 2].flatMap((round) =>
      ['a', 'b', 'c'].flatMap((entry) => kinds.map(() => `${round} ${entry}`)),
    ),
  );
  expect(first).not.toEqual([...first].sort());
  expect(await order()).toEqual(first);
});

test('what makes one kind slower shows in that kind and not in the others', async () => {
  const git = spawnSync('which', ['git'], { encoding: 'utf8' }).stdout.trim();
  // So long that no load of the machine is taken for it.
  const slow = folderWith('git', `case " $* " in *" status "*) sleep 1;; esac\nexec ${git} "$@"`);
  const others = ['git-init', 'git-commit', 'process-spawn', 'cpu-hash', 'random-read'];
  const loops = { kinds: ['git-status', ...others], atLeast: 5, boundMs: 10_000 };
  const { worked } = await taxed(
    { plain: {}, slow: withEnv({ PATH: [slow, PATH].join(delimiter) }) },
    loops,
  );
  const opMs = (row: string, probe: string) => {
    const found = worked.find(({ entry, work }) => entry === row && work.probe === probe)?.work
      .opMs;
    return typeof found === 'number' ? found : Number.NaN;
  };
  const slower = (probe: string) => opMs('slow', probe) - opMs('plain', probe);
  expect(slower('git-status')).toBeGreaterThan(900);
  for (const other of others) expect(slower(other)).toBeLessThan(450);
});

test('without git the three kinds of it are gaps that say so, and the others go on', async () => {
  const folder = temporaryFolder();
  symlinkSync(process.execPath, join(folder, 'node'));
  const found = await taxed({ without: withEnv({ PATH: folder }) });
  expect(gapsOf(found)).toEqual(
    ['git-init', 'git-status', 'git-commit'].map((probe) => ({
      probe,
      opMs: { gap: 'not-applicable' },
      detail: 'there is no git',
    })),
  );
  expect(found.worked.map(({ work }) => work.probe)).toEqual(QUICK);
});

test('a program that fails is a gap with its own words', async () => {
  const failing = folderWith('git', 'echo "fatal: dubious ownership" >&2; exit 128');
  const found = await taxed({ failing: withEnv({ PATH: [failing, PATH].join(delimiter) }) });
  expect(gapsOf(found)).toHaveLength(3);
  expect(gapsOf(found)[0]).toEqual({
    probe: 'git-init',
    opMs: { gap: 'not-reached' },
    detail: 'git init ended with 128: fatal: dubious ownership',
  });
});

test('where nothing can be written off the workspace, only the kinds that do so are gaps', async () => {
  const nowhere: Partial<Mode> = { layout: (_ctx, paths) => ({ ...paths, tmp: '/nonexistent' }) };
  const found = await taxed({ nowhere });
  expect(gapsOf(found).map(({ probe }) => probe)).toEqual(
    NAMES.filter((name) => name.startsWith('tmp-')),
  );
  for (const { detail } of gapsOf(found)) expect(detail).toMatch(/^ENOENT: .*\/nonexistent/);
});

test.skipIf(spawnSync('unshare', ['-rn', 'true']).status !== 0)(
  'without a network of its own that is up, what asks itself is a gap',
  async () => {
    const apart = changed((command) => ({ ...command, argv: ['unshare', '-rn', ...command.argv] }));
    const found = await taxed({ apart });
    expect(gapsOf(found).map(({ probe, opMs }) => [probe, opMs])).toEqual([
      ['loopback-http', { gap: 'not-reached' }],
      ['dns', { gap: 'not-reached' }],
    ]);
  },
);

test('a script that ends before its time leaves no kind without a cause, and what it told until then stands', async () => {
  const line = JSON.stringify({ probe: NAMES[0], opMs: 2, ops: 7 });
  const found = await taxed(
    {
      ending: saying(
        `console.log('${line}'); console.error('out of memory'); process.exitCode = 3`,
      ),
    },
    {},
  );
  expect(found.worked[0]?.work).toEqual({ probe: NAMES[0], opMs: 2, ops: 7 });
  const reason = 'a script of ours ended inside with exit 3: out of memory';
  expect(gapsOf(found)).toEqual(
    NAMES.slice(1).map((probe) => ({ probe, opMs: { gap: 'not-reached' }, detail: reason })),
  );
  expect(found.brokeOff).toEqual([reason]);
});

test('a script that ends well without a word of some kinds leaves these as gaps', async () => {
  const found = await taxed({ silent: saying('') }, {});
  expect(gapsOf(found).map(({ probe, opMs }) => ({ probe, opMs }))).toEqual(
    NAMES.map((probe) => ({ probe, opMs: { gap: 'not-reported' } })),
  );
  expect(found.brokeOff).toEqual([]);
});

test.each([
  ['no time at all', { probe: NAMES[0], opMs: 0 }],
  ['a time that is no number', { probe: NAMES[0], opMs: '2' }],
  ['a cause that there is not', { probe: NAMES[0], opMs: { gap: 'tired' } }],
  ['a kind that nobody asked for', { probe: 'idling', opMs: 2 }],
])('%s is not taken for a result', async (_, printed) => {
  const found = await taxed({
    lying: saying(`console.log(${JSON.stringify(JSON.stringify(printed))})`),
  });
  expect(gapsOf(found)).toHaveLength(QUICK.length);
  expect(found.brokeOff[0]).toContain('the script told what it was not asked');
});

test('every kind is declared with a sentence of its own', () => {
  expect(new Set(NAMES).size).toBe(NAMES.length);
  for (const { probe, meaning } of KINDS) {
    expect(probe).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(meaning).toMatch(/^[a-z].*\.$/);
  }
});
