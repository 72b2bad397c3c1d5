// What a container client must survive: a runtime that tells no events, and an `exec` that never
// hears of its container's end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Command } from '../../lib/contract.js';
import { execInContainer, listContainers } from '../../lib/kit/oci/client.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { type Arena, openArena, read, shell } from '../support/conformance/arena.js';
import { fakeCommands, printing } from '../support/fake-commands.js';
import { modeContext } from '../support/mode-context.js';
import { dockerState, podmanState } from '../support/runtime-states.js';
import { openStandIn, type StandIn } from '../support/stand-ins/stand-in.js';

let standIn: StandIn | undefined;
let arena: Arena | undefined;
beforeEach(() => {
  standIn = undefined;
  arena = undefined;
});
afterEach(async () => {
  await arena?.close();
  await standIn?.close();
});

async function open(program: string, env: Record<string, string>): Promise<Arena> {
  standIn = await openStandIn(program, env);
  const mode = (await loadModes()).get(program);
  if (!mode) throw new Error(`no mode ${program}`);
  const runtimeState = program === 'docker' ? dockerState() : podmanState();
  arena = await openArena({
    name: program,
    mode,
    real: false,
    variant: undefined,
    runtimeState,
    env: standIn.env,
    close: async () => {},
  });
  return arena;
}

test.each(['docker', 'podman'])(
  '%s: a sandbox is launched, read and removed when the runtime tells no events',
  async (program) => {
    const { launch, plan, listed, ctx, target } = await open(program, {
      CAGEMATCH_STAND_IN_NO_EVENTS: '1',
    });
    const long = await launch(
      plan('long', (layout) =>
        shell(layout, 'echo begun; until [ -e go ]; do sleep 0.02; done; echo done; exit 3'),
      ),
    );
    writeFileSync(join(long.host.workspace, 'go'), '');
    expect(await read(long.process as never)).toMatchObject({
      stdout: ['begun', 'done'],
      end: { type: 'exit', code: 3 },
    });
    const short = await launch(plan('short', (layout) => shell(layout, 'exit 0')));
    expect((await read(short.process as never)).end).toEqual({ type: 'exit', code: 0 });
    for (const box of [long, short]) {
      expect(box.runningAtMs).toBeUndefined();
      await target.mode.destroy(ctx, box.handle);
      expect(await listed(box.name)).toEqual([]);
    }
  },
);

test('a launch that the runtime refuses fails with its words when it tells no events', async () => {
  const { launch, plan, ctx, target } = await open('docker', { CAGEMATCH_STAND_IN_NO_EVENTS: '1' });
  const refused = plan('refused', (layout) => shell(layout, 'exit 0'));
  await expect(
    target.mode.launch({ ...ctx, variant: 'nonesuch' }, refused.spec),
  ).rejects.toMatchObject({
    code: 'launch-failed',
    message: expect.stringContaining('Unknown runtime specified nonesuch'),
  });
  expect((await launch(plan('after', (layout) => shell(layout, 'exit 0')))).process).toBeDefined();
});

test('destroy ends a command whose client never hears that its sandbox is gone', async () => {
  const { launch, plan, stream, ctx, target } = await open('docker', {
    CAGEMATCH_STAND_IN_DEAF_EXEC: '1',
  });
  const box = await launch(plan('deaf'));
  let hear = () => {};
  const begun = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const reading = read(stream(box, ['/bin/sh', '-c', 'echo begun; sleep 300']), () => hear());
  await begun;
  await target.mode.destroy(ctx, box.handle);
  expect((await reading).end).toMatchObject({ type: 'lost' });
});

test('a command ends with its container, though its client never hears of that', async () => {
  const { launch, plan, stream, ctx } = await open('docker', { CAGEMATCH_STAND_IN_DEAF_EXEC: '1' });
  const box = await launch(plan('outlived'));
  let removed: Promise<unknown> | undefined;
  const { end } = await read(stream(box, ['/bin/sh', '-c', 'echo begun; sleep 300']), () => {
    removed ??= execa('docker', ['rm', '--force', box.name], { env: ctx.env, extendEnv: false });
  });
  await removed;
  expect(end).toMatchObject({
    type: 'lost',
    reason: 'the container ended while the command ran in it',
  });
});

test.each([
  ['that says so', 'echo "Error: no such container $id" >&2; exit 125', ['stays']],
  ['that is another trouble', 'echo "Error: database is locked" >&2; exit 125', 'threw'],
])(
  'of two containers of which one cannot be inspected, for a reason %s, none is lost in silence',
  async (_why, trouble, listed) => {
    const folder = mkdtempSync(join(tmpdir(), 'client-'));
    const script = `#!/bin/sh
case "$1" in
  ps) echo vanished; echo stays;;
  inspect) for id; do :; done
    case "$*" in *vanished*) ${trouble};; esac
    echo '"stays" true {"cagematch.match":"m1"}';;
esac
`;
    writeFileSync(join(folder, 'client'), script, { mode: 0o755 });
    const listing = listContainers({
      argv: [join(folder, 'client')],
      env: { PATH: process.env.PATH ?? '' },
    });
    const answer = await listing.then(
      (all) => all.map(({ id, state }) => (state === 'running' ? id : `${id}: ${state}`)),
      () => 'threw',
    );
    rmSync(folder, { recursive: true });
    expect(answer).toEqual(listed);
  },
);

test.each([
  ['read unix @->/run/docker.sock: read: connection reset by peer', 'lost'],
  ['out of ideas', 'exit'],
])(
  'a client that ends with code 1 and says “%s” tells of an end that is %s',
  async (message, type) => {
    const PATH = fakeCommands({ docker: printing({ stderr: message, code: 1 }) });
    const command = { argv: ['true'], env: {}, secretEnv: {}, cwd: '/' } as Command;
    const stream = execInContainer(
      { argv: ['docker'], env: { PATH } },
      modeContext('docker'),
      { name: 'x' },
      command,
    );
    expect((await read(stream)).end).toMatchObject({ type });
  },
);
