// .env and the environment: what wins, what counts as unset, and how a mistake is told without
// telling a secret.
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../lib/package.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import {
  ignoredLine,
  loadInputs,
  OWN_INPUTS,
  readDotenv,
  readOwnInputs,
  shownUpstream,
} from '../../lib/sandbox/settings.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

function folderWith(dotenv: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, '.env'), dotenv);
  return folder;
}

const load = (dotenv: string) => readDotenv(join(folderWith(dotenv), '.env'));

const refusal = (dotenv: string) => thrownBy(() => load(dotenv));

describe('.env', () => {
  test('may be absent', async () => {
    expect(await loadInputs(temporaryFolder(), { A: '1', B: undefined })).toEqual({
      env: { A: '1' },
      dotenv: new Set(),
      ignored: [],
    });
  });

  test('stands below the shell', async () => {
    const folder = folderWith('ANTHROPIC_API_KEY=from-file\nCAGEMATCH_GATEWAY_PORT=1\n');
    const { env, dotenv } = await loadInputs(folder, { ANTHROPIC_API_KEY: 'from-shell' });
    expect({ env, dotenv: [...dotenv] }).toEqual({
      env: { ANTHROPIC_API_KEY: 'from-shell', CAGEMATCH_GATEWAY_PORT: '1' },
      dotenv: ['CAGEMATCH_GATEWAY_PORT'],
    });
  });

  test('a variable that the shell has emptied stays empty: that is how .env is overruled for once', async () => {
    const { env } = await loadInputs(folderWith('ANTHROPIC_API_KEY=key\n'), {
      ANTHROPIC_API_KEY: '',
    });
    expect(env).toEqual({ ANTHROPIC_API_KEY: '' });
  });

  test('of a stranger’s folder leads no client to a program or to another address, and what is ignored is named', async () => {
    const ours = Object.keys(OWN_INPUTS);
    const declared = [...(await loadModes()).values()].flatMap(({ inputs }) => Object.keys(inputs));
    const foreign = [
      'NODE_OPTIONS',
      'DOCKER_CONFIG',
      'PATH',
      'LD_PRELOAD',
      'HTTPS_PROXY',
      'ANTHROPIC_BASE_URL',
      'HOME',
      'CAGEMATCH_X',
    ];
    const names = [...new Set([...ours, ...declared, ...foreign])];
    const { env, ignored } = await loadInputs(
      folderWith(names.map((name) => `${name}=1\n`).join('')),
      { PATH: '/bin' },
    );
    expect(Object.keys(env).sort()).toEqual([...ours, 'PATH'].sort());
    expect(env.PATH).toBe('/bin');
    expect(ignored.sort()).toEqual(
      names.filter((name) => !ours.includes(name) && name !== 'PATH').sort(),
    );
    expect(ignored).toContain('DOCKER_HOST');
    expect(ignoredLine(['A', 'B'])).toBe(
      'ignored from .env: A, B; export them in your shell where they are meant for cagematch',
    );
    expect(ignoredLine(['A', 'B', 'C', 'D', 'E', 'F', 'G'])).toMatch(
      /: A, B, C, D, E and 2 more; /,
    );
    expect(ignoredLine([])).toBeUndefined();
  });

  test('of cagematch’s own folder is believed for the inputs that a mode declares, and for nothing else', async () => {
    const root = temporaryFolder();
    for (const part of [
      'package.json',
      'Dockerfile',
      'tsconfig.build.json',
      'lib',
      'modes',
      'node_modules',
    ])
      symlinkSync(join(packageRoot, part), join(root, part));
    cpSync(join(packageRoot, 'dist'), join(root, 'dist'), { recursive: true });
    writeFileSync(
      join(root, '.env'),
      'DOCKER_HOST=unix:///x\nCAGEMATCH_BROWSER=b\nDOCKER_CONFIG=./dc\nNODE_OPTIONS=--import=x\n',
    );
    const script = `import { loadInputs } from '${join(root, 'dist/lib/sandbox/settings.js')}';
      const { env, ignored } = await loadInputs('${root}', {});
      console.log(JSON.stringify({ env, ignored }));`;
    const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', script]);
    expect(JSON.parse(stdout)).toEqual({
      env: { DOCKER_HOST: 'unix:///x', CAGEMATCH_BROWSER: 'b' },
      ignored: ['DOCKER_CONFIG', 'NODE_OPTIONS'],
    });
  });

  test.each(['A=', 'A=""', "A=''", 'A=   ', 'A= # later'])(
    'an empty value means unset: %s',
    (line) => {
      expect(load(`${line}\n`)).toEqual({});
    },
  );

  test('takes what people write: export, quotes, comments, spaces, blank lines', () => {
    const text = [
      '# a comment',
      'export A=exported',
      "  B = 'quoted # not a comment' # a comment",
      'C="with \\n newline"',
      'D=http://host:1/?a=b#part',
      '',
      '   # indented',
      'E.F-G=1',
    ].join('\n');
    expect(load(text)).toEqual({
      A: 'exported',
      B: 'quoted # not a comment',
      C: 'with \n newline',
      D: 'http://host:1/?a=b',
      'E.F-G': '1',
    });
  });

  test('takes values over several lines, in any quotes', () => {
    const text = 'A="one\ntwo = 2\nthree"\nB=\'four\n# five\n\'\nC=6\n';
    expect(load(text)).toEqual({ A: 'one\ntwo = 2\nthree', B: 'four\n# five\n', C: '6' });
  });

  test('takes the line ends of Windows, and the mark that its editors put in front', () => {
    expect(load('\uFEFF# a comment\r\nA=1\r\n\r\n# another\r\nB="2"\r\n')).toEqual({
      A: '1',
      B: '2',
    });
  });

  test.each([
    ['A=1\nsk-ant-oat01-secret\nB=2\n', 2],
    ['# fine\n\n  =sk-ant-oat01-secret\n', 3],
    ['A="1\n2"\nsk-ant-oat01 secret\n', 3],
    ['A=1\nB="sk-ant-oat01-secret\nC=3\nD=4\n', 2],
  ])('a broken line is told by its number and never shown: %j', (text, line) => {
    const error = refusal(text);
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(`.env line ${line} `),
    });
    expect(
      `${error.message} ${error.hint} ${error.stack} ${JSON.stringify(error.cause)}`,
    ).not.toContain('sk-ant-oat01');
  });

  test('that cannot be read is an error that names it', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, '.env'));
    const error = thrownBy(() => readDotenv(join(folder, '.env')));
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(
        /^\.env cannot be read: .*\.env is a folder, not a plain file$/,
      ),
    });
    expect(error.hint).toContain(join(folder, '.env'));
  });
});

