// A task of somebody's own: its folder is read, or the first mistake in it told; and its verifier
// has the last word, in a sandbox.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { cassetteText, readCassette } from '../../lib/model/cassette.js';
import { packageRoot } from '../../lib/package.js';
import { bundledNames, bundledTask, byId, findTask } from '../../lib/task/bundled.js';
import type { FolderTask } from '../../lib/task/folder.js';
import { startTranscript } from '../../lib/task/transcript.js';
import { init, result, toolResult, uses, writes } from '../support/agent-lines.js';
import { cagematch, ownHouse } from '../support/house.js';
import { makePipe } from '../support/pipes.js';
import {
  entryOf,
  PASSED,
  type Part,
  runScriptedMatch,
  scriptedMode,
} from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

const SOUND = 'schemaVersion: 1\nprompt: Do it.\nnonce: nonce.txt\n';
const EXPECTED = 'expect: {written: [hello.mjs]}\n';

/** @returns the folder that holds the folder `mine` with these files */
function holding(files: Record<string, string>): string {
  const folder = temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'mine', path)), { recursive: true });
    writeFileSync(join(folder, 'mine', path), text);
  }
  return folder;
}

const taskOf = (files: Record<string, string>) => findTask('./mine', holding(files));

/** A task for the played agent, with a verifier that is these lines. */
const verifiedBy = (check: string, files: Record<string, string> = {}) =>
  taskOf({
    'task.yaml': `${SOUND}${EXPECTED}verify: [node, '{{verify}}/check.mjs', '{{nonce}}']\n`,
    'verify/check.mjs': check,
    ...files,
  });

const failed = (cause: string, message: RegExp | string) => ({
  status: 'failed',
  cause,
  message: typeof message === 'string' ? message : expect.stringMatching(message),
});

describe('a task folder', () => {
  test('is known by its name, or by the id that it gives itself', () => {
    expect(taskOf({ 'task.yaml': SOUND + EXPECTED }).id).toBe('mine');
    expect(taskOf({ 'task.yaml': `${SOUND}${EXPECTED}id: yours` }).id).toBe('yours');
  });

  test('gives every run its seed: folders, bytes, executable bits, and a nonce of the run’s own wherever it is wanted', () => {
    const folder = holding({
      'task.yaml': `${SOUND.replace('nonce.txt', 'a/b/nonce.txt')}${EXPECTED}`,
      'seed/a/run.sh': '#!/bin/sh\n',
    });
    writeFileSync(join(folder, 'mine/seed/bytes'), Buffer.from([0, 255, 10]));
    chmodSync(join(folder, 'mine/seed/a/run.sh'), 0o755);
    mkdirSync(join(folder, 'mine/seed/empty'));
    const task = findTask('./mine', folder);
    const [first, other] = [temporaryFolder(), temporaryFolder()];
    const nonces = [first, other].map((workspace) => task.seed(workspace).nonce);
    expect(nonces[0]).not.toBe(nonces[1]);
    expect(readFileSync(join(other, 'a/b/nonce.txt'), 'utf8')).toBe(`${nonces[1]}\n`);
    expect(readFileSync(join(first, 'bytes'))).toEqual(Buffer.from([0, 255, 10]));
    expect(statSync(join(first, 'a/run.sh')).mode & 0o111).not.toBe(0);
    expect(statSync(join(first, 'bytes')).mode & 0o111).toBe(0);
    expect(statSync(join(first, 'empty')).isDirectory()).toBe(true);
    expect(() => task.seed(first)).toThrow(/EEXIST/);
  });

  test('has no nonce where it wants none', () => {
    const workspace = temporaryFolder();
    taskOf({ 'task.yaml': `schemaVersion: 1\nprompt: Do it.\n${EXPECTED}` }).seed(workspace);
    expect(existsSync(join(workspace, 'nonce.txt'))).toBe(false);
  });

  test('has another digest when anything of it is another', () => {
    const files = {
      'task.yaml': `${SOUND}${EXPECTED}verify: [node, '{{verify}}/check.mjs']\n`,
      'seed/a': '1',
      'verify/check.mjs': 'x',
    };
    const cassette = readCassette(bundledTask('hello').cassette);
    const digest = (changes: Record<string, string>) => taskOf({ ...files, ...changes }).digest();
    expect(digest({})).toBe(digest({}));
    const others = [
      digest({}),
      taskOf(files).digest(cassette),
      digest({ 'task.yaml': files['task.yaml'].replace('Do it', 'Do that') }),
      digest({ 'task.yaml': files['task.yaml'].replace('hello.mjs', 'hi.mjs') }),
      digest({ 'seed/a': '2' }),
      digest({ 'seed/b': '' }),
      digest({ 'verify/check.mjs': 'y' }),
    ];
    expect(new Set(others).size).toBe(others.length);
  });

  test('that cagematch brings can be replayed; hello is what it has always been', () => {
    expect(bundledNames()).toEqual(['hello', 'refactor']);
    const { prompt, seed, verifier } = bundledTask('hello');
    expect(prompt).toBe(
      'Create a file named hello.mjs in the current directory, with the Write tool. It must read nonce.txt, which lies beside it, and ' +
        'print one line that holds a greeting and that nonce. Then run it once with the Bash tool: node hello.mjs',
    );
    const workspace = temporaryFolder();
    seed(workspace);
    expect(readFileSync(join(workspace, 'package.json'), 'utf8')).toBe(
      '{\n  "name": "hello",\n  "private": true,\n  "type": "module"\n}\n',
    );
    // No second sandbox in the headline benchmark.
    expect(verifier).toBeUndefined();
  });

  test('of the same id as another cannot be in the same match', () => {
    const [first, other] = [
      taskOf({ 'task.yaml': SOUND + EXPECTED }),
      taskOf({ 'task.yaml': SOUND + EXPECTED }),
    ];
    expect(byId([first, first]).size).toBe(1);
    expect(thrownBy(() => byId([first, other])).message).toMatch(
      /^two tasks are named mine: \/.* and \//,
    );
  });
});

