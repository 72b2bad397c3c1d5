// Whose credential is used: the environment's, then the Keychain's, then the agent's own file; and what of it may be shown.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findCredential, givenCredential, mask } from '../lib/auth/find.js';
import type { Env } from '../lib/contract.js';
import { fakeCommands, saying } from './fake-commands.js';
import { temporaryFolder } from './temporary-folder.js';

const blob = (token: string, more: object = {}) => JSON.stringify({ claudeAiOauth: { accessToken: token, ...more } });

/** A home with a login in it, or with whatever text is given. */
function home(text: string | undefined = blob('from-file')): Env {
  const folder = temporaryFolder();
  mkdirSync(join(folder, '.claude'));
  if (text !== undefined) writeFileSync(join(folder, '.claude/.credentials.json'), text);
  return { HOME: folder, USER: 'someone', PATH: '/nonexistent' };
}

async function credentialOf(env: Env, platform: NodeJS.Platform = 'linux') {
  const found = await findCredential(env, platform);
  if ('missing' in found) throw new Error(`none found in ${found.looked.join(', ')}`);
  return found.credential;
}

describe('given on purpose', () => {
  test('a token or a key in the environment comes before everything else', async () => {
    const security = fakeCommands({ security: saying({ stdout: blob('from-keychain') }) });
    const env = { ...home(), PATH: security };
    expect(await credentialOf({ ...env, CLAUDE_CODE_OAUTH_TOKEN: 'token' }, 'darwin')).toMatchObject({
      kind: 'oauth',
      secret: 'token',
      source: 'environment',
      where: 'CLAUDE_CODE_OAUTH_TOKEN',
    });
    expect(await credentialOf({ ...env, ANTHROPIC_API_KEY: 'key' }, 'darwin')).toMatchObject({ kind: 'api-key', secret: 'key' });
  });

  test('the key wins over the token, as in the agent itself', () => {
    const both = { CLAUDE_CODE_OAUTH_TOKEN: 'token', ANTHROPIC_API_KEY: 'key' };
    expect(givenCredential(both)).toMatchObject({ kind: 'api-key', secret: 'key', where: 'ANTHROPIC_API_KEY' });
  });

  test('an empty variable gives nothing', () => {
    expect(givenCredential({ CLAUDE_CODE_OAUTH_TOKEN: '', ANTHROPIC_API_KEY: '' })).toBeUndefined();
    expect(givenCredential({ CLAUDE_CODE_OAUTH_TOKEN: 'token', ANTHROPIC_API_KEY: '' })).toMatchObject({ kind: 'oauth' });
  });

  test('a login that is merely found was not given', () => {
    expect(givenCredential(home())).toBeUndefined();
  });
});

