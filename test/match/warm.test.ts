// Runs in a sandbox that idles: one sandbox, and for every run a workspace and a home that no agent
// has had.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CagematchError } from '../../lib/errors.js';
import { createPool } from '../../lib/match/warm.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { modeContext } from '../support/mode-context.js';
import {
  entryOf,
  PASSED,
  type Part,
  runScriptedMatch,
  scriptedMode,
} from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const NEVER = { gap: 'not-applicable' };

async function warm(part: Part, change: Parameters<typeof runScriptedMatch>[1] = {}) {
  const calls: string[] = [];
  const match = await runScriptedMatch([entryOf(scriptedMode(calls, part), { state: 'warm' })], {
    runs: 3,
    ...change,
  });
  return {
    ...match,
    calls,
    verbs: calls.map((call) => call.split(' ')[0]),
    outcomes: match.runs.map((run) => run.outcome),
  };
}

const never = () => new Promise<never>(() => {});

describe('a warm row', () => {
  it('launches one sandbox before its first round, works in it every time, and destroys it at the end', async () => {
    const seen: string[] = [];
    const calls: string[] = [];
    await runScriptedMatch([entryOf(scriptedMode(calls), { state: 'warm' })], {
      runs: 3,
      onEvent: (event) =>
        event.type === 'round-started' &&
        seen.push(calls.map((call) => call.split(' ')[0]).join(' ')),
    });
    expect(seen[0]).toBe('launch');
    expect(calls.map((call) => call.split(' ')[0])).toEqual([
      'launch',
      'agent',
      'agent',
      'agent',
      'destroy',
    ]);
    expect(new Set(calls.map((call) => call.split(' ')[1])).size).toBe(1);
  });

  it('is timed from exec to collect: what belongs to launch and destroy is not applicable', async () => {
    const { runs } = await warm({ startupMs: () => 100 }, { runs: 1 });
    expect(runs[0]?.outcome).toEqual(PASSED);
    expect(runs[0]?.clocks).toMatchObject({ image: NEVER, launch: NEVER, teardown: NEVER });
    expect(runs[0]?.clocks.startup).toBeCloseTo(100, -1);
    expect(runs[0]?.clocks.total).toEqual(expect.any(Number));
    expect(runs[0]?.leftovers).toEqual([]);
  });

  it('gives every agent the same home, and nothing that a former one has left in home, temporary folder or workspace', async () => {
    const seen: string[][] = [];
    const { outcomes } = await warm({
      agent({ command: { env, cwd } }) {
        const inside = (folder: string) =>
          readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted().join(' ');
        seen.push([
          env.HOME ?? '',
          readFileSync(join(env.HOME ?? '', '.claude.json'), 'utf8'),
          ...[env.HOME, env.TMPDIR, cwd].map((folder) => inside(folder ?? '')),
        ]);
        writeFileSync(join(env.HOME ?? '', '.claude.json'), '{"poisoned":true}');
        for (const place of [env.HOME, env.TMPDIR, cwd]) {
          mkdirSync(join(place ?? '', 'deep/er'), { recursive: true });
          writeFileSync(join(place ?? '', 'deep/er/left'), '');
        }
      },
    });
    expect(outcomes).toEqual([PASSED, PASSED, PASSED]);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(seen[0]?.at(-1)).toBe('nonce.txt package.json');
    expect(seen[0]?.[3]).toBe('');
  });

  it('never follows a link that an agent has put in the place of a seed', async () => {
    const treasure = join(temporaryFolder(), 'treasure');
    mkdirSync(treasure);
    writeFileSync(join(treasure, 'gold'), 'gold');
    const { outcomes } = await warm({
      agent({ command: { cwd, env } }) {
        symlinkSync(treasure, join(cwd, 'folder'));
        symlinkSync(join(treasure, 'gold'), join(cwd, 'file'));
        symlinkSync(treasure, join(env.HOME ?? '', 'folder'));
      },
    });
    expect(outcomes).toEqual([PASSED, PASSED, PASSED]);
    expect(readdirSync(treasure)).toEqual(['gold']);
    expect(readFileSync(join(treasure, 'gold'), 'utf8')).toBe('gold');
  });

  it('gets a new sandbox after a run that failed, with the old one gone before', async () => {
    const { verbs, calls, outcomes } = await warm({
      agent({ run }) {
        if (run === 2) throw new CagematchError('launch-failed', 'it broke');
      },
    });
    expect(verbs).toEqual(['launch', 'agent', 'agent', 'destroy', 'launch', 'agent', 'destroy']);
    expect(calls[0]).not.toBe(calls[4]);
    expect(outcomes).toEqual([
      PASSED,
      { status: 'failed', cause: 'sandbox', message: 'it broke' },
      PASSED,
    ]);
  });

  it('gets a new sandbox after a run that was not done in time', async () => {
    const { verbs, outcomes } = await warm(
      { agent: ({ run }) => (run === 1 ? never() : undefined) },
      { runs: 2, timeoutMs: 1500 },
    );
    expect(verbs).toEqual(['launch', 'agent', 'destroy', 'launch', 'agent', 'destroy']);
    expect(outcomes).toEqual([expect.objectContaining({ cause: 'timeout' }), PASSED]);
  });

  it('tries again in the next round when its sandbox would not come up, and blames the sandbox for the run without', async () => {
    let launches = 0;
    const { verbs, outcomes } = await warm(
      {
        mode: (real) => ({
          launch(ctx, spec) {
            launches += 1;
            return launches <= 2
              ? Promise.reject(new CagematchError('launch-failed', 'no room'))
              : real.launch(ctx, spec);
          },
        }),
      },
      { runs: 2 },
    );
    expect(outcomes).toEqual([{ status: 'failed', cause: 'sandbox', message: 'no room' }, PASSED]);
    expect(verbs).toEqual(['destroy', 'destroy', 'launch', 'agent', 'destroy']);
  });

  it('replaces a sandbox that can no longer be emptied, and the run goes on in the new one', async () => {
    let emptied = 0;
    const { verbs, outcomes } = await warm(
      {
        mode: (real) => ({
          exec(ctx, handle, command) {
            const clears =
              !('CLAUDE_CODE_OAUTH_TOKEN' in command.secretEnv) && handle.name.endsWith('idle1');
            if (clears) emptied += 1;
            return real.exec(
              ctx,
              handle,
              clears && emptied > 1
                ? { ...command, argv: ['/bin/sh', '-c', 'echo busy >&2; exit 1'] }
                : command,
            );
          },
        }),
      },
      { runs: 2 },
    );
    expect(outcomes).toEqual([PASSED, PASSED]);
    expect(verbs).toEqual(['launch', 'agent', 'destroy', 'launch', 'agent', 'destroy']);
  });

  it('names what an agent left running, and does not work beside it', async () => {
    const { runs, verbs } = await warm(
      {
        async agent({ run, ctx, sandbox, command }) {
          if (run > 1) return;
          const stray = scriptedMode([]).exec(
            ctx,
            { name: sandbox },
            { ...command, secretEnv: {}, argv: ['/bin/sh', '-c', 'echo up; exec sleep 100'] },
          );
          for await (const event of stray) if (event.type === 'line') return;
        },
      },
      { runs: 2 },
    );
    expect(runs[0]?.leftovers).toEqual([expect.objectContaining({ kind: 'process' })]);
    expect(verbs).toEqual(['launch', 'agent', 'destroy', 'launch', 'agent', 'destroy']);
    expect(runs[1]?.leftovers).toEqual([]);
  });

  it.each(['launch', 'agent'] as const)(
    'leaves nothing when the user stops the match in %s',
    async (step) => {
      const stop = new AbortController();
      const stuck = () => {
        stop.abort();
        return step === 'launch' ? Promise.reject(new Error('gave up')) : never();
      };
      const { verbs, outcomes } = await warm(
        step === 'agent' ? { agent: stuck } : { mode: () => ({ launch: stuck }) },
        {
          signal: stop.signal,
        },
      );
      expect(verbs.at(-1)).toBe('destroy');
      expect(verbs.filter((verb) => verb === 'destroy')).toHaveLength(1);
      expect(outcomes).toEqual(
        step === 'agent' ? [expect.objectContaining({ cause: 'interrupted' })] : [],
      );
      expect(
        readdirSync(tmpdir()).filter((name) => name.startsWith('cagematch-warm-') && owned(name)),
      ).toEqual([]);
    },
  );

  it('is not made ready where the workspace is copied in', async () => {
    const calls: string[] = [];
    const { eventsOf, runs } = await runScriptedMatch([
      entryOf(scriptedMode(calls), { state: 'warm', workspace: 'copy' }),
    ]);
    expect(eventsOf('unprepared')[0]?.outcome).toMatchObject({
      status: 'failed',
      hint: '--state prepared',
    });
    expect([runs, calls]).toEqual([[], []]);
  });
});