describe('a mistake is told in one line, with its place and what to write instead:', () => {
  const wrong = (act: () => unknown) => {
    const { code, message, hint } = thrownBy(act);
    expect(code).toBe('bad-input');
    expect(message).not.toContain('\n');
    return `${message} → ${hint}`;
  };
  const yaml = (text: string) => wrong(() => taskOf({ 'task.yaml': text, 'seed/a': 'x' }));
  const at = './mine/task.yaml';

  test.each([
    [
      'an unknown key',
      `${SOUND}${EXPECTED}promt: x`,
      `${at}: unknown key promt → did you mean prompt?`,
    ],
    [
      'a far-off key',
      `${SOUND}${EXPECTED}colour_of_bikeshed: x`,
      `${at}: unknown key colour_of_bikeshed → keys: schemaVersion id prompt nonce expect verify`,
    ],
    [
      'an unknown key of expect',
      `${SOUND}expect: {writen: [a]}`,
      `${at}: expect: unknown key writen → did you mean written?`,
    ],
    [
      'an unknown key of a file',
      `${SOUND}expect: {files: [{path: a, match: b}]}`,
      `${at}: expect.files[0]: unknown key match → did you mean matches?`,
    ],
    [
      'an unknown key of what is printed',
      `${SOUND}expect: {printed: [{matches: a, time: 2}]}`,
      `${at}: expect.printed[0]: unknown key time → did you mean times?`,
    ],
    [
      'no prompt',
      `schemaVersion: 1\n${EXPECTED}`,
      `${at}: prompt is missing → prompt: Write hello.mjs.`,
    ],
    [
      'an empty prompt',
      `schemaVersion: 1\nprompt: ''\n${EXPECTED}`,
      /: prompt takes text that begins with neither a dash nor a slash/,
    ],
    [
      'a prompt that would be an option',
      `schemaVersion: 1\nprompt: --help\n${EXPECTED}`,
      /: prompt takes text that begins with neither a dash nor a slash/,
    ],
    [
      "a prompt that would be a command of the agent's own",
      `schemaVersion: 1\nprompt: /clear the table\n${EXPECTED}`,
      /: prompt takes text that begins with neither a dash nor a slash/,
    ],
    [
      'a prompt that no program could be given',
      `schemaVersion: 1\nprompt: ${'é'.repeat(60_000)}\n${EXPECTED}`,
      /at most 100000 bytes/,
    ],
    ['no version', `prompt: x\n${EXPECTED}`, `${at}: schemaVersion is missing → schemaVersion: 1`],
    [
      'another version',
      `schemaVersion: 2\nprompt: x\n${EXPECTED}`,
      `${at}: schemaVersion takes the number 1 → schemaVersion: 1`,
    ],
    [
      'an absolute path',
      `${SOUND}expect: {written: [/etc/passwd]}`,
      /: expect\.written\[0\] takes a list of paths in the workspace, not absolute and without \.\./,
    ],
    [
      'a path that leads out',
      `${SOUND}expect: {files: [{path: a/../../b}]}`,
      /: expect\.files\[0\]\.path takes a path in the workspace/,
    ],
    [
      'a nonce outside',
      `${SOUND.replace('nonce.txt', '../nonce.txt')}${EXPECTED}`,
      `${at}: nonce takes a path in the workspace, not absolute and without .. → nonce: nonce.txt`,
    ],
    [
      'a broken expression',
      `${SOUND}expect: {files: [{path: a, matches: '('}]}`,
      /: expect\.files\[0\]\.matches takes a regular expression → /,
    ],
    [
      'a broken expression of what is printed',
      `${SOUND}expect: {printed: [{matches: '['}]}`,
      /: expect\.printed\[0\]\.matches takes a regular expression → /,
    ],
    [
      'a command in one piece',
      `${SOUND}${EXPECTED}verify: node --test`,
      `${at}: verify takes a command as a list of words → verify: [node, '{{verify}}/check.mjs']`,
    ],
    [
      'nothing that could fail',
      SOUND,
      /: nothing is expected and nothing verified, so that every run would pass → expect: /,
    ],
    [
      'a nonce in the place of a seed file',
      `${SOUND.replace('nonce.txt', 'a')}${EXPECTED}`,
      /: nonce: a stands in seed\/ already/,
    ],
    [
      'a nonce below a seed file',
      `${SOUND.replace('nonce.txt', 'a/b')}${EXPECTED}`,
      /: nonce: a\/b stands in seed\/ already, or below a file there/,
    ],
    [
      'a nonce that nobody gives',
      `schemaVersion: 1\nprompt: x\nexpect: {printed: ['{{nonce}}']}`,
      /: \{\{nonce\}\} is used, and no file is named that gets it → nonce: nonce\.txt/,
    ],
    [
      'files that are not there',
      `${SOUND}verify: [node, '{{verify}}/x.mjs']`,
      /: verify names \{\{verify\}\}, and there is nothing in verify\/ → /,
    ],
    [
      'no YAML',
      'prompt: [',
      /^\.\/mine\/task\.yaml line 1: .* → correct line 1; a task\.yaml is YAML$/,
    ],
    ['a list', '- prompt', `${at}: a task is made of keys → prompt: Write hello.mjs.`],
    [
      'an odd id',
      `${SOUND}${EXPECTED}id: my task!`,
      './mine: my task! is no id for a task: letters, digits, dots and dashes, at most 40 → id: my-task',
    ],
  ] as [string, string, string | RegExp][])('%s', (_what, text, message) => {
    if (typeof message === 'string') expect(yaml(text)).toBe(message);
    else expect(yaml(text)).toMatch(message);
  });

  test('files in verify/ that no command names', () => {
    const files = {
      'task.yaml': `${SOUND}${EXPECTED}verify: [node, check.mjs]`,
      'verify/check.mjs': '',
    };
    expect(wrong(() => taskOf(files))).toMatch(
      /^\.\/mine\/task\.yaml: there are files in verify\/ that the command verify does not name → /,
    );
  });

  test.each<[string, (seed: string) => void, RegExp]>([
    [
      'a link',
      (seed) => symlinkSync('/etc/passwd', join(seed, 'in/x')),
      /^\.\/mine\/seed\/in\/x is a symbolic link → put the file itself there$/,
    ],
    [
      'a pipe',
      (seed) => makePipe(join(seed, 'in/x')),
      /^\.\/mine\/seed\/in\/x is neither a file nor a folder → remove /,
    ],
    [
      'too much',
      (seed) => writeFileSync(join(seed, 'in/x'), Buffer.alloc(33 * 1024 ** 2)),
      /^\.\/mine\/seed holds more than 2000 files or 32 MiB → /,
    ],
    [
      'a name that is no text',
      (seed) =>
        writeFileSync(Buffer.concat([Buffer.from(join(seed, 'in/')), Buffer.from([0xff])]), ''),
      /has a name that is not UTF-8/,
    ],
  ])('a seed with %s in it', (_what, put, message) => {
    const folder = holding({ 'task.yaml': SOUND + EXPECTED, 'seed/in/a': '' });
    put(join(folder, 'mine/seed'));
    expect(wrong(() => findTask('./mine', folder))).toMatch(message);
  });

  test('a seed that is a link, even to a folder', () => {
    const folder = holding({ 'task.yaml': SOUND + EXPECTED });
    symlinkSync('/etc', join(folder, 'mine/seed'));
    expect(wrong(() => findTask('./mine', folder))).toMatch(
      /^\.\/mine\/seed has to be a folder, and no link → /,
    );
  });

  test('no folder, no task in it, a file', () => {
    const folder = holding({ 'other.yaml': '' });
    expect(wrong(() => findTask('./none', folder))).toBe(
      `there is no task folder ./none → it is looked for at ${join(folder, 'none')}`,
    );
    expect(wrong(() => findTask('./mine', folder))).toMatch(/^\.\/mine holds no task\.yaml → /);
    expect(wrong(() => findTask('mine/other.yaml', folder))).toMatch(
      /^mine\/other\.yaml is no folder; a task is one → /,
    );
  });

  test('a name that is none, with the nearest, or with the folder that is probably meant', () => {
    const folder = holding({ 'task.yaml': SOUND + EXPECTED });
    expect(wrong(() => findTask('helo', folder))).toBe(
      'there is no task helo → did you mean hello?',
    );
    expect(wrong(() => findTask('mine', folder))).toBe(
      'there is no task mine → did you mean ./mine?',
    );
    expect(wrong(() => findTask('bikeshed', folder))).toBe(
      'there is no task bikeshed → hello, refactor, or a folder: ./bikeshed',
    );
  });

  test('a task without a cassette cannot be replayed, asked for or not', async () => {
    const folder = holding({ 'task.yaml': SOUND + EXPECTED });
    const run = (...args: string[]) =>
      cagematch(ownHouse, ['run', 'host', '--task', './mine', ...args], { cwd: folder });
    for (const [args, why] of [
      [['--model', 'replay'], '--model replay'],
      [[], 'no credential was given'],
    ] as const) {
      const { exitCode, stderr } = await run(...args);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(
        `the task mine has no cassette to replay, and the model is replay: ${why}`,
      );
      expect(stderr).toContain(`cagematch record --task ${join(folder, 'mine')}, or --model live`);
    }
  });
});

