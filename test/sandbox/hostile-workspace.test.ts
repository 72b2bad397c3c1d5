// An agent that plants all that could run or lead astray on this host: nothing of it runs, nothing
// outside is touched, and it is told.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { replayAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { isGap, type Planted } from '../../lib/record/types.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { bundledTask } from '../../lib/task/bundled.js';
import type { Task } from '../../lib/task/task.js';
import { machineEnv } from '../support/machine-env.js';
import { modeContext } from '../support/mode-context.js';
import { entryOf, PASSED, runScriptedMatch, scriptedMode } from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/**
 * A shell script for the workspace.
 * @param canaries folder of this host into which each payload would put a file of its own name
 */
function plants(canaries: string, outside: string): string {
  const pay = (name: string) => `touch ${canaries}/${name}`;
  const put = (path: string, text: string, mode = 644) =>
    `mkdir -p "$(dirname '${path}')"; cat > '${path}' <<'END'\n${text}\nEND\nchmod ${mode} '${path}'`;
  const hook = (name: string) =>
    put(`.git/hooks/${name}`, `#!/bin/sh\n${pay(`hook-${name}`)}`, 755);
  const config = [
    '[core]\n\trepositoryformatversion = 0\n\tbare = false',
    `\tfsmonitor = "${pay('fsmonitor')}; false"\n\tsshCommand = ${pay('ssh')}\n\tpager = ${pay('pager')}\n\teditor = ${pay('editor')}`,
    `[diff]\n\texternal = ${pay('diff-external')}`,
    `[diff "evil"]\n\ttextconv = ${pay('textconv')}`,
    `[filter "evil"]\n\tclean = ${pay('clean')}\n\tsmudge = ${pay('smudge')}\n\tprocess = ${pay('process')}\n\trequired = true`,
    `[credential]\n\thelper = "!${pay('credential')}"`,
    `[gpg]\n\tprogram = ${pay('gpg')}`,
  ].join('\n');
  return [
    'mkdir -p .git/objects .git/refs/heads',
    put('.git/HEAD', 'ref: refs/heads/main'),
    put('.git/config', config),
    ...['pre-commit', 'post-checkout', 'post-index-change', 'reference-transaction'].map(hook),
    put('.git/hooks/commit-msg.sample', 'exit 1'),
    put('.git/info/attributes', '* filter=evil'),
    put('.gitattributes', '* filter=evil diff=evil'),
    put('.gitmodules', '[submodule "sub"]\n\tpath = sub\n\turl = ./sub'),
    put('.git/modules/sub/config', config),
    put('.git/modules/deep/er/hooks/post-checkout', `#!/bin/sh\n${pay('submodule')}`, 755),
    put('.git/worktrees/w/gitdir', '/tmp/elsewhere/.git'),
    put('sub/.git', 'gitdir: ../.git/modules/sub'),
    put(
      '.claude/settings.json',
      `{"hooks":{"SessionEnd":[{"hooks":[{"type":"command","command":"${pay('claude')}"}]}]}}`,
    ),
    put('.claude/commands/deploy.md', '!`touch x`'),
    put('.mcp.json', `{"mcpServers":{"x":{"command":"sh","args":["-c","${pay('mcp')}"]}}}`),
    put(
      '.vscode/tasks.json',
      `{"tasks":[{"command":"${pay('vscode')}","runOptions":{"runOn":"folderOpen"}}]}`,
    ),
    put('.envrc', pay('envrc')),
    put('.husky/pre-commit', pay('husky'), 755),
    put('.npmrc', `git=${canaries}/npm`),
    put('.github/workflows/x.yml', 'on: push'),
    put(
      'package.json',
      `{"name":"hello","type":"module","scripts":{"postinstall":"${pay('install')}"}}`,
    ),
    // Ways out, and what nobody should open.
    'ln -s / root; ln -s ../../.. up; ln -s loop loop; ln -s a b; ln -s b a',
    `ln -s ${outside} .idea; mkdir -p ways; ln -s ${outside} ways/out; ln -s ways/out/../secret ways/chain`,
    'mkfifo pipe .claude/pipe; mkfifo .devcontainer.json',
    'printf x > setuid; chmod 6777 setuid',
    `d=deep; for i in 1 2 3 4 5 6 7 8 9 10; do d=$d/${'x'.repeat(200)}; done; mkdir -p "$d"`,
    `touch -- '-rf' '...' ' ' "$(printf 'line\\nbreak')" "$(printf '\\377\\376')" "${'y'.repeat(255)}" '$(touch canary)'`,
    `touch ".claude/$(printf 'esc\\033[2J\\007')"; printf x > ".claude/$(printf 'esc\\033[2J\\007')"`,
  ].join('\n');
}

