// What the programs that a mode starts find in their environment: recorded by fakes in the place of
// every program there is.
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Env, Mode } from '../../lib/contract.js';
import { clientEnv, otherUserEnv, programEnv } from '../../lib/os/client-env.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { OWN_INPUTS } from '../../lib/sandbox/settings.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const modes = [...(await loadModes()).values()];

/** All that a caller may have in the shell, with a value by which each is known. */
const SECRETS = [
  ...modes.flatMap(({ inputs }) => Object.keys(inputs).filter((name) => inputs[name]?.secret)),
  ...Object.entries(OWN_INPUTS).flatMap(([name, input]) => ('secret' in input ? [name] : [])),
  ...[
    'GITHUB_TOKEN',
    'GH_TOKEN',
    'AWS_SECRET_ACCESS_KEY',
    'NPM_TOKEN',
    'SSH_AUTH_SOCK',
    'NODE_OPTIONS',
    'LD_PRELOAD',
    'BASH_ENV',
  ],
  ...['CLAUDE_CONFIG_DIR', 'ANTHROPIC_BASE_URL', 'DATABASE_URL'],
];
const CALLER: Env = {
  ...Object.fromEntries(SECRETS.map((name) => [name, `secret of ${name}`])),
  HOME: '/home/caller',
  USER: 'caller',
  LC_ALL: 'C.UTF-8',
  XDG_CONFIG_HOME: '/home/caller/.config',
  https_proxy: 'http://user:password@proxy:1',
  HTTP_PROXY: 'http://proxy:1',
  NO_PROXY: 'localhost,127.0.0.1',
  CAGEMATCH_ROOTLESS_USER: 'nobody',
  CAGEMATCH_KUBE_CONTEXT: 'kind',
};

/** Programs that note their environment, and fail. */
function recorders(programs: readonly string[]): {
  path: string;
  seen(): { program: string; env: Env }[];
} {
  const path = temporaryFolder();
  const log = join(temporaryFolder(), 'log');
  mkdirSync(log);
  for (const program of programs) {
    const file = join(path, program);
    writeFileSync(
      file,
      `#!/bin/sh\n/usr/bin/env -0 > ${log}/.$$ && /bin/mv ${log}/.$$ ${log}/$$.${program}\nexit 1\n`,
    );
    chmodSync(file, 0o755);
  }
  return {
    path,
    seen: () =>
      readdirSync(log)
        .filter((name) => !name.startsWith('.'))
        .map((name) => ({
          program: name.replace(/^\d+\./, ''),
          env: Object.fromEntries(
            readFileSync(join(log, name), 'utf8')
              .split('\0')
              .filter(Boolean)
              .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
          ),
        })),
  };
}

const PROGRAMS = [
  'docker',
  'podman',
  'setpriv',
  'incus',
  'kubectl',
  'flyctl',
  'fly',
  'sbx',
  'srt',
  'bwrap',
  'socat',
  'rg',
  'runsc',
  'crun',
];

async function startedPrograms(mode: Mode, uid: number) {
  const { path, seen } = recorders(PROGRAMS);
  const env = { ...CALLER, PATH: path };
  const base = {
    env,
    platform: 'linux' as const,
    uid,
    match: 'none',
    signal: new AbortController().signal,
    say: () => {},
  };
  const keeper = createKeeper();
  await detectAll([mode], (candidate) => contextFor(base, keeper, candidate));
  const ctx = contextFor(base, keeper, mode);
  await mode.list(ctx).catch(() => {});
  await mode.census?.(ctx).catch(() => {});
  await keeper.closeAll();
  return seen();
}

describe.each(modes.map((mode) => ({ mode, id: mode.id })))(
  'the programs that $id starts',
  ({ mode }) => {
    test('get no secret but those that the mode declares', async () => {
      const programs = await startedPrograms(mode, 1000);
      for (const { program, env } of programs) {
        const secrets = SECRETS.filter((name) => env[name] !== undefined);
        const declared = [...Object.keys(mode.inputs), ...(mode.clientVariables ?? [])];
        expect(
          secrets.filter((name) => !declared.includes(name)),
          program,
        ).toEqual([]);
        expect(env.HOME === undefined ? undefined : 'has one', program).toBe('has one');
      }
      if (['docker', 'podman', 'incus'].includes(mode.id))
        expect(programs.map(({ program }) => program)).toContain(mode.id);
    });
  },
);

test('a mode declares no variable of the agent and none by which programs are made to load something', () => {
  for (const { id, inputs, clientVariables = [] } of modes) {
    const names = [...Object.keys(inputs), ...clientVariables];
    expect(
      names.filter((name) =>
        /^(ANTHROPIC_|CLAUDE_|GITHUB_|GH_|LD_|DYLD_|NODE_OPTIONS|BASH_ENV|ENV$|PYTHON)/.test(name),
      ),
      id,
    ).toEqual([]);
  }
});

test('a mode that nobody has thought of gets what it declares and what any program needs', () => {
  const mode = { inputs: { MINE: { help: 'x', secret: true } }, clientVariables: ['ITS_CLIENTS'] };
  const env = {
    PATH: '/bin',
    Path: 'C:',
    HOME: '/h',
    LC_TIME: 'C',
    http_proxy: 'p',
    XDG_STATE_HOME: '/s',
    MINE: 'm',
    ITS_CLIENTS: 'i',
  };
  expect(clientEnv({ ...env, THEIRS: 't', GITHUB_TOKEN: 'g' }, mode)).toEqual(env);
  expect(programEnv({ ...env, THEIRS: 't' })).toEqual({
    ...env,
    MINE: undefined,
    ITS_CLIENTS: undefined,
  });
});

test('a process of another user gets nothing of the caller’s own, and no password', () => {
  const env = {
    ...CALLER,
    PATH: '/bin',
    TMPDIR: '/t',
    CONTAINERS_CONF: '/c',
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/0/bus',
  };
  expect(otherUserEnv(env, ['CONTAINERS_CONF'])).toEqual({
    PATH: '/bin',
    TMPDIR: '/t',
    CONTAINERS_CONF: '/c',
    LC_ALL: 'C.UTF-8',
    HTTP_PROXY: 'http://proxy:1',
    NO_PROXY: 'localhost,127.0.0.1',
  });
});

test.skipIf(process.getuid?.() !== 0)(
  'rootless Podman of another user is called without the caller’s home, names and passwords',
  async () => {
    const podman = modes.find(({ id }) => id === 'podman');
    if (!podman) throw new Error('there is no such mode');
    const called = (await startedPrograms(podman, 0)).filter(
      ({ program }) => program === 'setpriv',
    );
    expect(called.length).toBeGreaterThan(0);
    for (const { env } of called) {
      expect(Object.values(env).join(' ')).not.toMatch(/secret|password/);
      expect(env).toMatchObject({ HTTP_PROXY: 'http://proxy:1' });
      expect([env.USER, env.XDG_CONFIG_HOME, env.CAGEMATCH_ROOTLESS_USER, env.HOME]).toEqual([
        undefined,
        undefined,
        undefined,
        '/nonexistent',
      ]);
    }
  },
);
