// Which credentials are found, in the agent's order; which of them a live run uses; and what of it
// may be shown.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chooseCredential, type Wish } from '../../lib/auth/choose.js';
import { isTaken, mask } from '../../lib/auth/credential.js';
import { findCredentials } from '../../lib/auth/find.js';
import { findGitHub } from '../../lib/auth/github.js';
import type { Env } from '../../lib/contract.js';
import { fakeCommands, printing } from '../support/fake-commands.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const blob = (token: string, rest: object = {}) =>
  JSON.stringify({ claudeAiOauth: { accessToken: token, ...rest } });

/** A home with a login in it, or with whatever text is given. */
function home(text: string | undefined = blob('from-file')): Env {
  const folder = temporaryFolder();
  mkdirSync(join(folder, '.claude'));
  if (text !== undefined)
    writeFileSync(join(folder, '.claude/.credentials.json'), text, { mode: 0o600 });
  return { HOME: folder, USER: 'someone', PATH: '/nonexistent' };
}

const find = (env: Env, platform: NodeJS.Platform = 'linux') => findCredentials({ env, platform });

/** The first that the agent would take. */
async function credentialOf(env: Env, platform: NodeJS.Platform = 'linux') {
  const found = await find(env, platform);
  const first = found.candidates.find(isTaken);
  if (first === undefined) throw new Error(`none found in ${found.looked.join(', ')}`);
  return first;
}

const settings = (env: Env, text: string) =>
  writeFileSync(join(env.HOME ?? '', '.claude/settings.json'), text);

describe('what is found', () => {
  const everything = () => {
    const env = {
      ...home(),
      CLAUDE_CODE_USE_VERTEX: '1',
      ANTHROPIC_AUTH_TOKEN: 'bearer',
      ANTHROPIC_API_KEY: 'key',
      CLAUDE_CODE_OAUTH_TOKEN: 'token',
    };
    settings(env, JSON.stringify({ apiKeyHelper: 'print-a-key' }));
    return env;
  };

  test("stands in the agent's own order, a cloud first and a login last", async () => {
    const PATH = fakeCommands({
      security: `case "$*" in *-credentials) ${printing({ stdout: blob('from-keychain') })};; *) echo legacy;; esac`,
    });
    const { candidates } = await find({ ...everything(), PATH }, 'darwin');
    expect(candidates.map(({ kind, source, secret }) => [kind, source, secret])).toEqual([
      ['cloud', 'environment', undefined],
      ['auth-token', 'environment', 'bearer'],
      ['api-key', 'environment', 'key'],
      ['api-key-helper', 'settings', undefined],
      ['oauth', 'environment', 'token'],
      ['oauth', 'keychain', 'from-keychain'],
      ['api-key', 'keychain', 'legacy'],
      ['oauth', 'file', 'from-file'],
    ]);
  });

  test('says what .env gave, and what the shell', async () => {
    const env = { ...home(''), CLAUDE_CODE_OAUTH_TOKEN: 'token', ANTHROPIC_API_KEY: 'key' };
    const { candidates } = await findCredentials({
      env,
      platform: 'linux',
      dotenv: new Set(['ANTHROPIC_API_KEY']),
    });
    expect(candidates.filter(isTaken)).toMatchObject([
      { source: '.env', where: 'ANTHROPIC_API_KEY' },
      { source: 'environment', where: 'CLAUDE_CODE_OAUTH_TOKEN' },
    ]);
  });

  test('an empty variable gives nothing, and is told', async () => {
    const { candidates, warnings } = await find({
      ...home('{}'),
      CLAUDE_CODE_OAUTH_TOKEN: 'token',
      ANTHROPIC_API_KEY: '',
    });
    expect(candidates).toMatchObject([{ kind: 'oauth', secret: 'token' }]);
    expect(warnings).toEqual([
      {
        text: 'ANTHROPIC_API_KEY is set, and empty: it counts as unset',
        hint: 'unset ANTHROPIC_API_KEY',
      },
    ]);
  });

  test.each(['0', 'false', ''])('a cloud that is switched off by %j is none', async (value) => {
    expect((await find({ ...home('{}'), CLAUDE_CODE_USE_BEDROCK: value })).candidates).toEqual([]);
  });

  test('a settings file that is no JSON is told: a helper in it would be unseen', async () => {
    const env = home();
    settings(env, '{"apiKeyHelper": ');
    expect((await find(env)).warnings).toMatchObject([
      { text: expect.stringMatching(/settings\.json is not JSON/) },
    ]);
  });
});

