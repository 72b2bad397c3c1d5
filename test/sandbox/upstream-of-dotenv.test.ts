// An upstream that stands in the .env of the current folder, which may be a stranger's, is given no
// credential that comes from elsewhere.
import { expect, test } from 'vitest';
import type { Io } from '../../commands/io.js';
import { chooseModel } from '../../commands/model.js';

const TOKEN = { CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-of-a-test' };
const UPSTREAM = { CAGEMATCH_UPSTREAM: 'https://user:password@elsewhere.example/base' };

/** @param dotenv the names that came from .env */
const choose = (wish: 'auto' | 'live', dotenv: string[]) => {
  const env = { HOME: '/nonexistent', ...TOKEN, ...UPSTREAM };
  return chooseModel(wish, undefined, {
    env,
    dotenv: new Set(dotenv),
    platform: 'linux',
  } as unknown as Io);
};

test.each(['auto', 'live'] as const)(
  '--model %s refuses it with a credential of the shell, and names both',
  async (wish) => {
    await expect(choose(wish, ['CAGEMATCH_UPSTREAM'])).rejects.toMatchObject({
      code: 'bad-input',
      message:
        '.env sets CAGEMATCH_UPSTREAM to https://elsewhere.example/base, and the credential (CLAUDE_CODE_OAUTH_TOKEN) does not come from that .env',
      hint: 'export CAGEMATCH_UPSTREAM=https://elsewhere.example/base where you trust it, or --model replay',
    });
  },
);

test.each([
  ['both stand in the same .env', [...Object.keys(TOKEN), ...Object.keys(UPSTREAM)]],
  ['the shell sets both', []],
  ['the shell sets the upstream', Object.keys(TOKEN)],
])(
  'where %s it is used, and the model’s line names it without its password',
  async (_what, dotenv) => {
    const { name, why } = await choose('auto', dotenv);
    expect({ name, why }).toEqual({
      name: 'live',
      why: expect.stringMatching(/; the API is asked at https:\/\/elsewhere\.example\/base$/),
    });
  },
);
