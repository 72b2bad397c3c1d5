// One suite over every mode: against its stand-in, and against the real runtime wherever this
// machine has it.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EntryOptions, ExecEnd, ExecStream } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { capture } from '../../lib/os/capture.js';
import { childrenOf, readTree } from '../../lib/os/process-tree.js';
import { quoted } from '../../lib/os/quoted.js';
import { commitsOf } from '../../lib/sandbox/git-return.js';
import {
  type Arena,
  type Box,
  type Output,
  openArena,
  read,
  SEED,
  shell,
  watchArgv,
} from '../support/conformance/arena.js';
import { limitsOf } from '../support/conformance/limits.js';
import {
  contextOf,
  findTargets,
  HOST_ONLY,
  HOST_ONLY_MARK,
  type Target,
} from '../support/conformance/targets.js';

const { modes, targets, notReal } = await findTargets();
/** Where a file for the guests lies; any user may read it. */
const shelf = mkdtempSync(join(tmpdir(), 'guest-file-'));
chmodSync(shelf, 0o755);
writeFileSync(join(shelf, 'file.txt'), 'a file for the guest\n', { mode: 0o644 });
/** Of an account that is neither the caller's nor the agent's. */
const PRIVATE = join(shelf, 'private.txt');
writeFileSync(PRIVATE, 'nobody else reads this\n', { mode: 0o600 });
if (process.getuid?.() === 0) chownSync(PRIVATE, 4242, 4242);
// Here and not in the suites: a filter may leave some of them out.
afterAll(async () => {
  await Promise.all(targets.map(({ close }) => close()));
  rmSync(shelf, { recursive: true });
});

type Verdict = 'pass' | 'fail' | 'not-applicable' | 'unverified';
const verdicts = new Map<string, Verdict[]>();
/** Runtimes that are ready, but whose image cannot be had here. */
const imageless = new Map<string, string>();

/** Of a row that shares two cores with those of ten other targets; not what the sentence is about. */
const ROW_MS = 240_000;

/** One row of one target. `notApplicable`: why the sentence says nothing about this mode, if so. */
function row(
  target: Target,
  sentence: string,
  run: () => Promise<void>,
  notApplicable: () => string | false = () => false,
): void {
  const note = (verdict: Verdict) =>
    verdicts.set(target.name, [...(verdicts.get(target.name) ?? []), verdict]);
  test.sequential(sentence, { timeout: ROW_MS }, async (context) => {
    const unverified = imageless.get(target.name);
    if (unverified !== undefined) {
      note('unverified');
      context.skip(`unverified: ${unverified}`);
    }
    const why = notApplicable();
    if (why !== false) {
      note('not-applicable');
      context.skip(`not applicable: ${why}`);
    }
    try {
      await run();
      note('pass');
    } catch (error) {
      note('fail');
      throw error;
    }
  });
}

const SCRIPT = '/usr/bin/script';

const failed = (end: ExecEnd) => end.type !== 'exit' || end.code !== 0;

describe.each(modes)('$id, with nothing installed', (mode) => {
  test('detect says what is missing, in one line each for the reason and for what to type', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'empty-'));
    const { ctx, keeper } = contextOf(
      { mode, env: { PATH: empty, HOME: empty }, variant: undefined, runtimeState: undefined },
      'none',
    );
    const startedMs = performance.now();
    const detection = await mode.detect({ ...ctx, agentBinary: undefined, packageRoot: empty });
    const tookMs = performance.now() - startedMs;
    await keeper.closeAll();
    rmSync(empty, { recursive: true });
    expect(detection.status).toMatch(/^(absent|broken|unconfigured)$/);
    if (detection.status === 'ready') return;
    expect(detection.reason).toMatch(/^\S.+$/);
    expect(detection.hint).toMatch(/^\S.+$/);
    expect(tookMs).toBeLessThan(5000);
  });
});

