// Which way the credential goes into the sandbox: what the agent is started with, what the gateway
// takes, and which rows that makes.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../lib/auth/credential.js';
import { asFile, asToken, asVariable, canary } from '../../lib/auth/deliver.js';
import { planMatch } from '../../lib/match/plan.js';
import { createGateway } from '../../lib/model/gateway.js';
import { openModelAccess } from '../../lib/sandbox/model-access.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { agentCommand } from '../../lib/task/agent.js';
import { writeProgram } from '../support/fake-commands.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const LOGIN: Credential = {
  kind: 'oauth',
  source: 'file',
  where: '~/.claude/.credentials.json',
  secret: 'sk-ant-oat01-the-access-token',
  expiresAt: new Date('2030-01-01T00:00:00Z'),
  scopes: ['user:inference', 'user:profile'],
  plan: 'max',
};
const KEY: Credential = {
  kind: 'api-key',
  source: 'environment',
  where: 'ANTHROPIC_API_KEY',
  secret: 'sk-ant-api03-a-key',
};

/** Starts what a mode would start, with a program in the agent's place. */
async function started(delivery: ReturnType<typeof asFile>, options: { memory?: boolean } = {}) {
  const folder = temporaryFolder();
  const [home, memory, bin] = ['home', 'memory', 'bin'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [home, memory, bin]) mkdirSync(folder);
  writeProgram(
    join(bin, 'claude'),
    '#!/bin/sh\nenv >"$HOME/env"; cat >"$HOME/stdin"; printf "%s\\n" "$@" >"$HOME/argv"; umask >"$HOME/umask"\n',
  );
  const layout = {
    workspace: folder,
    home,
    path: `${bin}:/usr/bin:/bin`,
    ...(options.memory ? { memory } : {}),
  };
  const command = agentCommand({ prompt: 'do it', layout, mark: '@x', delivery });
  const [program, ...args] = command.argv;
  const env = { ...command.env, ...command.secretEnv };
  const stdout = await new Promise<string>((resolve, reject) => {
    const child = execFile(program, args, { env, cwd: command.cwd }, (error, out) =>
      error ? reject(error) : resolve(out),
    );
    child.stdin?.end(command.stdin);
  });
  const seen = (name: string) => readFileSync(join(home, name), 'utf8');
  return { command, home, memory, stdout, seen, file: join(home, '.claude/.credentials.json') };
}