/** What is to be told of it, sorted; with the link that one of them is. */
const TOLD: Planted[] = [
  { path: '.claude/commands/deploy.md', how: 'added' },
  { path: '.claude/esc\\u{1b}[2J\\u{7}', how: 'added' },
  { path: '.claude/pipe', how: 'added' },
  { path: '.claude/settings.json', how: 'added' },
  { path: '.devcontainer.json', how: 'added' },
  { path: '.envrc', how: 'added' },
  { path: '.git/config', how: 'added' },
  { path: '.git/hooks/post-checkout', how: 'added' },
  { path: '.git/hooks/post-index-change', how: 'added' },
  { path: '.git/hooks/pre-commit', how: 'added' },
  { path: '.git/hooks/reference-transaction', how: 'added' },
  { path: '.git/info/attributes', how: 'added' },
  { path: '.git/modules/deep/er/hooks/post-checkout', how: 'added' },
  { path: '.git/modules/sub/config', how: 'added' },
  { path: '.git/worktrees/w/gitdir', how: 'added' },
  { path: '.gitattributes', how: 'added' },
  { path: '.github/workflows/x.yml', how: 'added' },
  { path: '.gitmodules', how: 'added' },
  { path: '.husky/pre-commit', how: 'added' },
  { path: '.idea', how: 'added', link: expect.any(String) },
  { path: '.mcp.json', how: 'added' },
  { path: '.npmrc', how: 'added' },
  { path: '.vscode/tasks.json', how: 'added' },
  { path: 'package.json', how: 'added' },
];

const hello = bundledTask('hello');

function grounds() {
  const [canaries, outside, kept] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
  mkdirSync(join(outside, 'inner'));
  for (const name of ['secret', 'inner/secret'])
    writeFileSync(join(outside, name), 'a secret of this host', { mode: 0o640 });
  const outsideNow = () =>
    readdirSync(outside, { recursive: true, encoding: 'utf8' })
      .toSorted()
      .map((name) => {
        const { uid, gid, mode, mtimeMs, ino } = statSync(join(outside, name));
        return { name, uid, gid, mode, mtimeMs, ino };
      });
  const before = outsideNow();
  const task: Task = {
    ...hello,
    judge(workspace, ...rest) {
      // A copy, to show afterwards that the payloads are alive.
      const [, descriptor] = /^\/proc\/self\/(fd\/\d+)/.exec(workspace) ?? [];
      const open = descriptor === undefined ? workspace : `/proc/${process.pid}/${descriptor}`;
      execFileSync('cp', ['-a', `${open}/.`, kept]);
      return hello.judge(workspace, ...rest);
    },
  };
  return {
    canaries,
    outside,
    kept,
    task,
    touched: () => readdirSync(canaries),
    outsideNow,
    before,
  };
}

/** With git in the copy, as somebody would who works there. */
function worksIn(checkout: string): void {
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
  spawnSync('git', ['-C', checkout, 'status'], { env });
}

function plantedIn(runs: { planted: unknown }[]): Planted[] {
  const { planted } = runs[0] as { planted: Planted[] | { gap: 'vanished' } };
  if (isGap(planted)) throw new Error(`a gap: ${planted.gap}`);
  return planted;
}

