// What nobody catches is told as every other fault: one line, a hint, no secret; and the command
// fails.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildHouse, cagematch, type House, standSomewhere } from '../support/house.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const SECRET = 'the-users-own-token-of-great-worth';

/** A mode that goes wrong where nobody waits for it. */
const broken = (id: string, how: string) => `
import { defineMode } from '../lib/contract.js';
const never = async (): Promise<never> => { throw new Error('not reached'); };
export default defineMode({
  id: '${id}', title: 'Broken', letter: 'X', isolation: 'container', workspace: 'bind', auth: ['env'], inputs: {}, platforms: ['linux', 'darwin'],
  summary: 'is broken', oneShot: false,
  detect: () => new Promise(() => { const fault = new Error('the shed holds ' + process.env.CLAUDE_CODE_OAUTH_TOKEN + '\\nand more'); ${how} }),
  prepare: never, reach: never, layout: (_ctx, host) => host, launch: never, exec: () => { throw new Error('not reached'); },
  collect: never, destroy: never, list: async () => [], reap: never, terminal: never,
});
`;

let house: House;
const place = standSomewhere();
beforeAll(async () => {
  house = await buildHouse({
    'modes/thrower.ts': broken('thrower', 'setImmediate(() => { throw fault; });'),
    'modes/rejecter.ts': broken('rejecter', 'void Promise.reject(fault);'),
  });
});
afterAll(() => {
  house?.close();
  place.close();
});

test.each(['thrower', 'rejecter'])('%s', async (mode) => {
  // What a command that breaks off leaves there goes with the test.
  const env = {
    CLAUDE_CODE_OAUTH_TOKEN: SECRET,
    HOME: temporaryFolder(),
    TMPDIR: temporaryFolder(),
  };
  const { stdout, stderr, exitCode } = await cagematch(house, ['run', mode, '--model', 'live'], {
    cwd: place.cwd,
    env,
  });
  expect(stdout + stderr).not.toContain(SECRET);
  expect(stderr).toBe(
    '✖ the shed holds [redacted CLAUDE_CODE_OAUTH_TOKEN]\nhint: this is a fault of cagematch; --debug shows where\n',
  );
  expect(exitCode).toBe(1);
  const debug = await cagematch(house, ['run', mode, '--model', 'live', '--debug'], {
    cwd: place.cwd,
    env,
  });
  expect(debug.stderr).toMatch(/ at .*\.js:\d+/);
  expect(debug.stderr).not.toContain(SECRET);
});
