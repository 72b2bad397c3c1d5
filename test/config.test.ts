// .env and the environment: what wins, what counts as unset, and how a mistake is told without telling a secret.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadEnv, OWN_INPUTS, readOwnInputs } from '../lib/match/config.js';
import { loadModes } from '../lib/match/registry.js';
import { temporaryFolder } from './temporary-folder.js';
import { thrownBy } from './thrown.js';

function load(dotenv: string, shell: NodeJS.ProcessEnv = {}) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, '.env'), dotenv);
  return loadEnv(folder, shell);
}

const refusal = (dotenv: string) => thrownBy(() => load(dotenv));

describe('.env', () => {
  test('may be absent', () => {
    expect(loadEnv(temporaryFolder(), { A: '1', B: undefined })).toEqual({ A: '1' });
  });

  test('stands below the shell', () => {
    expect(load('A=from-file\nB=from-file\n', { A: 'from-shell' })).toEqual({ A: 'from-shell', B: 'from-file' });
  });

  test('a variable that the shell has emptied stays empty: that is how .env is overruled for once', () => {
    expect(load('ANTHROPIC_API_KEY=key\n', { ANTHROPIC_API_KEY: '' })).toEqual({ ANTHROPIC_API_KEY: '' });
  });

  test.each(['A=', 'A=""', "A=''", 'A=   ', 'A= # later'])('an empty value means unset: %s', (line) => {
    expect(load(`${line}\n`)).toEqual({});
  });

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
    expect(load('\uFEFF# a comment\r\nA=1\r\n\r\n# another\r\nB="2"\r\n')).toEqual({ A: '1', B: '2' });
  });

  test.each([
    ['A=1\nsk-ant-oat01-secret\nB=2\n', 2],
    ['# fine\n\n  =sk-ant-oat01-secret\n', 3],
    ['A="1\n2"\nsk-ant-oat01 secret\n', 3],
    ['A=1\nB="sk-ant-oat01-secret\nC=3\nD=4\n', 2],
  ])('a broken line is told by its number and never shown: %j', (text, line) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'bad-input', message: expect.stringContaining(`.env line ${line} `) });
    expect(`${error.message} ${error.hint} ${error.stack} ${JSON.stringify(error.cause)}`).not.toContain('sk-ant-oat01');
  });

  test('that cannot be read is an error that names it', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, '.env'));
    const error = thrownBy(() => loadEnv(folder, {}));
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/^\.env cannot be read: .*\.env is a folder, not a plain file$/),
    });
    expect(error.hint).toContain(join(folder, '.env'));
  });
});

describe('what cagematch itself reads', () => {
  test('has defaults', () => {
    expect(readOwnInputs({})).toEqual({ gatewayPort: 0, upstream: 'https://api.anthropic.com' });
  });

  test('an empty value means unset, also in the shell', () => {
    expect(readOwnInputs({ CAGEMATCH_GATEWAY_PORT: '', CAGEMATCH_UPSTREAM: '' })).toEqual(readOwnInputs({}));
  });

  test('a port and a base URL are taken', () => {
    expect(readOwnInputs({ CAGEMATCH_GATEWAY_PORT: '8787', CAGEMATCH_UPSTREAM: 'http://proxy:80/anthropic' })).toEqual({
      gatewayPort: 8787,
      upstream: 'http://proxy:80/anthropic',
    });
  });

  test.each(['x', '-1', '65536', '80.5', '80a', '0x50', ' ', '1e3'])('a port that is none is refused by name: %j', (port) => {
    const error = thrownBy(() => readOwnInputs({ CAGEMATCH_GATEWAY_PORT: port }));
    expect(error).toMatchObject({ code: 'bad-input', message: expect.stringMatching(/^CAGEMATCH_GATEWAY_PORT: .*port/) });
  });

  test.each(['proxy:80', 'nonsense', 'file:///etc/passwd', 'ftp://host'])(
    'an upstream that cannot be asked is refused by name: %s',
    (url) => {
      const error = thrownBy(() => readOwnInputs({ CAGEMATCH_UPSTREAM: url }));
      expect(error).toMatchObject({ code: 'bad-input', message: expect.stringMatching(/^CAGEMATCH_UPSTREAM: /) });
    },
  );

  test('no mode declares a name of ours for something else', async () => {
    for (const mode of (await loadModes()).values())
      for (const name of Object.keys(mode.inputs)) expect(OWN_INPUTS, `${mode.id} declares ${name}`).not.toHaveProperty(name);
  });
});
