// A match file: what it may say, and how a mistake in it is told: the file, the place, and what to
// write instead.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readMatchFile } from '../../lib/match/file.js';
import { packageRoot } from '../../lib/package.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

const registry = await loadModes();

function read(text: string) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'match.yaml'), text);
  return readMatchFile('match.yaml', folder, registry);
}

/** A mistake as the user sees it. */
function mistake(text: string) {
  const { code, message, hint } = thrownBy(() => read(text));
  expect(code).toBe('bad-input');
  expect(message).not.toContain('\n');
  return `${message} → ${hint}`;
}

describe('a match file', () => {
  test('names rows, with options where a row has some', () => {
    const text = `
runs: 10
modes:
  - host
  - docker:runsc@x
  - mode: docker
    label: a
    network: host
    tmpfs: true
    cpus: 1.5
    memory: 2g
    state: warm
    task: hello
  - {mode: docker@b}
`;
    expect(read(text)).toEqual({
      runs: 10,
      modes: [
        { name: 'host', options: {} },
        { name: 'docker:runsc@x', options: {} },
        {
          name: 'docker@a',
          options: { network: 'host', tmpfs: true, cpus: 1.5, memoryMiB: 2048 },
          state: 'warm',
          task: 'hello',
        },
        { name: 'docker@b', options: {} },
      ],
      rowTasks: [expect.objectContaining({ id: 'hello' })],
    });
  });

  test('names tasks by name or by folder, which is relative to the file', () => {
    const folder = temporaryFolder();
    cpSync(join(packageRoot, 'tasks/hello'), join(folder, 'deeper/mine'), { recursive: true });
    writeFileSync(
      join(folder, 'deeper/match.yaml'),
      'task: ./mine\nmodes: [host, {mode: docker, task: refactor}]',
    );
    const { task, modes, rowTasks } = readMatchFile('deeper/match.yaml', folder, registry);
    expect(task).toMatchObject({ id: 'mine', folder: join(folder, 'deeper/mine') });
    expect(modes).toMatchObject([{ name: 'host' }, { name: 'docker', task: 'refactor' }]);
    expect(rowTasks).toEqual([expect.objectContaining({ id: 'refactor' })]);
  });

  test('holds settings, and those alone that it was given', () => {
    const text =
      'runs: auto\nwarmup: 1\nseed: 7\nstate: cold\ntask: hello\nmodel: replay\nconcurrency: 4\ntimeout: 60\nrequire: [docker@a, host]\n';
    expect(read(text)).toEqual({
      ...{
        runs: 'auto',
        warmup: 1,
        seed: 7,
        state: 'cold',
        task: expect.objectContaining({ id: 'hello' }),
        model: 'replay',
        concurrency: 4,
        timeout: 60,
      },
      require: ['docker@a', 'host'],
    });
    expect(read('seed: 0\n')).toEqual({ seed: 0 });
  });

  test.each([
    ['512m', 512],
    ['2g', 2048],
    ['1.5GiB', 1536],
    ['2048k', 2],
    ['1 gb', 1024],
  ])('takes memory in Docker’s spelling: %s', (memory, memoryMiB) => {
    expect(read(`modes: [{mode: docker, memory: ${memory}}]`).modes).toMatchObject([
      { options: { memoryMiB } },
    ]);
  });

  test('says which way the credential goes in, for all rows and for one', () => {
    expect(read('deliver: all\nmodes: [host, {mode: docker, deliver: file}]')).toMatchObject({
      deliver: 'all',
      modes: [{ name: 'host' }, { name: 'docker', deliver: 'file' }],
    });
  });

  test('takes a number for a label', () => {
    expect(read('modes: [{mode: docker, label: 1}, {mode: docker, label: 2}]').modes).toMatchObject(
      [{ name: 'docker@1' }, { name: 'docker@2' }],
    );
  });

  test('that the documentation shows is one', () => {
    const page = readFileSync(join(packageRoot, 'docs/match-files.md'), 'utf8');
    const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '');
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(read(example).modes?.length).toBeGreaterThan(0);
  });
});

