// When a sandbox began to run and was gone, where the runtime itself tells it, and where it tells
// nothing.
import { afterEach, expect, test } from 'vitest';
import type { Context } from '../../lib/contract.js';
import { type Moment, watchMoments } from '../../lib/kit/lifecycle-events.js';
import { createKeeper } from '../../lib/sandbox/context.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { type Arena, openArena } from '../support/conformance/arena.js';
import { openStandIn, type StandIn } from '../support/stand-ins/stand-in.js';

let standIn: StandIn | undefined;
let arena: Arena | undefined;
const keeper = createKeeper();
afterEach(async () => {
  await arena?.close();
  await standIn?.close();
  await keeper.closeAll();
  standIn = undefined;
  arena = undefined;
});

async function open(program: string, env: Record<string, string>): Promise<Arena> {
  standIn = await openStandIn(program, { CAGEMATCH_INCUS_HOST_ADDRESS: '127.0.0.1', ...env });
  const mode = (await loadModes()).get(program);
  if (!mode) throw new Error(`no mode ${program}`);
  arena = await openArena({
    name: program,
    mode,
    real: false,
    variant: undefined,
    runtimeState: undefined,
    env: standIn.env,
    close: async () => {},
  });
  return arena;
}

const shellEvents = (script: string) => ({
  key: 'test',
  argv: (): [string, ...string[]] => ['/bin/sh', '-c', script],
  env: { PATH: process.env.PATH ?? '' },
  read(line: string) {
    const [, moment, name] = /^(start|gone) (\w+)$/.exec(line) ?? [];
    return name === undefined ? undefined : { moment: moment as Moment, name };
  },
});

const ctx = { keep: keeper.keep } as Context;

test('a moment is told to who asks before it and to who asks after it, the same', async () => {
  const events = await watchMoments(ctx, shellEvents('echo nonsense; echo start one; sleep 300'));
  const first = await events.until('start', 'one');
  expect(first).toBeTypeOf('number');
  expect(await events.until('start', 'one', 0)).toBe(first);
  expect(await events.until('gone', 'one', 0)).toBeUndefined();
});

test('when the stream of events ends, nobody waits any longer', async () => {
  const events = await watchMoments(ctx, shellEvents('echo start one; exit 1'));
  expect(await events.until('gone', 'one')).toBeUndefined();
  expect(await events.until('start', 'one')).toBeTypeOf('number');
});

test('an instance runs since the daemon said so, and is gone since then, not since we have asked what is left', async () => {
  const { launch, plan, ctx: own, target } = await open('incus', {});
  // Until the listener is there, nothing is told.
  let box = await launch(plan('box-0'));
  for (let attempt = 1; box.runningAtMs === undefined && attempt < 20; attempt += 1)
    box = await launch(plan(`box-${attempt}`));
  expect(box.runningAtMs).toBeLessThanOrEqual(performance.now());
  const { goneAtMs } = await target.mode.destroy(own, box.handle);
  expect(goneAtMs).toBeGreaterThan(box.runningAtMs ?? Number.POSITIVE_INFINITY);
  expect(goneAtMs).toBeLessThan(performance.now());
});

test('an instance is launched and removed all the same when the daemon tells no events', async () => {
  const {
    launch,
    plan,
    ctx: own,
    target,
    listed,
  } = await open('incus', { CAGEMATCH_STAND_IN_NO_EVENTS: '1' });
  const box = await launch(plan('quiet'));
  expect(box.runningAtMs).toBeUndefined();
  expect(await target.mode.destroy(own, box.handle)).toEqual({});
  expect(await listed(box.name)).toEqual([]);
});