test('a replayed task of somebody else runs on the host only where that is allowed; one of ours always does', async () => {
  const folder = temporaryFolder();
  cpSync(join(packageRoot, 'tasks/hello'), join(folder, 'theirs'), { recursive: true });
  const plan = async (...args: string[]) => {
    const env = { PATH: folder };
    const { exitCode, stdout, stderr } = await cagematch(
      ownHouse,
      ['run', '--dry-run', '--model', 'replay', ...args],
      {
        cwd: folder,
        env,
      },
    );
    return { exitCode, output: `${stdout}${stderr}` };
  };
  const reason =
    "the task theirs is not one of cagematch's own: its cassette and its verifier would run here with no walls at all";
  const open =
    /^row host +none .*\nno isolation: host; the agent, and the task's verifier, can do there what you can$/m;
  expect(await plan('host', '--task', './theirs')).toEqual({
    exitCode: 3,
    output: `✖ host: ${reason}\nhint: --allow-host\n`,
  });
  expect(await plan('--task', './theirs')).toMatchObject({
    exitCode: 3,
    output: expect.stringContaining(`nothing to run: host: ${reason}`),
  });
  expect(await plan('--task', './theirs', '--allow-host')).toMatchObject({
    exitCode: 0,
    output: expect.stringMatching(open),
  });
  expect(await plan('--task', 'hello')).toMatchObject({
    exitCode: 0,
    output: expect.stringMatching(open),
  });
});