describe('which one a live run uses', () => {
  const KEY = { ANTHROPIC_API_KEY: 'key' };
  const choose = async (env: Env, wish?: Wish) =>
    (await chooseCredential(await find(env), wish, env)).credential;

  test('the one that there is', async () => {
    expect(await choose({ ...home('{}'), ...KEY })).toMatchObject({
      kind: 'api-key',
      secret: 'key',
    });
    expect(await choose(home())).toMatchObject({ kind: 'oauth', secret: 'from-file' });
  });

  test.each([
    ['an API key', KEY, 'ANTHROPIC_API_KEY'],
    ['a bearer token', { ANTHROPIC_AUTH_TOKEN: 'bearer' }, 'ANTHROPIC_AUTH_TOKEN'],
  ])(
    'none where %s would beat the plan, until somebody says which',
    async (_what, variables, name) => {
      const env: Env = { ...home(), ...variables };
      await expect(choose(env)).rejects.toMatchObject({
        code: 'bad-input',
        message: `${name} would win over the plan's token in ${env.HOME}/.claude/.credentials.json, and bill the API`,
        hint: '--auth plan, or --auth api-key',
      });
      expect(await choose(env, 'plan')).toMatchObject({ secret: 'from-file' });
      expect(await choose(env, 'api-key')).toMatchObject({ where: name });
    },
  );

  test('a cloud is never forwarded to; beside a plan it is a conflict like any other', async () => {
    const cloud = { CLAUDE_CODE_USE_BEDROCK: 'true' };
    await expect(choose({ ...home('{}'), ...cloud, ...KEY })).rejects.toMatchObject({
      message: 'CLAUDE_CODE_USE_BEDROCK is set, and a live run cannot forward to a cloud provider',
      hint: 'unset CLAUDE_CODE_USE_BEDROCK',
    });
    await expect(choose({ ...home(), ...cloud })).rejects.toThrow(/bill a cloud account$/);
    expect(await choose({ ...home(), ...cloud }, 'plan')).toMatchObject({ kind: 'oauth' });
  });

  test('what is asked for and not there is said, with where it was looked', async () => {
    await expect(choose({ ...home('{}'), ...KEY }, 'plan')).rejects.toThrow(
      /^--auth plan needs a plan's token, and none was found in .*CLAUDE_CODE_OAUTH_TOKEN/,
    );
    await expect(choose(home(), 'api-key')).rejects.toThrow(/^--auth api-key needs an API key/);
    await expect(choose(home('{}'))).rejects.toThrow(/^no credential was found in /);
  });

  test('a helper is run only for this, and what it prints is the key', async () => {
    const env = { ...home('{}'), PATH: '/usr/bin:/bin' };
    const ran = join(temporaryFolder(), 'ran');
    settings(env, JSON.stringify({ apiKeyHelper: `touch ${ran}; echo helped` }));
    const found = await find(env);
    expect(() => readFileSync(ran)).toThrow(/ENOENT/);
    expect((await chooseCredential(found, undefined, env)).credential).toMatchObject({
      kind: 'api-key-helper',
      secret: 'helped',
    });
  });

  test.each([
    ['fails', 'echo sk-secret; echo sk-secret >&2; exit 3', /gave no key: exit code 3$/],
    ['prints nothing', 'true', /gave no key: it printed nothing$/],
    ['prints two lines', 'echo sk-secret; echo sk-secret', /printed holds a line break$/],
  ])('a helper that %s is told of without what it printed', async (_what, command, message) => {
    const env = { ...home('{}'), PATH: '/usr/bin:/bin' };
    settings(env, JSON.stringify({ apiKeyHelper: command }));
    await expect(choose(env)).rejects.toMatchObject({
      message: expect.stringMatching(message),
      hint: 'run the command by hand',
    });
    await expect(choose(env)).rejects.not.toThrow(/sk-secret/);
  });

  test('a token with a line break or a space is refused by the name of its variable', async () => {
    for (const secret of ['sk-one\nsk-two', 'sk-one\r', 'sk one', '\u201csk-one\u201d']) {
      const refused = choose({ ...home('{}'), CLAUDE_CODE_OAUTH_TOKEN: secret });
      await expect(refused).rejects.toMatchObject({
        code: 'bad-input',
        message: expect.stringMatching(/^CLAUDE_CODE_OAUTH_TOKEN holds a /),
      });
      await expect(refused).rejects.not.toThrow(/sk/);
    }
  });

  test('an expired one is refused, and one that soon will be is told', async () => {
    const expired = home(blob('from-file', { expiresAt: Date.parse('2020-01-01T00:00:00Z') }));
    await expect(choose(expired)).rejects.toMatchObject({
      message: expect.stringMatching(/expired at 2020-01-01T00:00:00\.000Z$/),
      hint: expect.stringMatching(/setup-token/),
    });
    const soon = home(blob('from-file', { expiresAt: Date.now() + 20 * 60_000 }));
    const { warnings } = await chooseCredential(await find(soon), undefined, soon);
    expect(warnings).toMatchObject([{ text: expect.stringMatching(/expires in (19|20) min/) }]);
    const later = home(blob('from-file', { expiresAt: Date.now() + 5 * 3_600_000 }));
    expect((await chooseCredential(await find(later), undefined, later)).warnings).toEqual([]);
  });

  test('where the only one cannot be read, that is what is said', async () => {
    await expect(choose(home('{"claudeAiOauth":{"accessTo'))).rejects.toThrow(
      /\.credentials\.json is not JSON/,
    );
  });
});

