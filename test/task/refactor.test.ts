// The refactor task: what its verdict believes, and the whole of its session replayed by the real
// agent in every runtime of this machine.
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readCassette } from '../../lib/model/cassette.js';
import { packageRoot } from '../../lib/package.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { startTranscript } from '../../lib/task/transcript.js';
import { init, result, toolResult, uses, writes } from '../support/agent-lines.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { machineEnv } from '../support/machine-env.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const task = bundledTask('refactor');
const MONEY = 'export function formatMoney(amount) {}\n';
const TESTED = '# tests 3\n# pass 3\n# fail 0\n';

/** A workspace in which all was done as it should be, and what the agent told of it. */
function done() {
  const workspace = temporaryFolder();
  const { nonce } = task.seed(workspace);
  const put = (name: string, change: (text: string) => string) =>
    writeFileSync(join(workspace, name), change(readFileSync(join(workspace, name), 'utf8')));
  writeFileSync(join(workspace, 'money.mjs'), MONEY);
  for (const name of ['cart.mjs', 'report.mjs'])
    put(
      name,
      (text) => `import { formatMoney } from './money.mjs';\n${text.replaceAll('toFixed', 'x')}`,
    );
  put('cart.test.mjs', (text) => `${text}// formatMoney\n`);
  const ran = (id: string, command: string, output: string) => [
    uses(id, 'Bash', { command }),
    toolResult(id, output),
  ];
  const lines = [
    init(),
    ...ran('before', 'node --test', TESTED),
    writes('made', '/workspace/money.mjs', MONEY),
    toolResult('made', 'File created successfully'),
    ...ran('after', 'node --test', TESTED),
    ...ran('report', 'node report.mjs', `order ${nonce}`),
    result(),
  ];
  const verify = (output: string[] = lines) => {
    const transcript = startTranscript();
    for (const line of output) transcript.read(line, 'stdout');
    return task.judge(workspace, nonce, transcript);
  };
  const without = (word: string) => verify(lines.filter((line) => !line.includes(word)));
  const refused = (message: string) =>
    verify(
      lines.map((line) =>
        line.includes('File created successfully') ? toolResult('made', message, true) : line,
      ),
    );
  return { workspace, put, verify, without, refused, nonce };
}

describe('the verdict', () => {
  test('passes where both modules leave the formatting to the third, the tests passed twice, and the report was run', () => {
    expect(done().verify()).toEqual({
      outcome: { status: 'passed' },
      sync: { in: 'yes', out: 'yes' },
    });
  });

  test.each([
    [
      'cart.mjs still formats by itself',
      'verifier',
      (at) => at.put('cart.mjs', (text) => `${text}toFixed`),
      /^cart\.mjs does not leave/,
    ],
    [
      'report.mjs does not use it',
      'verifier',
      (at) => at.put('report.mjs', () => '\n'),
      /^report\.mjs does not leave/,
    ],
    [
      'the module exports something else',
      'verifier',
      (at) => at.put('money.mjs', () => 'export const x = 1;\n'),
      /exports no formatMoney$/,
    ],
    [
      'nobody has tested it',
      'verifier',
      (at) => at.put('cart.test.mjs', () => '\n'),
      /no test of formatMoney$/,
    ],
  ] as [string, string, (at: ReturnType<typeof done>) => void, RegExp][])(
    'fails where %s',
    (_what, cause, change, message) => {
      const at = done();
      change(at);
      expect(at.verify().outcome).toMatchObject({
        status: 'failed',
        cause,
        message: expect.stringMatching(message),
      });
    },
  );

  test.each([
    [
      'the tests were run once only',
      'before',
      'verifier',
      /both before and after: seen 1 of 2 times$/,
    ],
    ['the report was not run', 'report', 'verifier', /no tool output holds the nonce/],
  ])('fails where %s', (_what, word, cause, message) => {
    expect(done().without(`"${word}"`).outcome).toMatchObject({
      status: 'failed',
      cause,
      message: expect.stringMatching(message),
    });
  });

  test('blames the agent for a module that it never wrote', () => {
    const { workspace, without } = done();
    rmSync(join(workspace, 'money.mjs'));
    expect(without('"made"').outcome).toMatchObject({
      cause: 'agent',
      message: 'the agent never wrote money.mjs',
    });
  });

  test('blames the sandbox for a module that its disk did not take', () => {
    const { workspace, refused } = done();
    rmSync(join(workspace, 'money.mjs'));
    expect(refused('ENOSPC: no space left on device, write').outcome).toMatchObject({
      cause: 'sandbox',
      message: expect.stringMatching(/^the Write of money\.mjs failed: ENOSPC/),
    });
    expect(refused('File has not been read yet').outcome).toMatchObject({ cause: 'agent' });
  });

  test('blames the way back for a module that was written and is not here', () => {
    const { workspace, verify } = done();
    rmSync(join(workspace, 'money.mjs'));
    expect(verify()).toMatchObject({ outcome: { cause: 'sync' }, sync: { in: 'yes', out: 'no' } });
  });
});

