// The replay that runs beside the agent, in guests that cannot reach the host: run here as the
// process that it is there.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { capture } from '../../lib/os/capture.js';
import { packageRoot } from '../../lib/package.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const MARK = '@mark-of-this-run';
const TOKEN = 'token-of-this-run';
const CASSETTE = {
  schemaVersion: 2,
  task: 'test',
  model: 'claude-test',
  agent: 'written',
  conversations: [{ exchanges: [{ content: [{ type: 'text', text: 'from the cassette' }] }] }],
};

/** What a fake agent asks the model, in its own words. */
const ASK = `
  const ask = (token, body = '{"messages":[{"role":"user","content":"hi"}]}', method = 'POST') =>
    fetch(process.env.ANTHROPIC_BASE_URL + (method === 'POST' ? '/v1/messages' : ''), {
      method, headers: token ? { authorization: 'Bearer ' + token, 'anthropic-beta': 'oauth-2025-04-20' } : {},
      ...(method === 'POST' ? { body } : {}),
    });
`;

/** @param agent the fake agent, a program for Node; `ask` is there */
function runInside(
  agent: string,
  env: Record<string, string> = { CLAUDE_CODE_OAUTH_TOKEN: TOKEN },
) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'cassette.json'), JSON.stringify(CASSETTE));
  writeFileSync(join(folder, 'agent.mjs'), `${ASK}\n${agent}`);
  return runBeside(
    [process.execPath, join(folder, 'agent.mjs')],
    join(folder, 'cassette.json'),
    env,
  );
}

function runBeside(agent: string[], cassette: string, env: Record<string, string>) {
  const script = join(packageRoot, 'lib/model/inside.mjs');
  return capture([process.execPath, script, cassette, MARK, '--', ...agent], {
    env,
    timeoutMs: 20_000,
  });
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

describe('beside the agent', () => {
  test('the agent is given an address on loopback, and gets the cassette there', async () => {
    const { stdout, end } = await runInside(`
      console.log(process.env.ANTHROPIC_BASE_URL);
      console.log((await (await ask('${TOKEN}')).json()).content[0].text);
    `);
    expect(end).toEqual({ type: 'exit', code: 0 });
    expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/m);
    expect(linesOf(stdout)).toContain('from the cassette');
  });

  test('every request is marked as it comes, as the model is asked and as it is answered, with how the credential came', async () => {
    const { stdout } = await runInside(`
      console.log('before');
      await (await ask('${TOKEN}')).text();
      await (await ask('${TOKEN}')).text();
    `);
    const marked = ['request {"header":"authorization","oauth":true}', 'asked', 'answered'].map(
      (what) => `${MARK} ${what}`,
    );
    expect(linesOf(stdout)).toEqual(['before', ...marked, ...marked]);
  });

  test("a key of the guest's own and its proxy do not come between the agent and the replay", async () => {
    const { stdout } = await runInside(
      `console.log(process.env.ANTHROPIC_API_KEY, process.env.NO_PROXY, process.env.no_proxy)`,
      {
        CLAUDE_CODE_OAUTH_TOKEN: TOKEN,
        ANTHROPIC_API_KEY: 'proxy-managed',
        NO_PROXY: 'example.org',
      },
    );
    expect(linesOf(stdout)).toEqual(['undefined 127.0.0.1,example.org 127.0.0.1,example.org']);
  });

  test('HEAD is answered and is no request to the model', async () => {
    const { stdout } = await runInside(`console.log((await ask(undefined, '', 'HEAD')).status)`);
    expect(linesOf(stdout)).toEqual(['200']);
  });

  test.each([
    ['a wrong token', { CLAUDE_CODE_OAUTH_TOKEN: TOKEN }, 'another'],
    ['no token', { CLAUDE_CODE_OAUTH_TOKEN: TOKEN }, ''],
    ['any token, when the run itself has none', {}, 'another'],
  ])('%s is 401, and not marked', async (_what, env, token) => {
    const { stdout } = await runInside(
      `console.log((await ask('${token}')).status)`,
      env as Record<string, string>,
    );
    expect(linesOf(stdout)).toEqual(['401']);
  });

  test('a request that the cassette has no answer to is told once, and nothing is answered after it', async () => {
    const further = JSON.stringify({
      messages: [
        { role: 'user', content: 'hi' },
        ...Array.from({ length: 2 }, () => ({ role: 'assistant', content: 'x' })),
      ],
    });
    const { stdout } = await runInside(`
      console.log((await ask('${TOKEN}')).status);
      console.log((await ask('${TOKEN}', '${further}')).status);
      console.log((await ask('${TOKEN}')).status);
    `);
    expect(linesOf(stdout).filter((line) => !line.startsWith(MARK))).toEqual(['200', '400', '400']);
    expect(stdout).toContain(
      `${MARK} diverged main, request 3: the cassette goes no further than request 1`,
    );
  });

  test('a request that is none is refused, and the agent goes on', async () => {
    const { stdout, end } = await runInside(`
      for (const body of ['null', '{"messages":', '{"messages":[null]}']) console.log((await ask('${TOKEN}', body)).status);
      console.log((await ask('${TOKEN}')).status);
    `);
    expect(linesOf(stdout).filter((line) => !line.startsWith(MARK))).toEqual([
      '400',
      '400',
      '400',
      '200',
    ]);
    expect(end).toEqual({ type: 'exit', code: 0 });
  });
});

describe("the agent's end", () => {
  test.each([0, 3, 137])('exit code %i is passed on', async (code) => {
    const { end } = await runInside(`process.exitCode = ${code}`);
    expect(end).toEqual({ type: 'exit', code });
  });

  test.each(['SIGKILL', 'SIGTERM'])('death by %s is passed on as that', async (signal) => {
    const { end } = await runInside(
      `process.kill(process.pid, '${signal}'); await new Promise(() => setInterval(() => {}, 1000));`,
    );
    expect(end).toEqual({ type: 'signal', name: signal });
  });

  test('comes though a connection to the model is kept alive', async () => {
    const { end } = await runInside(`
      await (await ask('${TOKEN}')).text();
      process.exit(5);
    `);
    expect(end).toEqual({ type: 'exit', code: 5 });
  });

  test('an agent that is not there is 127, with its name', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'cassette.json'), JSON.stringify(CASSETTE));
    const { end, stderr } = await runBeside(['no-such-agent'], join(folder, 'cassette.json'), {
      CLAUDE_CODE_OAUTH_TOKEN: TOKEN,
    });
    expect(end).toEqual({ type: 'exit', code: 127 });
    expect(stderr).toMatch(/no-such-agent/);
  });

  test('a cassette that is not there ends it before the agent is started', async () => {
    const marker = join(temporaryFolder(), 'was-started');
    const { end, stderr } = await runBeside(
      ['/bin/sh', '-c', `echo > ${marker}`],
      '/nonexistent/cassette.json',
      {},
    );
    expect(end).toEqual({ type: 'exit', code: 1 });
    expect(stderr).toMatch(/nonexistent\/cassette\.json/);
    expect(existsSync(marker)).toBe(false);
  });
});