describe('a login that goes as a file', () => {
  test('is where the agent looks for it, for its user alone, in memory where there is some', async () => {
    const { file, memory, stdout, seen } = await started(asFile(LOGIN), { memory: true });
    expect(stdout).toBe('@x first-process\n');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      claudeAiOauth: {
        accessToken: LOGIN.secret,
        expiresAt: 1893456000000,
        scopes: ['user:inference', 'user:profile'],
        subscriptionType: 'max',
      },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(file).ino).toBe(statSync(join(memory, 'cagematch-credentials.json')).ino);
    expect(seen('umask').trim()).toMatch(/^0?022$/);
  });

  test('lies in the home itself where there is no such memory', async () => {
    const { file } = await started(asFile(LOGIN));
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('takes no refresh token along, and is neither in the environment, nor in argv, nor left on the agent’s stdin', async () => {
    const { command, seen } = await started(asFile(LOGIN), { memory: true });
    for (const text of [seen('env'), seen('argv'), seen('stdin'), JSON.stringify(command.argv)])
      expect(text).not.toContain(LOGIN.secret);
    expect(command.secretEnv).toEqual({});
    expect(command.stdin).not.toMatch(/refresh/i);
  });

  test('replaces one of a run before in the same sandbox', async () => {
    const { home, memory } = await started(asFile(LOGIN), { memory: true });
    writeFileSync(join(memory, 'cagematch-credentials.json'), 'of the run before');
    const command = agentCommand({
      prompt: 'do it',
      layout: { workspace: home, home, memory, path: join(home, '../bin:/usr/bin:/bin') },
      mark: '@y',
      delivery: asFile(canary()),
    });
    const [program, ...args] = command.argv;
    await new Promise<void>((resolve, reject) => {
      execFile(program, args, { env: command.env, cwd: home }, (error) =>
        error ? reject(error) : resolve(),
      ).stdin?.end(command.stdin);
    });
    expect(
      JSON.parse(readFileSync(join(memory, 'cagematch-credentials.json'), 'utf8')).claudeAiOauth
        .accessToken,
    ).toMatch(/^sk-ant-oat01-/);
  });
});

test('a variable bears the name under which the agent takes that kind', () => {
  expect(asVariable(LOGIN)).toMatchObject({
    variable: 'CLAUDE_CODE_OAUTH_TOKEN',
    secret: LOGIN.secret,
  });
  expect(asVariable(KEY)).toMatchObject({ variable: 'ANTHROPIC_API_KEY' });
  expect(asVariable({ ...KEY, kind: 'auth-token' })).toMatchObject({
    variable: 'ANTHROPIC_AUTH_TOKEN',
  });
});

describe('the gateway', () => {
  async function opened(deliver: 'gateway' | 'env' | 'file') {
    const gateway = createGateway(async (req, res) => void res.end(`reached ${req.url}`));
    onTestFinished(() => gateway.close());
    const reach = {
      via: 'address' as const,
      listen: '127.0.0.1',
      url: (port: number) => `http://127.0.0.1:${port}`,
    };
    const port = await gateway.listen('127.0.0.1');
    const admitted = {
      mode: { auth: ['gateway'] as ['gateway'] },
      reach,
      gateway,
      deliver,
      credential: LOGIN,
    };
    const { tap, access } = openModelAccess(admitted, 'hello');
    const ask = (token: string, path = access.path) =>
      fetch(`http://127.0.0.1:${port}${path}/v1/messages?beta=true`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: '{}',
      });
    return { gateway, admitted, tap, access, ask };
  }

  test('gives a guest a token of its own, and knows the run by it', async () => {
    const { tap, access, ask } = await opened('gateway');
    expect(access).toMatchObject({ delivery: asToken(tap.token), path: '' });
    expect(tap.token).not.toBe(LOGIN.secret);
    expect((await ask(LOGIN.secret)).status).toBe(401);
    expect(await (await ask(tap.token)).text()).toBe('reached /v1/messages?beta=true');
  });

  test('knows a run by its path where several runs bear the one credential', async () => {
    const { gateway, admitted, tap, ask } = await opened('env');
    const second = openModelAccess(admitted, 'hello');
    expect(await (await ask(LOGIN.secret)).text()).toBe('reached /v1/messages?beta=true');
    expect([tap.requests, second.tap.requests]).toEqual([1, 0]);
    await ask(LOGIN.secret, second.access.path);
    expect([tap.requests, second.tap.requests]).toEqual([1, 1]);
    gateway.closeTap(second.tap);
    expect((await ask(LOGIN.secret, second.access.path)).status).toBe(401);
    expect((await ask(LOGIN.secret, '')).status).toBe(401);
  });

  test('tells that another credential came than the one that was given', async () => {
    const { tap, ask } = await opened('file');
    expect((await ask('somebody-elses')).status).toBe(401);
    expect(tap).toMatchObject({ stranger: true, requests: 0 });
  });
});

describe('rows', () => {
  const plan = async (names: string[], deliver?: 'all' | 'env' | 'file') => {
    const registry = await loadModes();
    const detected = [...registry.values()].map((mode) => ({
      mode,
      detection: { status: 'ready' as const, version: '1', facts: {} },
      runtimeState: undefined,
    }));
    return planMatch(
      registry,
      detected,
      names.map((name) => ({ name })),
      [],
      { state: 'prepared', task: 'hello', deliver },
    );
  };
  const ways = ({ entries }: Awaited<ReturnType<typeof plan>>) =>
    entries.map(({ entry, deliver }) => [entry, deliver]);

  test('go by the gateway, or else as their mode prefers', async () => {
    expect(ways(await plan(['host', 'docker', 'fly']))).toEqual([
      ['host', 'gateway'],
      ['docker', 'gateway'],
      ['fly', 'remote-secret'],
    ]);
  });

  test('are one for each way where all are asked for, labelled by it, beside the label that they have', async () => {
    expect(ways(await plan(['docker', 'docker@x'], 'all')).toSorted()).toEqual([
      ['docker@env', 'env'],
      ['docker@file', 'file'],
      ['docker@gateway', 'gateway'],
      ['docker@x-env', 'env'],
      ['docker@x-file', 'file'],
      ['docker@x-gateway', 'gateway'],
    ]);
  });

  test('are left out where the mode has no such way, with the one that it has', async () => {
    const { entries, missing } = await plan(['docker', 'fly'], 'file');
    expect(entries.map(({ entry }) => entry)).toEqual(['docker']);
    expect(missing).toEqual([
      expect.objectContaining({
        entry: 'fly',
        reason: 'Fly.io takes no credential by way of file',
        hint: '--deliver remote-secret',
      }),
    ]);
  });
});