describe('what is expected of files and of what was printed', () => {
  const judged = (expected: string, files: Record<string, string>, lines: string[] = []) => {
    const task = taskOf({ 'task.yaml': `${SOUND}expect: ${expected}`, 'seed/given.mjs': 'given' });
    const workspace = temporaryFolder();
    const { nonce } = task.seed(workspace);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(workspace, path)), { recursive: true });
      writeFileSync(join(workspace, path), text.replace('NONCE', nonce));
    }
    const transcript = startTranscript();
    for (const line of [init(), ...lines, result()])
      transcript.read(line.replace('NONCE', nonce), 'stdout');
    return task.judge(workspace, nonce, transcript);
  };
  const printed = (text: string) => [
    uses('toolu_1', 'Bash', { command: 'x' }),
    toolResult('toolu_1', text),
  ];

  test('a file in a folder is looked at where it is, and holds the nonce of the run', () => {
    const holds = "{files: [{path: src/a.mjs, matches: '^{{nonce}}$'}]}";
    expect(judged(holds, { 'src/a.mjs': 'first\nNONCE\nlast' })).toEqual({
      outcome: PASSED,
      sync: { in: { gap: 'not-exercised' }, out: 'yes' },
    });
    expect(judged(holds, { 'src/a.mjs': 'x' }).outcome).toEqual(
      failed('verifier', 'src/a.mjs does not match ^{{nonce}}$'),
    );
    expect(judged(holds, {}).outcome).toEqual(failed('agent', 'the agent never wrote src/a.mjs'));
    expect(judged(holds, {}, [writes('toolu_1', '/workspace/src/a.mjs', 'x')])).toEqual({
      outcome: failed('sync', 'src/a.mjs is not on the host after collect'),
      sync: { in: { gap: 'not-exercised' }, out: 'no' },
    });
  });

  test('a file of the seed that is gone is the way back’s fault; what it must not hold is the agent’s own', () => {
    expect(judged('{files: [{path: given.mjs, not: given}]}', {})).toMatchObject({
      outcome: failed('verifier', 'given.mjs matches given'),
      sync: { out: 'yes' },
    });
    expect(
      judged('{files: [{path: given.mjs, matches: other, otherwise: the others are missing}]}', {})
        .outcome,
    ).toEqual(failed('verifier', 'the others are missing'));
  });

  test('what is printed may be counted', () => {
    const twice = '{printed: [{matches: "^ok \\\\d$", times: 2}]}';
    expect(judged(twice, {}, [...printed('ok 1'), ...printed('ok 2')]).outcome).toEqual(PASSED);
    expect(judged(twice, {}, printed('ok 1\nok 2')).outcome).toEqual(
      failed('verifier', 'no tool output matches ^ok \\d$: seen 1 of 2 times'),
    );
  });

  test('an expression that an agent has made endless is given up, and is never to its advantage', () => {
    const endless = `${'a'.repeat(50)}b`;
    const from = performance.now();
    expect(
      judged("{files: [{path: a, matches: '^(a+)+$'}]}", { a: endless }).outcome,
    ).toMatchObject({ cause: 'verifier' });
    expect(judged("{files: [{path: a, not: '^(a+)+$'}]}", { a: endless }).outcome).toMatchObject({
      cause: 'verifier',
    });
    expect(performance.now() - from).toBeLessThan(10_000);
  });
});