describe('what cagematch itself reads', () => {
  test('has defaults', () => {
    expect(readOwnInputs({})).toEqual({ gatewayPort: 0, upstream: 'https://api.anthropic.com' });
  });

  test('an empty value means unset, also in the shell', () => {
    expect(readOwnInputs({ CAGEMATCH_GATEWAY_PORT: '', CAGEMATCH_UPSTREAM: '' })).toEqual(
      readOwnInputs({}),
    );
  });

  test('a port and a base URL are taken', () => {
    expect(
      readOwnInputs({
        CAGEMATCH_GATEWAY_PORT: '8787',
        CAGEMATCH_UPSTREAM: 'https://proxy/anthropic',
      }),
    ).toEqual({
      gatewayPort: 8787,
      upstream: 'https://proxy/anthropic',
    });
  });

  test.each([
    'http://127.0.0.1:9/x',
    'http://localhost',
    'http://api.localhost:1',
    'http://[::1]:9',
  ])('an upstream on this machine needs no TLS: %s', (url) =>
    expect(readOwnInputs({ CAGEMATCH_UPSTREAM: url }).upstream).toBe(url),
  );

  test.each([
    'http://proxy:80/anthropic',
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'http://localhost.example.com',
  ])('an upstream elsewhere does: %s', (url) => {
    const error = thrownBy(() => readOwnInputs({ CAGEMATCH_UPSTREAM: url }));
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/^CAGEMATCH_UPSTREAM: has to begin with https/),
    });
  });

  test('an upstream is shown without the name and the password in it', () => {
    expect(shownUpstream('https://user:secret@proxy/anthropic?key=1')).toBe(
      'https://proxy/anthropic',
    );
    expect(shownUpstream(readOwnInputs({}).upstream)).toBeUndefined();
  });

  test.each(['x', '-1', '65536', '80.5', '80a', '0x50', ' ', '1e3'])(
    'a port that is none is refused by name: %j',
    (port) => {
      const error = thrownBy(() => readOwnInputs({ CAGEMATCH_GATEWAY_PORT: port }));
      expect(error).toMatchObject({
        code: 'bad-input',
        message: expect.stringMatching(/^CAGEMATCH_GATEWAY_PORT: .*port/),
      });
    },
  );

  test.each(['proxy:80', 'nonsense', 'file:///etc/passwd', 'ftp://host'])(
    'an upstream that cannot be asked is refused by name: %s',
    (url) => {
      const error = thrownBy(() => readOwnInputs({ CAGEMATCH_UPSTREAM: url }));
      expect(error).toMatchObject({
        code: 'bad-input',
        message: expect.stringMatching(/^CAGEMATCH_UPSTREAM: /),
      });
    },
  );

  test('no mode declares a name of ours for something else', async () => {
    for (const mode of (await loadModes()).values())
      for (const name of Object.keys(mode.inputs))
        expect(OWN_INPUTS, `${mode.id} declares ${name}`).not.toHaveProperty(name);
  });
});