function conforms(target: Target): void {
  const { mode } = target;
  let arena: Arena;
  let idle: Box;
  const guestFile = { path: '/tmp/cagematch/conformance.txt', source: join(shelf, 'file.txt') };
  const sharesFiles = mode.isolation === 'none' || mode.isolation === 'os-sandbox';
  const noOneShot = () => !mode.oneShot && 'the runtime has no one-shot form';

  /** A one-shot sandbox, read to its end and destroyed. */
  async function oneShot(purpose: string, script: string): Promise<Output> {
    const box = await arena.launch(arena.plan(purpose, (layout) => shell(layout, script)));
    if (!box.process) throw new Error('launch gave no process');
    const output = await read(box.process);
    await mode.destroy(arena.ctx, box.handle);
    expect(await arena.listed(box.name)).toEqual([]);
    return output;
  }

  beforeAll(async () => {
    try {
      arena = await openArena(target);
    } catch (error) {
      if (!(target.real && error instanceof CagematchError && error.code === 'image-unavailable'))
        throw error;
      imageless.set(target.name, error.message);
      return;
    }
    idle = await arena.launch(arena.plan('idle', undefined, sharesFiles ? [] : [guestFile]));
  }, 120_000);
  afterAll(async () => {
    await arena?.close();
  });

  row(target, 'detect says ready, with a version', async () => {
    const detection = await mode.detect(arena.ctx);
    expect(detection).toMatchObject({
      status: 'ready',
      version: expect.stringMatching(target.real ? /\S/ : /stand-in/),
    });
  });

  row(target, 'prepare does nothing the second time', async () => {
    arena.messages.length = 0;
    await mode.prepare(arena.ctx);
    expect(arena.messages).toEqual([]);
  });

  row(
    target,
    'a one-shot command prints on both streams, its last line without a newline too, and its code comes out',
    async () => {
      const output = await oneShot('oneshot', 'echo out; echo err >&2; printf tail; exit 7');
      expect(output).toMatchObject({ stdout: ['out', 'tail'], end: { type: 'exit', code: 7 } });
      expect(output.stderr).toContain('err');
    },
    noOneShot,
  );

  row(
    target,
    'a one-shot command that succeeds exits 0',
    async () => expect((await oneShot('success', 'exit 0')).end).toEqual({ type: 'exit', code: 0 }),
    noOneShot,
  );

  row(
    target,
    'a one-shot command that is killed by a signal never seems to have succeeded',
    async () => expectSignal((await oneShot('killed', 'kill -9 $$')).end),
    noOneShot,
  );

  row(
    target,
    'a one-shot program that does not exist is a failed launch or a failed command',
    async () => {
      const plan = arena.plan('missing', (layout) => ({
        ...shell(layout, ''),
        argv: ['no-such-program-9d1f'],
      }));
      const end = await arena.launch(plan).then(
        async (box) =>
          (await read(box.process ?? mode.exec(arena.ctx, box.handle, plan.spec.command as never)))
            .end,
        (error) => error,
      );
      if (end instanceof Error) expect(end).toMatchObject({ code: 'launch-failed' });
      else expect(failed(end)).toBe(true);
      await mode.destroy(arena.ctx, { name: plan.name });
      expect(await arena.listed(plan.name)).toEqual([]);
    },
    noOneShot,
  );

  row(target, 'a sandbox without a command idles and takes one command after another', async () => {
    const first = await arena.sh(idle, 'echo one; echo two >&2');
    expect(first).toMatchObject({ stdout: ['one'], end: { type: 'exit', code: 0 } });
    expect(first.stderr).toContain('two');
    expect(await arena.sh(idle, 'printf "no newline"; exit 7')).toMatchObject({
      stdout: ['no newline'],
      end: { type: 'exit', code: 7 },
    });
  });

  row(
    target,
    'of short commands, many at once, nothing that they print is lost',
    async () => {
      const expected = {
        stdout: ['out'],
        stderr: expect.arrayContaining(['err']),
        end: { type: 'exit', code: 0 },
      };
      // A remote runtime takes one command a second.
      for (let round = 0; round < (mode.isolation === 'remote-vm' ? 1 : 3); round += 1) {
        const outputs = await Promise.all(
          Array.from({ length: 8 }, () => arena.sh(idle, 'echo out; echo err >&2')),
        );
        for (const output of outputs) expect(output).toMatchObject(expected);
      }
    },
    () =>
      mode.isolation === 'os-sandbox' &&
      'each command makes its own mount points in the one workspace',
  );

  row(target, 'a command that is killed by a signal never seems to have succeeded', async () => {
    expectSignal((await arena.sh(idle, 'kill -9 $$')).end);
  });

  row(target, 'a program that does not exist never seems to have succeeded', async () => {
    expect(failed((await read(arena.stream(idle, ['no-such-program-9d1f']))).end)).toBe(true);
  });

  row(target, 'what is set is there inside, and nothing of the host is', async () => {
    const output = await arena.sh(idle, 'env', {
      env: { GIVEN: 'plain = value' },
      secretEnv: { SECRET: 'hidden value' },
    });
    expect(output.stdout).toContain('GIVEN=plain = value');
    expect(output.stdout).toContain('SECRET=hidden value');
    expect(output.stdout.filter((line) => line.includes(HOST_ONLY_MARK))).toEqual([]);
    expect(
      output.stdout.filter((line) => Object.keys(HOST_ONLY).includes(line.split('=', 1)[0] ?? '')),
    ).toEqual(
      // srt leads its own proxy inside, and so does a runtime that puts credentials into requests.
      output.stdout.filter(
        (line) =>
          (mode.isolation === 'os-sandbox' || mode.auth.includes('runtime-proxy')) &&
          line.startsWith('HTTPS_PROXY='),
      ),
    );
  });

  row(target, 'a secret gets in, and is in no argv on this host', async () => {
    const secret = `conformance-secret-${createHash('sha256').update(target.name).digest('hex').slice(0, 16)}`;
    const watching = watchArgv(secret);
    // The whole answer is compared: when it is wrong, the message says how the command ended and
    // what it said instead.
    const script = 'printf %s "$SECRET" | wc -c | tr -d " "';
    const expected = { stdout: [String(secret.length)], end: { type: 'exit', code: 0 } };
    if (mode.oneShot) {
      const box = await arena.launch(
        arena.plan('secret', (layout) => shell(layout, script, { secretEnv: { SECRET: secret } })),
      );
      expect(await read(box.process as never)).toMatchObject(expected);
      await mode.destroy(arena.ctx, box.handle);
    }
    expect(await arena.sh(idle, script, { secretEnv: { SECRET: secret } })).toMatchObject(expected);
    expect(watching.stop()).toEqual([]);
    if (target.argvLog !== undefined && existsSync(target.argvLog))
      expect(readFileSync(target.argvLog, 'utf8')).not.toContain(secret);
  });

  row(target, 'the workspace is inside, and is where commands start', async () => {
    const output = await arena.sh(
      idle,
      'cat deep/er/seed.txt; [ "$(pwd -P)" = "$(cd "$1" && pwd -P)" ] && echo here',
      {
        args: [idle.layout.workspace],
      },
    );
    expect(output.stdout).toEqual([SEED.trim(), 'here']);
  });

  row(
    target,
    'what is written inside is on the host after collect: the same bytes, and the owner of the workspace',
    async () => {
      const program =
        "const b=Buffer.alloc(100003,i=>0);for(let i=0;i<b.length;i++)b[i]=(i*31)%256;require('fs').writeFileSync('deep/made.bin',b);console.log(require('crypto').createHash('sha256').update(b).digest('hex'))";
      const output = await arena.sh(idle, 'node -e "$1"', { args: [program] });
      expect(output.end).toEqual({ type: 'exit', code: 0 });
      await mode.collect(arena.ctx, idle.handle, idle.host.workspace);
      const made = join(idle.host.workspace, 'deep/made.bin');
      expect(createHash('sha256').update(readFileSync(made)).digest('hex')).toBe(output.stdout[0]);
      expect({ uid: statSync(made).uid, gid: statSync(made).gid }).toEqual({
        uid: arena.user.uid,
        gid: arena.user.gid,
      });
    },
  );

  row(
    target,
    'what was committed inside comes back as a bundle that git takes; where nothing was, there is none',
    async () => {
      const bundle = () => commitsOf(mode, arena.ctx, idle.handle, idle.layout);
      expect(await bundle()).toBeUndefined();
      const script =
        'git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m "made inside" && git tag -m t tag 2>/dev/null; git branch other';
      expect((await arena.sh(idle, script)).end).toEqual({ type: 'exit', code: 0 });
      const brought = await bundle();
      const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
      writeFileSync(join(folder, 'brought.bundle'), brought ?? '');
      const git = (...args: string[]) =>
        capture(['git', ...args], {
          env: { PATH: process.env.PATH ?? '' },
          cwd: folder,
          timeoutMs: 20_000,
        });
      await git('clone', '--quiet', '--bare', 'brought.bundle', 'clone');
      expect((await git('-C', 'clone', 'log', '-1', '--format=%s', 'other')).stdout).toBe(
        'made inside\n',
      );
      await arena.sh(idle, 'rm -rf .git');
      rmSync(folder, { recursive: true });
    },
    () => mode.isolation === 'os-sandbox' && 'srt forbids the settings that git init writes',
  );

  row(
    target,
    'the files that the spec names are inside',
    async () =>
      expect((await arena.sh(idle, 'cat "$1"', { args: [guestFile.path] })).stdout).toEqual([
        'a file for the guest',
      ]),
    () => sharesFiles && 'the sandbox shares the files of the host',
  );

  row(target, 'megabytes of output come out whole and in order', async () => {
    // A far machine's output is asked for piece by piece.
    const count = mode.isolation === 'remote-vm' ? 1000 : 20_000;
    const program =
      "const p='x'.repeat(990);let i=0;const go=()=>{while(i<+process.argv[1])if(!process.stdout.write(String(i++).padStart(9,'0')+p+'\\n'))return process.stdout.once('drain',go)};go()";
    const output = await arena.sh(idle, 'node -e "$1" "$2"', { args: [program, String(count)] });
    expect(output.end).toEqual({ type: 'exit', code: 0 });
    expect(output.stdout.length).toBe(count);
    expect(
      output.stdout.findIndex(
        (line, index) => line.length !== 999 || Number(line.slice(0, 9)) !== index,
      ),
    ).toBe(-1);
  });

  row(
    target,
    'the address that reach names answers inside',
    async () => {
      const url = arena.reach.via === 'address' ? arena.reach.url(arena.port ?? 0) : '';
      const output = await arena.sh(idle, 'node -e "$1" "$2"', { args: [FETCH, url] });
      expect(output).toMatchObject({ stdout: ['reached'], end: { type: 'exit', code: 0 } });
    },
    () => arena.reach.via === 'inside' && 'the model runs inside',
  );

  row(
    target,
    'what another account of this host keeps to itself cannot be read inside',
    async () => {
      const output = await arena.sh(idle, 'cat "$1" 2>/dev/null; echo "not read"', {
        args: [PRIVATE],
      });
      expect(output.stdout).toEqual(['not read']);
    },
    () =>
      (process.getuid?.() !== 0 && 'only root can make such a file') ||
      (!target.real && 'a stand-in works as its caller') ||
      (mode.isolation === 'none' && 'it is this host'),
  );

  row(
    target,
    'the options that the mode knows are in force inside, or refused before anything is launched',
    async () => {
      const taken = async (options: EntryOptions) => {
        const ctx = { ...arena.ctx, env: target.env, options };
        const refusal = await mode.prepare(ctx).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (refusal !== undefined)
          expect(refusal).toMatchObject({ code: 'not-ready', hint: expect.stringMatching(/./) });
        return refusal === undefined;
      };
      const sized: EntryOptions = {};
      for (const [option, value] of Object.entries({ tmpfs: true, cpus: 1, memoryMiB: 1024 })) {
        if (
          !mode.options?.includes(option as keyof EntryOptions) ||
          !(await taken({ [option]: value }))
        )
          continue;
        Object.assign(sized, { [option]: value });
      }
      await arena.withOptions('sized', sized, async (box, sh) => {
        if (!target.real) return; // That it takes the options is what a stand-in can show.
        if (sized.tmpfs) {
          const script =
            'grep -c "^[^ ]* /tmp tmpfs " /proc/mounts; printf "#!/bin/sh\\necho ran\\n" >/tmp/own; chmod +x /tmp/own; /tmp/own';
          expect(await sh(script)).toMatchObject({
            stdout: ['1', 'ran'],
            end: { type: 'exit', code: 0 },
          });
        }
        const processes = readTree((await mode.processes?.(arena.ctx, box.handle)) ?? []);
        const seen = await limitsOf(processes.keys(), sh);
        if (sized.memoryMiB !== undefined) expect(seen.memoryBytes).toBe(sized.memoryMiB * 2 ** 20);
        if (sized.cpus !== undefined) expect(seen.cpus).toBe(sized.cpus);
      });
      for (const egress of [
        'gateway',
        'internet',
        ['example.com'],
      ] satisfies EntryOptions['egress'][]) {
        if (
          !mode.options?.includes('egress') ||
          !(await taken({ egress })) ||
          !target.real ||
          egress !== 'gateway'
        )
          continue;
        await arena.withOptions('enclosed', { egress }, async (_, sh) => {
          if (mode.isolation === 'system-container')
            expect((await sh('ls /sys/class/net')).stdout.sort()).toEqual(['cagematch0', 'lo']);
        });
      }
      if (mode.options?.includes('network') && (await taken({ network: 'none' }))) {
        await arena.withOptions('alone', { network: 'none' }, async (_, sh) => {
          if (target.real)
            expect((await sh("sed -n 's/^ *\\([^ ]*\\):.*/\\1/p' /proc/net/dev")).stdout).toEqual([
              'lo',
            ]);
        });
      }
    },
    () => !mode.options && 'it has no options',
  );

  const MEASURED =
    'globalThis.held = Buffer.alloc(64 << 20, 1); console.log("at work"); setInterval(() => require("fs").existsSync("done") && process.exit(0), 20)';
  row(
    target,
    'it says what it costs: the processes that are the sandbox use what the command in it uses; our own clients are none of them',
    async () => {
      const boxes = [idle];
      let working = atWork(arena.stream(idle, ['node', '-e', MEASURED]));
      if (mode.oneShot) {
        const box = await arena.launch(
          arena.plan('cost', (layout) => ({
            ...shell(layout, ''),
            argv: ['node', '-e', MEASURED],
          })),
        );
        boxes.push(box);
        const idles = working;
        const alone = atWork(box.process as never);
        working = {
          begun: Promise.all([idles.begun, alone.begun]),
          ended: Promise.all([idles.ended, alone.ended]),
        };
      }
      await working.begun;
      for (const { handle } of boxes) {
        const roots = (await mode.processes?.(arena.ctx, handle)) ?? [];
        const tree = readTree(roots);
        expect({ ...handle, roots: roots.length }).not.toMatchObject({ roots: 0 });
        const used = [...tree.values()];
        expect(used.reduce((sum, { memoryPeakBytes }) => sum + memoryPeakBytes, 0)).toBeGreaterThan(
          64 << 20,
        );
        expect(
          used.reduce((sum, { cpuUserMs, cpuSystemMs }) => sum + cpuUserMs + cpuSystemMs, 0),
        ).toBeGreaterThan(0);
        if (!sharesFiles)
          expect(childrenOf([process.pid]).filter((pid) => tree.has(pid))).toEqual([]);
        expect(tree.has(process.pid)).toBe(false);
      }
      for (const { host } of boxes) writeFileSync(join(host.workspace, 'done'), '');
      await working.ended;
      for (const box of boxes.slice(1)) await mode.destroy(arena.ctx, box.handle);
      rmSync(join(idle.host.workspace, 'done'));
    },
    () => notHere(target, mode.elsewhere ? undefined : mode.processes),
  );

  row(
    target,
    'it says what its image takes on disk, and what a sandbox adds where that is told',
    async () => {
      const { imageBytes, sandboxBytes = 0 } = (await mode.disk?.(arena.ctx, idle.handle)) ?? {};
      expect(imageBytes).toBeGreaterThan(100e6);
      expect(sandboxBytes).toBeGreaterThanOrEqual(0);
      expect(sandboxBytes).toBeLessThan(1e9);
    },
    () => notHere(target, mode.disk),
  );

  row(
    target,
    'with nothing but its name, a sandbox takes commands and gives back its workspace; or the mode says what is missing',
    async () => {
      const { name } = idle;
      const found = mode.processes?.(arena.ctx, { name });
      const run = async () =>
        read(
          mode.exec(
            arena.ctx,
            { name },
            shell(idle.layout, 'echo "by name" >by-name.txt; cat by-name.txt'),
          ),
        );
      // The settings of an OS sandbox exist in its handle alone: it must not be left out of them.
      if (mode.isolation === 'os-sandbox')
        return void (await expect(run()).rejects.toMatchObject({ code: 'not-ready' }));
      expect(await run()).toMatchObject({ stdout: ['by name'], end: { type: 'exit', code: 0 } });
      await mode.collect(arena.ctx, { name }, idle.host.workspace);
      const file = join(idle.host.workspace, 'by-name.txt');
      expect(readFileSync(file, 'utf8')).toBe('by name\n');
      expect({ uid: statSync(file).uid, gid: statSync(file).gid }).toEqual({
        uid: arena.user.uid,
        gid: arena.user.gid,
      });
      if (target.real && !sharesFiles && !mode.elsewhere)
        expect((await found)?.length).toBeGreaterThan(0);
    },
  );

  row(
    target,
    'a command with a terminal has its folder, its environment and its secrets, of which none is in an argv',
    async () => {
      const secret = `terminal-secret-${createHash('sha256').update(target.name).digest('hex').slice(0, 16)}`;
      const script =
        '[ -t 0 ] && [ -t 1 ] && cat deep/er/seed.txt && echo "$GIVEN" && printf %s "$SECRET" | wc -c | tr -d " "; exit 7';
      const command = shell(idle.layout, script, {
        env: { GIVEN: "plain = 'value'" },
        secretEnv: { SECRET: secret },
      });
      const watching = watchArgv(secret);
      const { argv, env, cwd } = await mode.terminal(arena.ctx, idle.handle, command);
      expect(argv.join(' ')).not.toContain(secret);
      if (mode.isolation === 'remote-vm') return; // Its client is not here.
      const within = [SCRIPT, '-qec', argv.map(quoted).join(' '), '/dev/null'] as const;
      const { stdout, end } = await capture([...within], {
        env: { ...env, SHELL: '/bin/sh' },
        cwd,
        timeoutMs: 20_000,
      });
      // `script` shows the end of its own input, and a client may add a line of its own at the end.
      const lines = stdout
        .replaceAll(/\r|\^@/g, '')
        .split('\n')
        .slice(0, 3);
      expect({ lines, end }).toMatchObject({
        lines: [SEED.trim(), "plain = 'value'", `${secret.length}`],
        end: { type: 'exit', code: 7 },
      });
      expect(watching.stop()).toEqual([]);
    },
    () => !existsSync(SCRIPT) && 'there is no program here that makes terminals',
  );

  row(
    target,
    'two sandboxes do not mix; each is listed with its labels; one is reaped without the other; destroy ends a running command',
    async () => {
      const other = await arena.launch(arena.plan('other'));
      await Promise.all([
        arena.sh(idle, 'echo idle > mine.txt'),
        arena.sh(other, 'echo other > mine.txt'),
      ]);
      const [mine, theirs] = await Promise.all([
        arena.sh(idle, 'cat mine.txt'),
        arena.sh(other, 'cat mine.txt'),
      ]);
      expect([mine.stdout, theirs.stdout]).toEqual([['idle'], ['other']]);

      const [running, doomed] = [
        await beginSleeping(arena, other),
        await beginSleeping(arena, idle),
      ];
      const { match, owner, session } = arena.ctx.labels;
      for (const name of [idle.name, other.name]) {
        const listed = await arena.listed(name);
        expect(listed.length).toBeGreaterThan(0);
        for (const { labels } of listed)
          expect(labels).toEqual({ match, owner, session, mode: mode.id });
        expect(listed.map(({ state }) => state)).toContain('running');
      }

      for (const listed of await arena.listed(other.name)) await mode.reap(arena.ctx, listed);
      expect(await arena.listed(other.name)).toEqual([]);
      await mode.destroy(arena.ctx, other.handle);
      expect(failed((await running.ended).end)).toBe(true);
      expect(await arena.listed(idle.name)).not.toEqual([]);

      await mode.destroy(arena.ctx, idle.handle);
      expect(failed((await doomed.ended).end)).toBe(true);
      expect(await arena.listed(idle.name)).toEqual([]);
    },
  );

  row(target, 'destroy may be called again, and for a name that never was', async () => {
    await mode.destroy(arena.ctx, idle.handle);
    await mode.destroy(arena.ctx, { name: `${idle.name}-never` });
    expect(await arena.listed(idle.name)).toEqual([]);
  });

  row(target, 'a launch that fails says so, and leaves nothing after destroy', async () => {
    const plan = arena.plan('failing', (layout) => ({
      ...shell(layout, 'exit 0'),
      argv: ['/no/such/program'],
      cwd: '/no/such/folder',
    }));
    const faults = [
      { agentVersion: '0.0.0-none', agentBinary: undefined }, // no such image, where there is one
      { env: { PATH: '/no/such/folder' } }, // no client, no account
    ];
    const errors: unknown[] = [];
    for (const fault of faults) {
      await mode.launch({ ...arena.ctx, ...fault }, plan.spec).catch((error) => errors.push(error));
      await mode.destroy(arena.ctx, { name: plan.name });
      expect(await arena.listed(plan.name)).toEqual([]);
    }
    expect(errors).not.toEqual([]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(CagematchError);
      expect(error).toMatchObject({
        code: expect.stringMatching(/^(launch-failed|image-unavailable)$/),
        message: expect.stringMatching(/^\S.+$/),
      });
    }
  });
}