describe('the Keychain', () => {
  /** A `security` that notes how it was called. */
  function keychain(answer: { stdout?: string; stderr?: string; code?: number }) {
    const notes = join(temporaryFolder(), 'args');
    const PATH = fakeCommands({ security: `for arg in "$@"; do echo "$arg" >> ${notes}; done\n${saying(answer)}` });
    return { PATH, args: () => readFileSync(notes, 'utf8').trim().split('\n') };
  }

  test('comes before the file, and is asked for the account by name: another item of the service can hold no login', async () => {
    const { PATH, args } = keychain({
      stdout: blob('from-keychain', { expiresAt: 1_900_000_000_000, subscriptionType: 'max', scopes: ['a', 'b'] }),
    });
    expect(await credentialOf({ ...home(), PATH }, 'darwin')).toEqual({
      kind: 'oauth',
      secret: 'from-keychain',
      source: 'keychain',
      where: 'Claude Code-credentials',
      expiresAt: new Date(1_900_000_000_000),
      plan: 'max',
      scopes: ['a', 'b'],
    });
    expect(args()).toEqual(['find-generic-password', '-a', 'someone', '-w', '-s', 'Claude Code-credentials']);
  });

  test('holds the login of another settings folder under a name of its own, as the agent does', async () => {
    const { PATH, args } = keychain({ stdout: blob('from-keychain') });
    const env = { ...home(), PATH, CLAUDE_CONFIG_DIR: '/Users/someone/other' };
    const suffix = createHash('sha256').update('/Users/someone/other').digest('hex').slice(0, 8);
    expect(await credentialOf(env, 'darwin')).toMatchObject({ where: `Claude Code-credentials-${suffix}` });
    expect(args().at(-1)).toBe(`Claude Code-credentials-${suffix}`);
  });

  test.each([
    ['has no such item', { stderr: 'The specified item could not be found in the keychain.', code: 44 }],
    ['is locked', { stderr: 'User interaction is not allowed.', code: 36 }],
    ['holds no login', { stdout: JSON.stringify({ mcpOAuth: {} }) }],
    ['holds no JSON', { stdout: 'a password' }],
  ])('that %s is passed over for the file', async (_what, answer) => {
    const { PATH } = keychain(answer);
    expect(await credentialOf({ ...home(), PATH }, 'darwin')).toMatchObject({ secret: 'from-file', source: 'file' });
  });

  test('is asked on macOS only', async () => {
    const { PATH, args } = keychain({ stdout: blob('from-keychain') });
    expect(await credentialOf({ ...home(), PATH }, 'linux')).toMatchObject({ secret: 'from-file' });
    expect(args).toThrow(/ENOENT/);
  });
});

describe("the agent's file", () => {
  test('is read with what it tells of the plan', async () => {
    const env = home(blob('from-file', { expiresAt: null, scopes: null, subscriptionType: null, refreshToken: 'r' }));
    const path = join(env.HOME ?? '', '.claude/.credentials.json');
    expect(await credentialOf(env)).toEqual({ kind: 'oauth', secret: 'from-file', source: 'file', where: path });
  });

  test('lies in CLAUDE_CONFIG_DIR, where that is set', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '.credentials.json'), blob('from-elsewhere'));
    expect(await credentialOf({ ...home(), CLAUDE_CONFIG_DIR: folder })).toMatchObject({ secret: 'from-elsewhere' });
  });

  test('is not looked for in the folder that one happens to be in, when variables are empty', async () => {
    const env = home();
    expect(await credentialOf({ ...env, CLAUDE_CONFIG_DIR: '' })).toMatchObject({ secret: 'from-file' });
    const found = await findCredential({ ...env, HOME: '', CLAUDE_CONFIG_DIR: '' }, 'linux');
    const where = 'missing' in found ? (found.looked.at(-1) ?? '') : found.credential.where;
    expect(where).toMatch(/^\//);
  });

  test.each([
    ['is cut short', '{"claudeAiOauth":{"accessTo'],
    ['holds no login', '{"mcpOAuth":{}}'],
    ['holds an empty token', blob('')],
    ['is null', 'null'],
  ])('that %s counts as none; where all was looked is told', async (_what, text) => {
    const env = home(text);
    expect(await findCredential(env, 'linux')).toEqual({
      missing: 'no credential found',
      looked: [expect.stringContaining('CLAUDE_CODE_OAUTH_TOKEN'), join(env.HOME ?? '', '.claude/.credentials.json')],
    });
  });
});

describe('a mask', () => {
  test('lets one recognise a real token, and not use it', () => {
    const token = `sk-ant-oat01-${'abcdefgh'.repeat(11)}wxyz-AA`;
    expect(mask(token)).toBe('sk-ant-oat01-…z-AA');
  });

  test('never shows half of a secret, however short it is', () => {
    for (let length = 0; length <= 200; length += 1) {
      const secret = Array.from({ length }, (_, at) => String.fromCharCode(33 + (at % 90))).join('');
      const shown = mask(secret).replace('…', '').length;
      expect(shown, `${length} long`).toBeLessThanOrEqual(length / 2);
    }
  });
});