describe('the verifier', () => {
  const play = async (
    task: FolderTask,
    part: Part = {},
    change: Parameters<typeof runScriptedMatch>[1] & { state?: 'warm' } = {},
  ) => {
    const calls: string[] = [];
    const { state = 'prepared', ...rest } = change;
    const match = await runScriptedMatch([entryOf(scriptedMode(calls, part), { state })], {
      taskOf: () => task,
      ...rest,
    });
    return { ...match, calls, first: match.runs[0] };
  };

  test('passes a run, in a sandbox of its own, when the agent’s is gone', async () => {
    const task = verifiedBy(`
      import { readFileSync } from 'node:fs';
      if (readFileSync('nonce.txt', 'utf8').trim() !== process.argv[2]) throw new Error('another nonce');
      readFileSync('hello.mjs');
    `);
    const { first, calls, eventsOf } = await play(task);
    expect(first).toMatchObject({ outcome: PASSED, leftovers: [], planted: [] });
    const name = /^launch (.*)$/.exec(calls[0] ?? '')?.[1] ?? '';
    expect(calls).toEqual([
      `launch ${name}`,
      `agent ${name}`,
      `destroy ${name}`,
      `launch ${name}-v`,
      `destroy ${name}-v`,
    ]);
    expect(eventsOf('phase').map(({ phase }) => phase)).toEqual([
      'launch',
      'work',
      'collect',
      'destroy',
      'verify',
    ]);
  });

  test('gets no credential, no gateway and nothing of the agent’s home; what it writes is not the agent’s', async () => {
    const task = verifiedBy(`
      import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
      const secret = Object.keys(process.env).filter((name) => /TOKEN|KEY|CLAUDE|ANTHROPIC/.test(name));
      if (secret.length > 0) throw new Error('it sees ' + secret);
      if (existsSync(process.env.HOME + '/.npmrc')) throw new Error('it sees what the agent left at home');
      if (readdirSync(process.env.TMPDIR).length > 0) throw new Error('it sees temporary files');
      mkdirSync('.husky'); writeFileSync('.husky/pre-commit', 'x');
    `);
    const { first } = await play(task, {
      agent: ({ command }) => writeFileSync(join(command.env.HOME ?? '', '.npmrc'), 'x'),
    });
    expect(first).toMatchObject({ outcome: PASSED, planted: [], leftovers: [] });
  });

  test.each<[string, string, RegExp]>([
    [
      'says why',
      "console.log('3 of 4 right'); console.error('the total is wrong\\n'); process.exit(3)",
      /^the verifier ended with exit code 3: the total is wrong$/,
    ],
    [
      'throws',
      "import assert from 'node:assert/strict'; assert.equal(1, 2, 'one is not two')",
      /^the verifier ended with exit code 1: AssertionError.*: one is not two$/,
    ],
    ['says nothing', 'process.exit(1)', /^the verifier ended with exit code 1$/],
    ['is killed', "process.kill(process.pid, 'SIGTERM')", /^the verifier was killed by SIGTERM$/],
    [
      'says too much',
      "console.log('\\u001b[31m' + 'x'.repeat(100000)); process.exit(1)",
      /^the verifier ended with exit code 1: x{200,299}…$/,
    ],
  ])('fails a run, with its last words, when it %s', async (_what, check, message) => {
    const { first } = await play(verifiedBy(check));
    expect(first).toMatchObject({
      outcome: failed('verifier', message),
      sync: { out: 'yes' },
      leftovers: [],
    });
  });

  test('that is no program is told', async () => {
    const task = taskOf({ 'task.yaml': `${SOUND}${EXPECTED}verify: [no-such-program-here]` });
    expect((await play(task)).first?.outcome).toEqual(
      failed('verifier', /^the verifier ended with exit code 127: .*no-such-program-here/),
    );
  });

  test('that never ends is ended, with all that it has started', async () => {
    const task = verifiedBy(
      "import { spawn } from 'node:child_process'; spawn('sleep', ['1000']); setInterval(() => {}, 1000)",
    );
    const { first } = await play(task, {}, { timeoutMs: 1500 });
    expect(first).toMatchObject({
      outcome: {
        ...failed('verifier', 'the verifier had not ended within 1.5 s'),
        hint: '--timeout S',
      },
      leftovers: [],
    });
  });

  test('is not asked where the run has failed already', async () => {
    const { first, calls } = await play(verifiedBy(''), {
      agent: () => {
        throw new CagematchError('launch-failed', 'gone');
      },
    });
    expect(first?.outcome).toMatchObject({ cause: 'sandbox', message: 'gone' });
    expect(calls.filter((call) => call.endsWith('-v'))).toEqual([]);
  });

  const failing =
    (phase: 'launch' | 'destroy') =>
    (real: Mode): Partial<Mode> => ({
      async [phase](ctx: never, given: { name: string }) {
        const done = await real[phase](ctx, given as never);
        if (given.name.endsWith('-v'))
          throw new CagematchError('launch-failed', 'no room for it', 'df');
        return done;
      },
    });

  test('blames the sandbox where it cannot be launched', async () => {
    const { first, calls } = await play(verifiedBy(''), { mode: failing('launch') });
    expect(first).toMatchObject({
      outcome: {
        ...failed('sandbox', 'the verifier could not be launched: no room for it'),
        hint: 'df',
      },
      leftovers: [],
    });
    expect(calls.at(-1)).toMatch(/^destroy .*-v$/);
  });

  test('that cannot be destroyed is left over', async () => {
    const { first } = await play(verifiedBy(''), { mode: failing('destroy') });
    expect(first).toMatchObject({
      outcome: failed('sandbox', "the verifier's sandbox could not be destroyed: no room for it"),
      leftovers: [{ kind: 'sandbox', id: expect.stringMatching(/-v$/) }],
    });
  });

  test('is ended by the user, and its sandbox is destroyed', async () => {
    const stop = new AbortController();
    const { first, calls } = await play(
      verifiedBy('setInterval(() => {}, 1000)'),
      {},
      {
        signal: stop.signal,
        onEvent: (event) => event.type === 'phase' && event.phase === 'verify' && stop.abort(),
      },
    );
    expect(first).toMatchObject({ outcome: { cause: 'interrupted' }, leftovers: [] });
    expect(calls.at(-1)).toMatch(/^destroy .*-v$/);
  });

  test('has a fresh sandbox beside one that idles, which serves on; but not after it has failed a run', async () => {
    const passing = await play(
      verifiedBy("process.exit(process.env.HOME.includes('cagematch-run') ? 1 : 0)"),
      {},
      { state: 'warm', runs: 2 },
    );
    expect(passing.runs.map(({ outcome, leftovers }) => [outcome, leftovers])).toEqual([
      [PASSED, []],
      [PASSED, []],
    ]);
    expect(passing.calls.filter((call) => /^launch .*idle/.test(call)).length).toBe(1);
    expect(passing.calls.filter((call) => /^(launch|destroy) .*-v$/.test(call)).length).toBe(4);
    const failing = await play(verifiedBy('process.exit(1)'), {}, { state: 'warm', runs: 2 });
    expect(failing.runs.map(({ outcome }) => outcome)).toEqual([
      failed('verifier', /exit code 1$/),
      failed('verifier', /exit code 1$/),
    ]);
    expect(failing.calls.filter((call) => /^launch .*idle/.test(call)).length).toBe(2);
  });

  test('of each run of a wave comes when all of them are over', async () => {
    const { calls, runs } = await play(verifiedBy(''), {}, { concurrency: 2 });
    expect(runs.map(({ outcome, leftovers }) => [outcome, leftovers])).toEqual([
      [PASSED, []],
      [PASSED, []],
      [PASSED, []],
    ]);
    const wave = calls.filter((call) => call.includes('-2-') && /^(launch|destroy)/.test(call));
    const firstVerifier = wave.findIndex((call) => call.endsWith('-v'));
    expect(wave.slice(0, firstVerifier).filter((call) => call.startsWith('destroy')).length).toBe(
      2,
    );
  });
});

