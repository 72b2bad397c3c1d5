// Whole runs that leave something: each thing is in the row by its kind, and what a third party
// made meanwhile is not.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openAudit } from '../../lib/census/census.js';
import { machineAt } from '../../lib/census/machine.js';
import type { Command, Context, Mode } from '../../lib/contract.js';
import { makeFolder, removeFolder } from '../../lib/os/owner.js';
import { isGap, type Leftover } from '../../lib/record/types.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import host from '../../modes/host.js';
import { contextOf, findTargets } from '../support/conformance/targets.js';
import { modeContext } from '../support/mode-context.js';
import {
  entryOf,
  PASSED,
  type Part,
  runScriptedMatch,
  scriptedMode,
} from '../support/scripted-match.js';
import { openStandIn } from '../support/stand-ins/stand-in.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Run = Awaited<ReturnType<typeof runScriptedMatch>>['runs'][number] | undefined;
const leftOf = (run: Run): Leftover[] =>
  run === undefined || isGap(run.leftovers) ? [] : run.leftovers;
const kindsOf = (run: Run) =>
  isGap(run?.leftovers)
    ? run.leftovers
    : leftOf(run)
        .map(({ kind }) => kind)
        .toSorted();
const asRoot = process.getuid?.() === 0;

/** Starts a process of the sandbox that outlives its agent, and waits until it says something. */
async function daemon(
  ctx: Context,
  sandbox: string,
  command: Command,
  argv: [string, ...string[]],
): Promise<string> {
  for await (const event of host.exec(ctx, { name: sandbox }, { ...command, secretEnv: {}, argv }))
    if (event.type === 'line') return event.text;
  throw new Error('the daemon said nothing');
}

/** The run's own sandbox is not destroyed as it should be: what the agent started goes on. */
const careless = (): Partial<Mode> => ({ destroy: async () => ({}), list: async () => [] });

async function played(part: Part) {
  const match = await runScriptedMatch([entryOf(scriptedMode([], part))], { runs: 2 });
  return {
    ...match,
    kinds: match.runs.map(kindsOf),
    outcomes: match.runs.map(({ outcome }) => outcome),
  };
}

describe('on the host itself, a run that leaves', () => {
  it('a process, and a port on which it listens, names both; the run after it does not', async () => {
    const script =
      "const s = require('net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))";
    let port = '';
    const { runs, kinds, outcomes } = await played({
      async agent({ run, ctx, sandbox, command }) {
        if (run === 1) port = await daemon(ctx, sandbox, command, [process.execPath, '-e', script]);
      },
      // What the signal of the run's end would kill is kept from it.
      mode: (real) => ({
        ...careless(),
        launch: (ctx, spec) => real.launch({ ...ctx, signal: new AbortController().signal }, spec),
      }),
    });
    for (const { kind, id } of leftOf(runs[0]))
      if (kind === 'process') process.kill(Number(/ pid (\d+)$/.exec(id)?.[1]), 'SIGKILL');
    expect(outcomes).toEqual([PASSED, PASSED]);
    expect(kinds).toEqual([['port', 'process'], []]);
    expect(runs[0]?.leftovers).toContainEqual({ kind: 'port', id: `127.0.0.1:${port}` });
  });

  it('a temporary folder names it, and the run after it does not', async () => {
    let folder = '';
    const { runs, outcomes } = await played({
      mode: (real) => ({
        async launch(ctx, spec) {
          if (folder === '') folder = makeFolder('leak');
          return real.launch(ctx, spec);
        },
      }),
    });
    removeFolder(folder);
    expect(outcomes).toEqual([PASSED, PASSED]);
    expect(runs.map(({ leftovers }) => leftovers)).toEqual([[{ kind: 'folder', id: folder }], []]);
  });

  it.skipIf(!asRoot || process.platform !== 'linux')(
    'a mount names it, its folder stays, and nothing below the mount is lost',
    async (context) => {
      const treasure = temporaryFolder();
      mkdirSync(join(treasure, 'gold'));
      let refused = false;
      const mounted: string[] = [];
      const { runs } = await played({
        async agent({ run, command }) {
          if (run > 1) return;
          const point = join(command.cwd, 'point');
          mkdirSync(point);
          const tried = await execa('mount', ['--bind', treasure, point], { reject: false });
          if (tried.exitCode === 0) mounted.push(point);
          else refused = true;
        },
      });
      for (const point of mounted) {
        await execa('umount', [point]);
        rmSync(join(point, '../..'), { recursive: true });
      }
      if (refused) context.skip('nothing can be mounted here');
      expect(kindsOf(runs[0])).toEqual(['disk', 'folder', 'mount']);
      expect(runs[0]?.leftovers).toContainEqual({ kind: 'mount', id: mounted[0] });
      expect(kindsOf(runs[1])).toEqual([]);
      expect(readdirSync(treasure)).toEqual(['gold']);
    },
  );

  it('nothing names nothing, whatever a third party does meanwhile', async () => {
    const theirs: string[] = [];
    onTestFinished(() => theirs.forEach((folder) => void rmSync(folder, { recursive: true })));
    const server = createServer();
    onTestFinished(() => void server.close());
    const { kinds } = await played({
      async agent({ run }) {
        theirs.push(mkdtempSync(join(tmpdir(), `third-party-${run}-`)));
        if (run === 1) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        const child = execa('sleep', ['60'], { reject: false });
        onTestFinished(() => void child.kill('SIGKILL'));
      },
    });
    expect(kinds).toEqual([[], []]);
  });
});