describe('GitHub', () => {
  test('GH_TOKEN comes before GITHUB_TOKEN, and both before what gh has stored', async () => {
    const PATH = `${fakeCommands({ gh: '[ "$*" = "auth token" ] && echo gho_stored' })}:/usr/bin:/bin`;
    expect(await findGitHub({ PATH, GH_TOKEN: 'a', GITHUB_TOKEN: 'b' })).toEqual({
      where: 'GH_TOKEN',
      secret: 'a',
    });
    expect(await findGitHub({ PATH, GITHUB_TOKEN: 'b' })).toEqual({
      where: 'GITHUB_TOKEN',
      secret: 'b',
    });
    expect(await findGitHub({ PATH })).toEqual({ where: 'gh auth', secret: 'gho_stored' });
  });

  test('a gh that is logged out, or not there, gives none', async () => {
    const PATH = fakeCommands({
      gh: printing({ stderr: 'no oauth token found for github.com', code: 1 }),
    });
    expect(await findGitHub({ PATH })).toBeUndefined();
    expect(await findGitHub({ PATH: '/nonexistent' })).toBeUndefined();
  });
});

describe('the Keychain', () => {
  /** A `security` that notes how it was called. */
  function keychain(answer: { stdout?: string; stderr?: string; code?: number }) {
    const notes = join(temporaryFolder(), 'args');
    const PATH = fakeCommands({
      security: `for arg in "$@"; do echo "$arg" >> ${notes}; done\n${printing(answer)}`,
    });
    return { PATH, args: () => readFileSync(notes, 'utf8').trim().split('\n') };
  }

  test('comes before the file, and is asked for the account by name: another item of the service can hold no login', async () => {
    const { PATH, args } = keychain({
      stdout: blob('from-keychain', {
        expiresAt: 1_900_000_000_000,
        subscriptionType: 'max',
        scopes: ['a', 'b'],
      }),
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
    expect(args().slice(0, 6)).toEqual([
      'find-generic-password',
      '-a',
      'someone',
      '-w',
      '-s',
      'Claude Code-credentials',
    ]);
    expect(args().at(-1)).toBe('Claude Code');
  });

  test('holds the login of another settings folder under a name of its own, as the agent does', async () => {
    const { PATH, args } = keychain({ stdout: blob('from-keychain') });
    const env = { ...home(), PATH, CLAUDE_CONFIG_DIR: '/Users/someone/other' };
    const suffix = createHash('sha256').update('/Users/someone/other').digest('hex').slice(0, 8);
    expect(await credentialOf(env, 'darwin')).toMatchObject({
      where: `Claude Code-credentials-${suffix}`,
    });
    expect(args()[5]).toBe(`Claude Code-credentials-${suffix}`);
    expect(args().at(-1)).toBe(`Claude Code-${suffix}`);
  });

  test.each([
    [
      'has no such item',
      { stderr: 'The specified item could not be found in the keychain.', code: 44 },
      undefined,
    ],
    [
      'is locked',
      { stderr: 'User interaction is not allowed.', code: 36 },
      'security unlock-keychain',
    ],
    [
      'denies',
      { stderr: 'security: SecKeychainItemCopyContent: User canceled the operation.', code: 128 },
      'try again and choose Always Allow',
    ],
    [
      'fails',
      { stderr: 'security: SecKeychainSearchCopyNext: something else', code: 50 },
      'claude setup-token prints a token for .env',
    ],
    ['holds no JSON', { stdout: 'a password' }, 'claude /login writes it anew'],
  ])('that %s is passed over for the file, and told', async (_what, answer, hint) => {
    const PATH = fakeCommands({
      security: `case "$*" in *-credentials) ${printing(answer).replaceAll('\n', '; ')};; *) exit 44;; esac`,
    });
    const env = { ...home(), PATH };
    expect(await credentialOf(env, 'darwin')).toMatchObject({
      secret: 'from-file',
      source: 'file',
    });
    const { candidates } = await find(env, 'darwin');
    const problems = candidates.flatMap(({ problem }) => (problem ? [problem] : []));
    expect(problems).toMatchObject(
      hint === undefined
        ? []
        : [{ text: expect.stringContaining('the Keychain item "Claude Code-credentials"'), hint }],
    );
    expect(JSON.stringify(problems)).not.toContain('a password');
  });

  test('that holds other things and no login is nobody’s mistake', async () => {
    const PATH = fakeCommands({
      security: `case "$*" in *-credentials) ${printing({ stdout: JSON.stringify({ mcpOAuth: {} }) })};; *) exit 44;; esac`,
    });
    const { candidates } = await find({ ...home('{}'), PATH }, 'darwin');
    expect(candidates).toEqual([]);
  });

  test('is asked on macOS only', async () => {
    const { PATH, args } = keychain({ stdout: blob('from-keychain') });
    expect(await credentialOf({ ...home(), PATH }, 'linux')).toMatchObject({ secret: 'from-file' });
    expect(args).toThrow(/ENOENT/);
  });
});

describe("the agent's file", () => {
  test('is read with what it tells of the plan', async () => {
    const env = home(
      blob('from-file', {
        expiresAt: null,
        scopes: null,
        subscriptionType: null,
        refreshToken: 'r',
      }),
    );
    const path = join(env.HOME ?? '', '.claude/.credentials.json');
    expect(await credentialOf(env)).toEqual({
      kind: 'oauth',
      secret: 'from-file',
      source: 'file',
      where: path,
    });
  });

  test('lies in CLAUDE_CONFIG_DIR, where that is set', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '.credentials.json'), blob('from-elsewhere'));
    expect(await credentialOf({ ...home(), CLAUDE_CONFIG_DIR: folder })).toMatchObject({
      secret: 'from-elsewhere',
    });
  });

  test('is not looked for in the folder that one happens to be in, when variables are empty', async () => {
    const env = home();
    expect(await credentialOf({ ...env, CLAUDE_CONFIG_DIR: '' })).toMatchObject({
      secret: 'from-file',
    });
    const { looked } = await find({ ...env, HOME: '', CLAUDE_CONFIG_DIR: '' });
    expect(looked.at(-1)).toMatch(/^\//);
  });

  test.each([
    ['is cut short', '{"claudeAiOauth":{"accessTo', /is not JSON that could hold a login$/],
    ['is null', 'null', /is not JSON that could hold a login$/],
    ['holds an empty token', blob(''), /holds a login that is not whole \(accessToken\)$/],
    [
      'holds a login of another shape',
      '{"claudeAiOauth":"sk-secret"}',
      /holds a login that is not whole \(claudeAiOauth\)$/,
    ],
  ])(
    'that %s counts as none, and is told with where to get another',
    async (_what, text, message) => {
      const { candidates } = await find(home(text));
      expect(candidates.filter(isTaken)).toEqual([]);
      expect(candidates).toMatchObject([
        { problem: { text: expect.stringMatching(message), hint: 'claude /login writes it anew' } },
      ]);
      expect(JSON.stringify(candidates)).not.toContain('sk-secret');
    },
  );

  test('that holds other things and no login is nobody’s mistake; where all was looked is told', async () => {
    const env = home('{"mcpOAuth":{}}');
    expect(await find(env)).toEqual({
      candidates: [],
      warnings: [],
      looked: [
        expect.stringContaining('CLAUDE_CODE_OAUTH_TOKEN'),
        join(env.HOME ?? '', '.claude/.credentials.json'),
      ],
    });
  });

  test('that other users may read is used, and told', async () => {
    const env = home();
    const path = join(env.HOME ?? '', '.claude/.credentials.json');
    chmodSync(path, 0o644);
    expect(await find(env)).toMatchObject({
      candidates: [{ secret: 'from-file' }],
      warnings: [
        { text: `${path} can be read by other users of this machine`, hint: `chmod 600 ${path}` },
      ],
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
      const secret = Array.from({ length }, (_, at) => String.fromCharCode(33 + (at % 90))).join(
        '',
      );
      const shown = mask(secret).replace('…', '').length;
      expect(shown, `${length} long`).toBeLessThanOrEqual(length / 2);
    }
  });
});