test('the example of docs/tasks.md runs as it stands there', async () => {
  const page = readFileSync(join(packageRoot, 'docs/tasks.md'), 'utf8');
  const files = [...page.matchAll(/^`(sum\/[^`]+)`:\n+```\w*\n(.*?)^```/gms)].map(
    ([, path = '', text = '']) => [path.slice(4), text] as const,
  );
  expect(files.map(([path]) => path)).toEqual([
    'task.yaml',
    'seed/numbers.txt',
    'verify/check.mjs',
  ]);
  const folder = holding(Object.fromEntries(files));
  const program = (code: string) => {
    const write = {
      type: 'tool_use' as const,
      name: 'Write',
      input: { file_path: '{{cwd}}/sum.mjs', content: code },
    };
    const bash = {
      type: 'tool_use' as const,
      name: 'Bash',
      input: { command: 'node sum.mjs', description: 'Run it' },
    };
    const exchanges = [write, bash, { type: 'text' as const, text: 'Done.' }].map((block) => ({
      content: [block],
    }));
    const cassette = {
      ...readCassette(bundledTask('hello').cassette),
      conversations: [{ exchanges }],
    };
    writeFileSync(join(folder, 'mine/cassette.yaml'), cassetteText(cassette));
  };
  const run = async () => {
    const { stdout } = await cagematch(
      ownHouse,
      ['run', 'host', '--task', './mine', '--allow-host', '--runs', '1', '--json', '-'],
      {
        cwd: folder,
      },
    );
    const { runs, modes } = JSON.parse(stdout);
    expect(modes).toMatchObject([
      { task: 'mine', taskDigest: expect.stringMatching(/^[0-9a-f]{16}$/) },
    ]);
    return runs[0].outcome;
  };
  const reads =
    "import { readFileSync } from 'node:fs';\nconst lines = readFileSync('numbers.txt', 'utf8').trim().split('\\n');\n";
  program(`${reads}console.log(lines.reduce((sum, line) => sum + Number(line), 0));\n`);
  expect(await run()).toEqual(PASSED);
  program("console.log('60');\n");
  expect(await run()).toMatchObject({
    cause: 'verifier',
    message: expect.stringMatching(/^the verifier ended with exit code 1: /),
  });
});

test('a copy of a bundled task is another task of the same content', () => {
  const folder = temporaryFolder();
  cpSync(join(packageRoot, 'tasks/hello'), join(folder, 'mine'), { recursive: true });
  expect(findTask('./mine', folder).digest()).toBe(bundledTask('hello').digest());
});