describe('on the host, an agent that plants everything', () => {
  test.each(['prepared', 'warm'] as const)(
    'runs nothing of ours, touches nothing outside, and is told: %s',
    async (state) => {
      const { canaries, outside, kept, task, touched, outsideNow, before } = grounds();
      const script = plants(canaries, outside);
      const mode = scriptedMode([], {
        agent({ command }) {
          execFileSync('/bin/sh', ['-c', script], { cwd: command.cwd });
          linkSync(join(outside, 'secret'), join(command.cwd, '.yarnrc'));
        },
      });
      // Twice: warm, the second run comes into the workspace that the first has left.
      const { runs } = await runScriptedMatch([entryOf(mode, { state })], {
        runs: 2,
        taskOf: () => task,
      });
      expect(runs.map(({ outcome }) => outcome)).toEqual([PASSED, PASSED]);
      for (const { leftovers } of runs) expect(leftovers).toEqual([]);
      expect(plantedIn(runs)).toEqual(
        [...TOLD, { path: '.yarnrc', how: 'added' }].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
      );
      expect(touched()).toEqual([]);
      // The second name that the agent gave is gone with the workspace; ours is as it was.
      expect(outsideNow()).toEqual(before);
      expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('a secret of this host');
      worksIn(kept);
      expect(touched()).toContain('fsmonitor');
    },
  );

  test('that leaves the seed alone is told to have planted nothing', async () => {
    const { runs } = await runScriptedMatch([entryOf(scriptedMode([]))], {});
    expect(runs[0]?.planted).toEqual([]);
  });

  test('that ends in a failure is looked at all the same', async () => {
    const mode = scriptedMode([], {
      agent({ command }) {
        writeFileSync(join(command.cwd, '.envrc'), 'x');
        throw new Error('gone');
      },
    });
    const { runs } = await runScriptedMatch([entryOf(mode)], {});
    expect(runs[0]).toMatchObject({
      outcome: { status: 'failed' },
      planted: [{ path: '.envrc', how: 'added' }],
    });
  });

  test('and puts a folder of this host in the place of the workspace is a run whose files did not come back', async () => {
    const { outside, outsideNow, before } = grounds();
    const mode = scriptedMode([], {
      agent({ command }) {
        execFileSync(
          '/bin/sh',
          ['-c', `cp nonce.txt ${outside}/..nonce; mv "$PWD" "$PWD-was"; ln -s ${outside} "$PWD"`],
          {
            cwd: command.cwd,
          },
        );
        throw new Error('gone');
      },
    });
    const { runs } = await runScriptedMatch([entryOf(mode)], {});
    execFileSync('rm', [join(outside, '..nonce')]);
    expect(runs[0]).toMatchObject({
      outcome: { status: 'failed' },
      sync: { out: 'no' },
      planted: { gap: 'vanished' },
      leftovers: [],
    });
    expect(outsideNow()).toEqual(before);
  });
});

/** Runtimes of this machine that are ready, whose agent works in a folder of this host. */
const modes = await loadModes();
const env = machineEnv;
const base = { env, uid: process.getuid?.(), platform: process.platform };
const there = [...modes.values()].filter(
  (mode: Mode) => mode.workspace === 'bind' && mode.isolation !== 'none' && existsSync('/proc'),
);
const ready = (await detectAll(there, (mode) => modeContext(mode.id, base))).flatMap(
  ({ mode, detection, runtimeState }) =>
    detection.status === 'ready' && !/stand-in/.test(detection.version)
      ? [{ id: mode.id, mode, runtimeState }]
      : [],
);

describe.skipIf(ready.length === 0)(
  'inside a runtime that is ready here, the real agent that is made to plant everything',
  () => {
    test.each(ready)(
      'runs nothing on the host, touches nothing outside, and is told: $id',
      async ({ mode, runtimeState }) => {
        const { canaries, outside, kept, task, touched, outsideNow, before } = grounds();
        const cassette = readCassette(hello.cassette);
        const [write, run, ...rest] = cassette.conversations[0]?.exchanges ?? [];
        if (!write || !run) throw new Error('the cassette of hello has changed');
        const content = [
          {
            type: 'tool_use' as const,
            name: 'Bash',
            input: {
              command: `{\n${plants(canaries, outside)}\n} 2>&1; true`,
              description: 'Plant',
            },
          },
        ];
        const gateway = createGateway(
          replayAnswer({
            ...cassette,
            conversations: [{ exchanges: [write, { content }, { content: run.content }, ...rest] }],
          }),
        );
        onTestFinished(() => gateway.close());
        const { runs, events } = await runScriptedMatch(
          [entryOf(mode, { mode: mode.id, isolation: mode.isolation, runtimeState })],
          {
            taskOf: () => task,
            gateway,
            contextOf: () => modeContext(mode.id, { ...base, state: runtimeState }),
            timeoutMs: 60_000,
          },
        );
        expect(events.filter(({ type }) => type === 'unprepared')).toEqual([]);
        expect(runs[0]).toMatchObject({ outcome: PASSED, leftovers: [] });
        expect(touched()).toEqual([]);
        expect(outsideNow()).toEqual(before);
        // An OS sandbox forbids to write some of these in the first place.
        const planted = plantedIn(runs);
        expect(planted).toEqual(
          TOLD.filter(({ path }) => planted.some((item) => item.path === path)),
        );
        if (mode.isolation !== 'os-sandbox') expect(planted).toHaveLength(TOLD.length);
        expect(planted.length).toBeGreaterThan(5);
        if (!existsSync(join(kept, '.git/config'))) return;
        worksIn(kept);
        expect(touched()).toContain('fsmonitor');
      },
      90_000,
    );
  },
);