describe('a mistake is told with its place and what to write instead:', () => {
  test.each([
    ['unknown key', 'rnus: 3', 'match.yaml: unknown key rnus → did you mean runs?'],
    [
      'no way for a credential',
      'deliver: pigeon',
      'match.yaml: deliver takes gateway, env, file, runtime-proxy, remote-secret or all → deliver: gateway',
    ],
    [
      'far-off key',
      'colour_of_bikeshed: 3',
      /^match\.yaml: unknown key colour_of_bikeshed → keys: runs warmup /,
    ],
    [
      'unknown key of a row',
      'modes: [host, {mode: docker, netwrok: host}]',
      'match.yaml: modes[1]: unknown key netwrok → did you mean network?',
    ],
    [
      'a mistyped key that has to be there',
      'modes: [{mdoe: docker}]',
      'match.yaml: modes[0]: unknown key mdoe → did you mean mode?',
    ],
    [
      'unknown mode',
      'modes: [host, dcker]',
      'match.yaml: modes[1]: unknown mode: dcker → did you mean docker?',
    ],
    [
      'unknown mode that is required',
      'require: [dcker]',
      'match.yaml: require[0]: unknown mode: dcker → did you mean docker?',
    ],
    [
      'too many runs',
      'runs: 5000',
      'match.yaml: runs takes a whole number from 1 to 1000, or auto → runs: 10',
    ],
    [
      'a word for a number',
      'runs: many',
      'match.yaml: runs takes a whole number from 1 to 1000, or auto → runs: 10',
    ],
    [
      'a fraction',
      'warmup: 1.5',
      'match.yaml: warmup takes a whole number from 0 to 100 → warmup: 1',
    ],
    [
      'a number in quotes',
      'seed: "7"',
      'match.yaml: seed takes a whole number from 0 to 2147483647 → seed: 7',
    ],
    [
      'too many at once',
      'concurrency: 65',
      'match.yaml: concurrency takes a whole number from 1 to 64 → concurrency: 4',
    ],
    [
      'no time',
      'timeout: 0',
      'match.yaml: timeout takes seconds, a whole number from 1 to 86400 → timeout: 120',
    ],
    [
      'another state',
      'state: hot',
      'match.yaml: state takes prepared, warm or cold → state: prepared',
    ],
    [
      'another task',
      'task: dance',
      'match.yaml: task: there is no task dance → hello, refactor, or a folder: ./dance',
    ],
    [
      'another task of a row',
      'modes: [{mode: host, task: helo}]',
      'match.yaml: modes[0].task: there is no task helo → did you mean hello?',
    ],
    [
      'no folder',
      'task: ./no',
      /^match\.yaml: task: there is no task folder \.\/no → it is looked for at \/.*\/no$/,
    ],
    [
      'a number for a task',
      'task: 7',
      'match.yaml: task takes the name of a task, or its folder → task: ./my-task',
    ],
    ['another model', 'model: gpt', 'match.yaml: model takes auto, replay or live → model: replay'],
    [
      'one name for a list',
      'require: docker',
      'match.yaml: require takes a list of names → require: [docker, podman]',
    ],
    [
      'a row that is no row',
      'modes: [host, 3]',
      'match.yaml: modes[1] takes a name, or keys with a mode → mode: docker',
    ],
    [
      'one row for a list',
      'modes: docker',
      'match.yaml: modes takes a list of names, or of keys with a mode → modes: [docker@a, docker@b]',
    ],
    [
      'no rows',
      'modes: []',
      'match.yaml: modes takes a list of names, or of keys with a mode → modes: [docker@a, docker@b]',
    ],
    [
      'a row without a mode',
      'modes: [{label: a}]',
      'match.yaml: modes[0] names no mode → mode: docker',
    ],
    [
      'a mode that is no name',
      'modes: [{mode: 3}]',
      'match.yaml: modes[0].mode takes a name → mode: docker',
    ],
    [
      'no cpus',
      'modes: [{mode: docker, cpus: 0}]',
      'match.yaml: modes[0].cpus takes a number above 0 → cpus: 1.5',
    ],
    [
      'endless cpus',
      'modes: [{mode: docker, cpus: .inf}]',
      'match.yaml: modes[0].cpus takes a number above 0 → cpus: 1.5',
    ],
    [
      'bytes',
      'modes: [{mode: docker, memory: 2048}]',
      'match.yaml: modes[0].memory takes a size with its unit, in whole MiB → memory: 2g',
    ],
    [
      'half a MiB',
      'modes: [{mode: docker, memory: 512k}]',
      'match.yaml: modes[0].memory takes a size with its unit, in whole MiB → memory: 2g',
    ],
    [
      'yes',
      'modes: [{mode: docker, tmpfs: yes}]',
      'match.yaml: modes[0].tmpfs takes true or false → tmpfs: true',
    ],
    [
      'nothing for a network',
      'modes: [{mode: docker, network: }]',
      'match.yaml: modes[0].network takes the name of a network → network: host',
    ],
    [
      'an odd label',
      'modes: [{mode: docker, label: a_b}]',
      'match.yaml: modes[0]: docker@a_b: a label is made of letters, digits and dashes → docker@a',
    ],
    [
      'two labels',
      'modes: [{mode: docker@a, label: b}]',
      'match.yaml: modes[0]: docker@a has a label already → leave out label: b',
    ],
    [
      'a row twice',
      'modes: [docker, host, {mode: docker, cpus: 1}]',
      'match.yaml: modes[2]: docker is entered twice → enter it under labels: docker@a, docker@b',
    ],
    [
      'a label twice',
      'modes: [docker@a, docker@a]',
      'match.yaml: modes[1]: docker@a is entered twice → give each a label of its own',
    ],
    [
      'an option that a mode does not know',
      'modes: [{mode: incus, network: host}]',
      'match.yaml: modes[0]: incus knows no option network → options of incus: tmpfs cpus memory target egress',
    ],
    [
      'an option that only other modes know',
      'modes: [{mode: host, memory: 2g}]',
      'match.yaml: modes[0]: host knows no option memory → options of host: egress',
    ],
    [
      'an egress that is neither a word for it nor a list of domains',
      'modes: [{mode: host, egress: [https://example.com]}]',
      'match.yaml: modes[0].egress[0] takes gateway, internet, or a list of domains → egress: [example.com]',
    ],
    [
      'a list',
      '- docker\n- host\n',
      'match.yaml: a match file is made of keys → modes: [host, docker]',
    ],
    ['nothing', '', 'match.yaml: a match file is made of keys → modes: [host, docker]'],
  ])('%s', (_, text, message) => {
    if (typeof message === 'string') expect(mistake(text)).toBe(message);
    else expect(mistake(text)).toMatch(message);
  });

  test.each([
    ['an open bracket', 'runs: 3\nmodes: [docker\nseed: 1\n', 3],
    ['a key twice', 'runs: 3\nmodes: [docker]\nruns: 4\n', 3],
    ['a crooked indent', 'modes:\n  - mode: docker\n   label: a\n', 3],
    ['two documents', 'runs: 3\n---\nruns: 4\n', 2],
  ])('YAML that is none, by its line: %s', (_, text, line) => {
    expect(mistake(text)).toMatch(
      new RegExp(`^match\\.yaml line ${line}: \\S.* → correct line ${line}; a match file is YAML$`),
    );
  });

  test('a value that a few lines of aliases would blow up', () => {
    const lines = Array.from(
      { length: 12 },
      (_, n) => `k${n + 1}: &k${n + 1} [${Array(10).fill(`*k${n}`).join(', ')}]`,
    );
    expect(mistake(['k0: &k0 [x]', ...lines].join('\n'))).toMatch(
      /^match\.yaml: .*alias.* → write it without aliases$/i,
    );
  });

  test('a file that is not there, or is none', () => {
    const folder = temporaryFolder();
    expect(thrownBy(() => readMatchFile('no.yaml', folder, registry))).toMatchObject({
      code: 'bad-input',
      message: 'there is no match file no.yaml',
      hint: `it is looked for at ${join(folder, 'no.yaml')}`,
    });
    mkdirSync(join(folder, 'match.yaml'));
    expect(thrownBy(() => readMatchFile('match.yaml', folder, registry)).message).toMatch(
      /^the match file match\.yaml cannot be read: .*match\.yaml is a folder, not a plain file$/,
    );
  });
});
