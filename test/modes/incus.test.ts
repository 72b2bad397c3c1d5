// Incus beyond this host, as far as a client that answers as the test wants can show it: OCI
// images, virtual machines, and the way there.
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Context } from '../../lib/contract.js';
import { createKeeper } from '../../lib/sandbox/context.js';
import incus from '../../modes/incus.js';
import { fakeCommands, quoted, writeProgram } from '../support/fake-commands.js';
import { modeContext } from '../support/mode-context.js';
import { incusState } from '../support/runtime-states.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const REMOTES = {
  ghcr: { Addr: 'https://ghcr.io', Protocol: 'oci' },
  images: { Addr: 'https://images.example', Protocol: 'simplestreams' },
};
const IMAGE = 'ghcr:me/cagematch-runner:1';

/**
 * An incus whose every call is noted, with what it is given on stdin; what it prints is what
 * `answers` says of it.
 */
function client(answers: string) {
  const folder = temporaryFolder();
  const log = join(folder, 'calls');
  writeFileSync(log, '');
  const PATH = fakeCommands({
    incus: `echo "$@" >>${quoted(log)}\n[ "$1" != launch ] || { /bin/cat >>${quoted(log)}; echo >>${quoted(log)}; }\n${answers}`,
  });
  const calls = () => readFileSync(log, 'utf8').split('\n').filter(Boolean);
  const keeper = createKeeper();
  const context = (given: Partial<Context> & { env?: Record<string, string> } = {}): Context => ({
    ...modeContext('incus', { ...given, env: { ...given.env, PATH } }),
    keep: keeper.keep,
  });
  return { calls, context, folder, close: () => keeper.closeAll() };
}

const ANSWERS = `case "$*" in
"remote list"*) echo ${quoted(JSON.stringify(REMOTES))} ;;
monitor*) exec /bin/sleep 300 ;;
"query /1.0/instances/"*) echo "Error: Instance not found" >&2; exit 1 ;;
esac`;

const spec = (name: string, workspace: string) => ({
  name,
  host: { workspace, home: '', tmp: '', path: '' },
  files: [],
  user: { uid: 1000, gid: 1000 },
});

test('an OCI image is launched as it is, with an entry point that idles, and nothing is built', async () => {
  const { calls, context, folder, close } = client(ANSWERS);
  const ctx = context({ env: { CAGEMATCH_INCUS_IMAGE: IMAGE }, state: incusState({ oci: true }) });
  await incus.prepare(ctx);
  expect(calls().filter((call) => /^(publish|init|file)/.test(call))).toEqual([]);
  await incus.launch(ctx, spec('sandbox', folder));
  const at = calls().findIndex((call) => call.startsWith('launch'));
  expect(calls()[at]).toBe(`launch ${IMAGE} sandbox`);
  expect(JSON.parse(calls()[at + 1] ?? '')).toMatchObject({
    config: { 'oci.entrypoint': 'sleep infinity' },
  });
  expect(incus.runner?.(ctx)).toBe(IMAGE);
  await close();
});

test('a server that runs no OCI images says so before anything is launched; an image of another kind is no matter to it', async () => {
  const { calls, context, close } = client(ANSWERS);
  await expect(
    incus.prepare(context({ env: { CAGEMATCH_INCUS_IMAGE: IMAGE } })),
  ).rejects.toMatchObject({
    code: 'not-ready',
    message: `this Incus runs no OCI images, and ${IMAGE} is one`,
    hint: expect.stringContaining('6.3'),
  });
  expect(calls().some((call) => call.startsWith('launch'))).toBe(false);
  await close();
  const other = client(ANSWERS);
  await incus.prepare(other.context({ env: { CAGEMATCH_INCUS_IMAGE: 'images:mine' } }));
  await other.close();
});

test('an image that the user named is never taken away', async () => {
  const { context, close } = client(ANSWERS);
  await expect(
    incus.evict?.(context({ env: { CAGEMATCH_INCUS_IMAGE: IMAGE } })),
  ).rejects.toMatchObject({
    code: 'image-unavailable',
    message: `${IMAGE} is not ours to take away`,
  });
  await close();
});

test('a virtual machine is launched when the agent in it takes commands, not when it has been started', async () => {
  const { calls, context, folder, close } = client('');
  const bin = temporaryFolder();
  // The first two attempts find no agent.
  writeProgram(
    join(bin, 'incus'),
    `#!/bin/sh\necho "$@" >>${quoted(join(folder, 'calls'))}\ncase "$*" in\nmonitor*) exec /bin/sleep 300 ;;\nexec*) [ "$(/usr/bin/grep -c ^exec ${quoted(join(folder, 'calls'))})" -gt 2 ] || { echo "Error: VM agent isn't currently running" >&2; exit 1; } ;;\nesac\n`,
  );
  const ctx = { ...context({ variant: 'vm' }), env: { PATH: bin } };
  const { handle } = await incus.launch(ctx, spec('machine', folder));
  expect(handle).not.toHaveProperty('runningAtMs');
  expect(calls().filter((call) => call.startsWith('exec')).length).toBe(3);
  expect(calls().find((call) => call.startsWith('launch'))).toMatch(/ machine --vm$/);
  await close();
});

test('instances that cagematch on another machine has on the same server are left alone; of a lost member’s, which tell no settings, the name tells', async () => {
  const config = {
    'user.cagematch.match': 'm',
    'user.cagematch.mode': 'incus',
    'user.cagematch.owner': '1:boot',
  };
  const instances = [
    { name: 'ours', config: { ...config, 'user.cagematch.host': hostname() } },
    { name: 'theirs', config: { ...config, 'user.cagematch.host': 'elsewhere' } },
    { name: 'cagematch-20261121-010203-abcd-incus-1', config: null },
    { name: 'somebody', config: null },
  ];
  const { context, close } = client(`echo ${quoted(JSON.stringify(instances))}`);
  expect(await incus.list(context())).toMatchObject([
    { id: 'ours', labels: { match: 'm', owner: '1:boot' } },
    { id: 'cagematch-20261121-010203-abcd-incus-1', labels: { match: '20261121-010203-abcd' } },
  ]);
  await close();
});

const steps = async (
  given: Parameters<ReturnType<typeof client>['context']>[0],
  answers: string,
) => {
  const { context } = client(answers);
  return (await incus.setup?.(context(given))) ?? [];
};

test('on a Mac the way there is a Lima VM, and a runner image for it', async () => {
  const silent = 'echo "Error: The incus daemon doesn\'t appear to be started" >&2; exit 1';
  expect(await steps({ platform: 'darwin' }, silent)).toMatchObject([
    { text: 'the incus client', done: true },
    {
      text: expect.stringContaining('Lima VM'),
      done: false,
      hint: expect.stringContaining('colima start --runtime incus'),
    },
    { text: 'the server trusts you', done: false },
    {
      text: expect.stringContaining('runner image'),
      done: false,
      hint: expect.stringContaining('CAGEMATCH_INCUS_IMAGE='),
    },
  ]);
});

test('where coi is, it is said what it has to do with this', async () => {
  const { context, close } = client(`echo ${quoted(JSON.stringify({ auth: 'trusted' }))}`);
  const ctx = context();
  const bin = fakeCommands({ coi: 'exit 0' });
  const all = (await incus.setup?.({ ...ctx, env: { PATH: `${ctx.env.PATH}:${bin}` } })) ?? [];
  expect(all.filter(({ done }) => done !== true)).toMatchObject([
    { text: expect.stringMatching(/coi .*wraps this same Incus/), done: undefined },
  ]);
  await close();
});