/**
 * Targets whose rows run alone. bubblewrap mounts all of this host's tree again, and fails when a
 * container's mount goes away meanwhile. What prints megabytes straight to this process is held up
 * by all that this process does for the other targets. And beside ten other targets, `incus exec`
 * on a cluster has twice ended with 0 and without its last lines; alone it never has, however
 * slowly it was read.
 */
const runsAlone = ({ mode, real }: Target) =>
  mode.isolation === 'os-sandbox' || (real && (mode.isolation === 'none' || mode.elsewhere));
describe.each(targets.filter(runsAlone))('$name', conforms);
describe.concurrent.each(targets.filter((target) => !runsAlone(target)))('$name', conforms);

/**
 * Without a proxy where the way is direct; through it where the sandbox has no other (Node's own
 * fetch knows none).
 */
const FETCH = `
const target = new URL(process.argv[1]);
const proxy = process.env.HTTP_PROXY || process.env.http_proxy;
const at = proxy ? new URL(proxy) : target;
const auth = at.username ? { 'proxy-authorization': 'Basic ' + Buffer.from(decodeURIComponent(at.username) + ':' + decodeURIComponent(at.password)).toString('base64') } : {};
require('http').get({ host: at.hostname, port: at.port, path: proxy ? target.href : target.pathname, headers: { host: target.host, ...auth } }, (res) => {
  let text = '';
  res.on('data', (part) => (text += part)).on('end', () => console.log(text));
});
`;