/** Made by this very process. */
function owned(name: string): boolean {
  const owner = join(tmpdir(), name, '.owner');
  return existsSync(owner) && readFileSync(owner, 'utf8').startsWith(`${process.pid}:`);
}

describe('the sandboxes that idle', () => {
  it('are destroyed by name when their launch never came back', async () => {
    const calls: string[] = [];
    const mode = scriptedMode(calls, {
      mode: () => ({ launch: () => Promise.reject(new CagematchError('launch-failed', 'no')) }),
    });
    const ctx = modeContext(mode.id, {
      env: { PATH: process.env.PATH ?? '' },
      uid: process.getuid?.(),
    });
    const ground = {
      mode,
      ctx,
      reach: { via: 'inside' } as const,
      gatewayPort: undefined,
      task: bundledTask('hello'),
    };
    const pool = createPool(ground, (tail) => `box-${tail}`);
    await pool.take(0).catch(() => {});
    expect(await pool.drop(0)).toEqual({ name: 'box-idle1', folder: [] });
    expect(calls).toEqual(['destroy box-idle1']);
    expect(await pool.drop(0)).toEqual({ folder: [] });
  });
});

describe('a seed', () => {
  it('is never written through a link that lies in its place', () => {
    const folder = temporaryFolder();
    const target = join(folder, 'target');
    const workspace = join(folder, 'workspace');
    mkdirSync(workspace);
    writeFileSync(target, 'mine');
    symlinkSync(target, join(workspace, 'nonce.txt'));
    expect(() => bundledTask('hello').seed(workspace)).toThrow(/EEXIST/);
    expect(readFileSync(target, 'utf8')).toBe('mine');
  });
});