/**
 * A mode whose runs make something beside the sandbox, and forget it. The agent is played; the
 * container runtime is not.
 */
function leaky(mode: Mode, ctx: Context, leak: (sandbox: string) => Promise<unknown>): Mode {
  return scriptedMode([], {
    mode: (real) => ({
      isolation: mode.isolation,
      census: () => mode.census?.(ctx) as never,
      async launch(given, spec) {
        await leak(spec.name);
        return real.launch(given, spec);
      },
    }),
  });
}

describe.each(['docker', 'podman'])(
  'beside a container of %s (stand-in), a run that leaves',
  (program) => {
    async function leaves(...argvs: ((sandbox: string) => string[])[]) {
      const standIn = await openStandIn(program);
      onTestFinished(() => standIn.close());
      const mode = (await loadModes()).get(program) as Mode;
      const { ctx } = contextOf(
        { mode, env: standIn.env, variant: undefined, runtimeState: undefined },
        'none',
      );
      let launched = 0;
      const adapter = leaky(mode, ctx, async (sandbox) => {
        launched += 1;
        for (const argv of launched === 1 ? argvs : [])
          await execa(program, argv(sandbox), { env: standIn.env, extendEnv: false });
      });
      // Other matches of this machine do not matter here: the stand-in's store is the test's own.
      const nothing = temporaryFolder();
      const audit = openAudit(
        () => machineAt({ proc: nothing, cgroup: nothing, run: nothing, tmp: () => nothing }),
        [0, 0],
      );
      const { runs } = await runScriptedMatch([entryOf(adapter)], { runs: 2, audit });
      expect(runs.map(({ outcome }) => outcome)).toEqual([PASSED, PASSED]);
      return runs.map(kindsOf);
    }

    it('an anonymous volume names it', async () => {
      expect(await leaves(() => ['volume', 'create'])).toEqual([['volume'], []]);
    });

    it('a network called after the sandbox names it', async () => {
      expect(await leaves((sandbox) => ['network', 'create', `${sandbox}-net`])).toEqual([
        ['network'],
        [],
      ]);
    });

    it('a container with the label of the match names it', async () => {
      const [first] = await leaves(
        () => ['build', '--build-arg', 'AGENT_VERSION=1', '--tag', 'small:1', process.cwd()],
        () => [
          'run',
          '--detach',
          '--name',
          'beside',
          '--label',
          'cagematch.match=none',
          'small:1',
          'sleep',
          '60',
        ],
      );
      expect(first).toEqual(['container']);
    });

    it('nothing names nothing, whatever a third party makes meanwhile', async () => {
      const theirs = await leaves(
        () => ['volume', 'create', 'their-data'],
        () => ['network', 'create', 'their-net'],
        () => ['build', '--build-arg', 'AGENT_VERSION=1', '--tag', 'theirs:1', process.cwd()],
        () => ['run', '--detach', '--name', 'their-box', 'theirs:1', 'sleep', '60'],
        // Nobody can tell whose this is: somebody's container came meanwhile.
        () => ['volume', 'create'],
      );
      expect(theirs).toEqual([[], []]);
    });
  },
);

const { targets } = await findTargets();
const containers = targets.filter(
  ({ real, mode, variant }) => real && variant === undefined && mode.isolation === 'container',
);

describe.each(containers.length > 0 ? containers : [undefined])(
  'beside a real container of $name',
  (target) => {
    it.skipIf(target === undefined)(
      'a container and a network that a run leaves are named, and those of a third party are not',
      async () => {
        if (!target) return;
        const { mode, env } = target;
        const match = `l${process.pid}${mode.id}`;
        const { ctx } = contextOf(target, match);
        const client = (...args: string[]) =>
          execa(mode.id, args, { env, extendEnv: false, cwd: '/' });
        const base = env.CAGEMATCH_BASE_IMAGE ?? 'none';
        const made: string[][] = [];
        const make = async (kind: 'network' | 'container' | 'volume', name: string) => {
          made.unshift(kind === 'container' ? ['rm', '--force', name] : [kind, 'rm', name]);
          await client(
            ...(kind === 'container'
              ? ['create', '--pull', 'never', '--name', name, base, 'true']
              : [kind, 'create', name]),
          );
        };
        let launched = 0;
        const adapter = leaky(mode, ctx, async (sandbox) => {
          launched += 1;
          if (launched > 1) return;
          await make('network', `${sandbox}-net`);
          await make('container', `${sandbox}-beside`);
          await make('volume', `third-party-${match}`);
          await make('container', `third-party-${match}`);
        });
        const contextOfPlayed = () => ({
          ...modeContext('host', {
            env: { PATH: process.env.PATH ?? '' },
            uid: process.getuid?.(),
          }),
          labels: ctx.labels,
        });
        const { runs } = await runScriptedMatch([entryOf(adapter)], {
          runs: 2,
          matchId: match,
          contextOf: contextOfPlayed,
        }).finally(async () => {
          for (const argv of made) await client(...argv);
        });
        expect(runs.map(kindsOf)).toEqual([['container', 'network'], []]);
      },
    );
  },
);