function expectSignal(end: ExecEnd): void {
  if (end.type === 'exit') expect(end.code).toBe(137);
  else expect(end).toEqual({ type: 'signal', name: 'SIGKILL' });
}

/**
 * Why a mode's word on this host's processes or disk cannot be held against anything here, if so.
 */
function notHere(target: Target, member: unknown): string | false {
  if (member === undefined) return 'the mode cannot tell it';
  if (!target.real) return 'a stand-in has no monitor and no image';
  return process.platform !== 'linux' && 'this platform has no /proc';
}

function atWork(stream: ExecStream): { begun: Promise<unknown>; ended: Promise<unknown> } {
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = read(stream, (line) => line === 'at work' && begin());
  return {
    begun: Promise.race([
      begun,
      ended.then(({ stderr }) => Promise.reject(new Error(`ended at once: ${stderr.join(' ')}`))),
    ]),
    ended,
  };
}

/** Resolves when the command is under way. */
function beginSleeping(arena: Arena, box: Box): Promise<{ ended: Promise<Output> }> {
  return new Promise((resolve, reject) => {
    const ended = read(
      arena.stream(box, ['/bin/sh', '-c', 'echo begun; sleep 300']),
      (line) => line === 'begun' && resolve({ ended }),
    );
    void ended.then(({ stderr }) => reject(new Error(`ended at once: ${stderr.join(' ')}`)));
  });
}

