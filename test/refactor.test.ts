// The refactor task: what its verdict believes, and the whole of its session replayed by the real agent in every runtime of this machine.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadEnv } from '../lib/match/config.js';
import { readCassette } from '../lib/model/cassette.js';
import { packageRoot } from '../lib/package.js';
import { refactorTask } from '../lib/task/refactor.js';
import { startTranscript } from '../lib/task/transcript.js';
import { init, result, toolResult, uses, writes } from './agent-lines.js';
import { cagematch, ownHouse, standSomewhere } from './house.js';
import { temporaryFolder } from './temporary-folder.js';

const task = refactorTask(packageRoot);
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
    put(name, (text) => `import { formatMoney } from './money.mjs';\n${text.replaceAll('toFixed', 'x')}`);
  put('cart.test.mjs', (text) => `${text}// formatMoney\n`);
  const ran = (id: string, command: string, output: string) => [uses(id, 'Bash', { command }), toolResult(id, output)];
  const lines = [
    init(),
    ...ran('before', 'node --test', TESTED),
    writes('made', '/workspace/money.mjs', MONEY),
    toolResult('made', 'File created successfully'),
    ...ran('after', 'node --test', TESTED),
    ...ran('report', 'node report.mjs', `order ${nonce}`),
    result(),
  ];
  const verify = (told: string[] = lines) => {
    const transcript = startTranscript();
    for (const line of told) transcript.read(line, 'stdout');
    return task.verify(workspace, nonce, transcript);
  };
  const without = (word: string) => verify(lines.filter((line) => !line.includes(word)));
  return { workspace, put, verify, without, nonce };
}

describe('the verdict', () => {
  test('passes where both modules leave the formatting to the third, the tests passed twice, and the report was run', () => {
    expect(done().verify()).toEqual({ outcome: { status: 'passed' }, sync: { in: 'yes', out: 'yes' } });
  });

  test.each([
    ['cart.mjs still formats by itself', 'verifier', (at) => at.put('cart.mjs', (text) => `${text}toFixed`), /^cart\.mjs does not leave/],
    ['report.mjs does not use it', 'verifier', (at) => at.put('report.mjs', () => '\n'), /^report\.mjs does not leave/],
    [
      'the module exports something else',
      'verifier',
      (at) => at.put('money.mjs', () => 'export const x = 1;\n'),
      /exports no formatMoney$/,
    ],
    ['nobody has tested it', 'verifier', (at) => at.put('cart.test.mjs', () => '\n'), /no test of formatMoney$/],
  ] as [string, string, (at: ReturnType<typeof done>) => void, RegExp][])('fails where %s', (_what, cause, change, said) => {
    const at = done();
    change(at);
    expect(at.verify().outcome).toMatchObject({ status: 'failed', cause, message: expect.stringMatching(said) });
  });

  test.each([
    ['the tests were run once only', 'before', 'verifier', /passed 1 times of the 2/],
    ['the report was not run', 'report', 'verifier', /no tool output holds the nonce/],
    ['the module was never written', 'made', 'agent', /never wrote money\.mjs/],
  ])('fails where %s', (_what, word, cause, said) => {
    expect(done().without(`"${word}"`).outcome).toMatchObject({ status: 'failed', cause, message: expect.stringMatching(said) });
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

test('the real agent replays it in every runtime that is ready here, beside the hello task, each with its own answers', async () => {
  const place = standSomewhere();
  onTestFinished(place.close);
  const { PATH, HOME, ...env } = loadEnv(packageRoot, process.env);
  const found = await cagematch(ownHouse, ['detect', '--json'], { cwd: place.cwd, env: { ...env, PATH: PATH ?? '' } });
  const modes = JSON.parse(found.stdout) as {
    mode: string;
    detection: { status: string; variants?: { id: string; onRequest?: boolean }[] };
  }[];
  const rows = modes.flatMap(({ mode, detection }) =>
    detection.status === 'ready'
      ? [mode, ...(detection.variants ?? []).filter(({ onRequest }) => !onRequest).map(({ id }) => `${mode}:${id}`)]
      : [],
  );
  const file = [
    'runs: 1',
    'model: replay',
    'modes:',
    ...rows.map((mode) => `  - { mode: '${mode}', task: refactor }`),
    '  - { mode: host, label: hello, task: hello }',
  ];
  writeFileSync(join(place.cwd, 'match.yaml'), file.join('\n'));
  const { stdout } = await cagematch(ownHouse, ['run', '-f', 'match.yaml', '--json', '-'], {
    cwd: place.cwd,
    env: { ...env, PATH: PATH ?? '' },
  });
  const { runs, modes: told } = JSON.parse(stdout) as {
    runs: { entry: string; outcome: object; sync: object }[];
    modes: { entry: string; task: string }[];
  };
  expect(told).toContainEqual(expect.objectContaining({ entry: 'host@hello', task: 'hello' }));
  expect(runs.map(({ entry }) => entry)).toEqual(expect.arrayContaining(['host', 'host@hello']));
  // A runtime whose image cannot be had here has no run.
  for (const { entry, outcome, sync } of runs)
    expect({ entry, outcome, sync }).toEqual({
      entry,
      outcome: { status: 'passed' },
      sync: expect.objectContaining({ in: 'yes', out: 'yes' }),
    });
}, 240_000);