test('the cassette holds at least a dozen tool calls: reads, edits, commands, one that fails, several at once', () => {
  const turns = (readCassette(task.cassette).conversations[0]?.exchanges ?? []).map(({ content }) =>
    content.flatMap((block) => (block.type === 'tool_use' ? [block.name] : [])),
  );
  expect(turns.flat().length).toBeGreaterThanOrEqual(12);
  expect(new Set(turns.flat())).toEqual(new Set(['Bash', 'Edit', 'Read', 'Write']));
  expect(Math.max(...turns.map((names) => names.length))).toBeGreaterThanOrEqual(3);
});

/** In the sandbox, on the workspace as it came back; what it needs lies beside it. */
const CHECK = `
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { secret } from './secret.mjs';

const [nonce] = process.argv.slice(2);
const wrong = [
  readFileSync('nonce.txt', 'utf8').trim() === nonce ? '' : 'another nonce',
  (statSync('more/run.sh').mode & 0o111) === 0 ? 'more/run.sh cannot be executed any more' : '',
  secret(process.env),
  spawnSync('node', ['--test'], { stdio: 'ignore' }).status === 0 ? '' : 'node --test fails',
].filter(Boolean);
console.log(wrong.join('; '));
process.exit(wrong.length);
`;
// srt names ports and folders of its own in variables that begin with CLAUDE.
const SECRET = `
const names = (env) => Object.keys(env).filter((name) => /TOKEN|ANTHROPIC|API_KEY/.test(name));
export const secret = (env) => (names(env).length > 0 ? 'it sees ' + names(env) : '');
`;

/** The same task with a seed in a folder, and with a verifier. */
function verifiedIn(folder: string): void {
  const own = join(folder, 'verified');
  cpSync(join(packageRoot, 'tasks/refactor'), own, { recursive: true });
  appendFileSync(join(own, 'task.yaml'), "verify: [node, '{{verify}}/check.mjs', '{{nonce}}']\n");
  for (const part of ['seed/more', 'verify']) mkdirSync(join(own, part));
  writeFileSync(join(own, 'seed/more/run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(own, 'verify/check.mjs'), CHECK);
  writeFileSync(join(own, 'verify/secret.mjs'), SECRET);
}

test('the real agent replays it in every runtime that is ready here, and a verifier has the last word there, beside the hello task with its own answers', async () => {
  const place = standSomewhere();
  onTestFinished(place.close);
  verifiedIn(place.cwd);
  const { PATH, HOME, ...env } = machineEnv;
  const found = await cagematch(ownHouse, ['detect', '--json'], {
    cwd: place.cwd,
    env: { ...env, PATH: PATH ?? '' },
  });
  const modes = JSON.parse(found.stdout) as {
    mode: string;
    detection: { status: string; variants?: { id: string; onRequest?: boolean }[] };
  }[];
  const rows = modes.flatMap(({ mode, detection }) =>
    detection.status === 'ready'
      ? [
          mode,
          ...(detection.variants ?? [])
            .filter(({ onRequest }) => !onRequest)
            .map(({ id }) => `${mode}:${id}`),
        ]
      : [],
  );
  const file = [
    'runs: 1',
    'model: replay',
    'modes:',
    ...rows.map((mode) => `  - { mode: '${mode}', task: ./verified }`),
    '  - { mode: host, label: hello, task: hello }',
    '  - { mode: host, label: refactor, task: refactor }',
  ];
  writeFileSync(join(place.cwd, 'match.yaml'), file.join('\n'));
  const { stdout } = await cagematch(
    ownHouse,
    ['run', '-f', 'match.yaml', '--allow-host', '--json', '-'],
    {
      cwd: place.cwd,
      env: { ...env, PATH: PATH ?? '' },
    },
  );
  const { runs, modes: reportedModes } = JSON.parse(stdout) as {
    runs: { entry: string; outcome: object; sync: object; leftovers: object }[];
    modes: { entry: string; task: string }[];
  };
  expect(reportedModes).toContainEqual(
    expect.objectContaining({ entry: 'host@hello', task: 'hello' }),
  );
  expect(runs.map(({ entry }) => entry)).toEqual(
    expect.arrayContaining(['host', 'host@hello', 'host@refactor']),
  );
  // A runtime whose image cannot be had here has no run.
  for (const { entry, outcome, sync, leftovers } of runs)
    expect({ entry, outcome, sync, leftovers }).toEqual({
      entry,
      outcome: { status: 'passed' },
      leftovers: [],
      sync: expect.objectContaining({ in: 'yes', out: 'yes' }),
    });
}, 240_000);