test('every runtime that CAGEMATCH_CONFORMANCE_REQUIRE names was exercised for real, and so was the host', () => {
  const required = [
    'host',
    ...(process.env.CAGEMATCH_CONFORMANCE_REQUIRE ?? '').split(',').filter(Boolean),
  ];
  expect(required.filter((name) => !verdicts.get(name)?.includes('pass'))).toEqual([]);
});

afterAll(() => {
  const lines = targets.map(({ name, real }) => {
    const all = verdicts.get(name) ?? [];
    const count = (verdict: Verdict) => all.filter((other) => other === verdict).length;
    const why = imageless.get(name);
    if (why !== undefined) return `  unverified ${name.padEnd(28)} ${why}`;
    return `  ${real ? 'real      ' : 'stand-in  '} ${name.padEnd(28)} ${count('pass')} pass, ${count('fail')} fail, ${count('not-applicable')} not applicable`;
  });
  const standIns = new Set(targets.filter(({ real }) => !real).map(({ mode }) => mode.id));
  const missing = notReal.map(
    ({ mode, why }) =>
      `  ${standIns.has(mode) ? 'not real  ' : 'unverified'} ${mode.padEnd(28)} ${why}`,
  );
  console.log(['conformance: what was exercised', ...lines.sort(), ...missing].join('\n'));
});
