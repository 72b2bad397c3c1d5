// Whatever befalls a call of the Machines API: the run ends typed, the right one is blamed, and no
// machine is left.

import { describe, expect, it } from 'vitest';
import type { Handle } from '../../lib/contract.js';
import type { Outcome } from '../../lib/record/types.js';
import { failureOf } from '../../lib/sandbox/failure.js';
import { agentFailure, startTranscript } from '../../lib/task/transcript.js';
import fly from '../../modes/fly.js';
import { contextOf, readAll, specOf } from '../support/call-mode.js';
import { standIn } from '../support/stand-ins/fly.js';
import type { Call, Fate, Options } from '../support/stand-ins/fly-api.mjs';

const ECHO = {
  argv: ['sh', '-c', 'echo done >out.txt'] as [string, ...string[]],
  env: {},
  secretEnv: {},
  cwd: '/workspace',
};
const NAME = 'cagematch-20260102-030405-abcd-fly-1';
const LATE = { status: 408, error: 'deadline_exceeded: machine failed to reach desired state' };

/** Fates of the nth calls of one operation, from the first on. */
function on(operation: string, ...fates: (Fate | undefined)[]) {
  return (call: Call) => (call.operation === operation ? fates[call.nth - 1] : undefined);
}

interface Ordeal {
  outcome: Outcome | 'passed';
  messages: string[];
  /** Machines that are there when it is over. */
  left: number;
  /** Regions that were asked for, in turn. */
  regions: string[];
}

/** What a match does with one run, in its order; and what it would put down. */
async function ordeal(options: Options, env: Record<string, string> = {}): Promise<Ordeal> {
  const stand = await standIn(options);
  const messages: string[] = [];
  const ctx = contextOf('fly', { ...stand.env, ...env }, { say: (line) => messages.push(line) });
  const spec = specOf(NAME);
  let handle: Handle = { name: spec.name };
  let outcome: Ordeal['outcome'] = 'passed';
  try {
    ({ handle } = await fly.launch(ctx, spec));
    const { end } = await readAll(fly.exec(ctx, handle, ECHO));
    if (end.type === 'lost') outcome = agentFailure(startTranscript(), end) ?? 'passed';
    else await fly.collect(ctx, handle, spec.host.workspace);
  } catch (error) {
    outcome = failureOf(error);
  }
  try {
    await fly.destroy(ctx, handle);
  } catch (error) {
    outcome = failureOf(error);
  }
  const left = stand.api.machines().length;
  const regions = stand.api.requests.flatMap(({ body }) =>
    body.includes('"region"') ? [JSON.parse(body).region] : [],
  );
  spec.close();
  await ctx.close();
  await stand.close();
  return { outcome, messages, left, regions };
}

describe.concurrent('the run passes all the same, and nothing is left, with', () => {
  it.each<[string, Options]>([
    ['a machine that is slow to start', { bootMs: 700 }],
    [
      '408 while it is waited for',
      { bootMs: 200, befalls: on('Machines_wait', { refuse: LATE }, { refuse: LATE }) },
    ],
    [
      '429 with Retry-After on the order',
      {
        befalls: on('Machines_create', {
          refuse: { status: 429, error: 'rate limit', retryAfter: 1 },
        }),
      },
    ],
    [
      '500 while it is waited for',
      { bootMs: 200, befalls: on('Machines_wait', { refuse: { status: 500, error: 'internal' } }) },
    ],
    [
      '500 at the end',
      { befalls: on('Machines_delete', { refuse: { status: 500, error: 'internal' } }) },
    ],
    [
      '409 at the end: somebody holds a lease',
      {
        befalls: on('Machines_delete', { refuse: { status: 409, error: 'lease currently held' } }),
      },
    ],
    ['an end that is done and not answered', { befalls: on('Machines_delete', { deaf: true }) }],
    ['answers that take their time', { befalls: () => ({ lateMs: 60 }) }],
    ['another clock', { skewMs: -3_600_000 }],
  ])('%s', async (_, options) => {
    expect(await ordeal(options)).toMatchObject({ outcome: 'passed', left: 0 });
  });
});

describe.concurrent('the sandbox is blamed in words that say why, and nothing is left, after', () => {
  it.each<[string, Options, RegExp]>([
    [
      '409: the name is taken',
      {
        befalls: on('Machines_create', {
          refuse: { status: 409, error: 'unique machine name violation' },
        }),
      },
      /HTTP 409: unique/,
    ],
    [
      '422: the API refuses the order',
      {
        befalls: on('Machines_create', { refuse: { status: 422, error: 'invalid config.guest' } }),
      },
      /HTTP 422: invalid config/,
    ],
    [
      'an order that was not answered, and made a machine',
      { befalls: on('Machines_create', { deaf: true }) },
      /does not answer.*; the machine that it made all the same is removed/,
    ],
    [
      '500 on the order',
      { befalls: on('Machines_create', { refuse: { status: 500, error: 'internal' } }) },
      /HTTP 500: internal$/,
    ],
    [
      'a machine whose host is lost while it starts',
      { bootMs: 5000, befalls: on('Machines_wait', { vanishes: true }) },
      /the machine is gone/,
    ],
    [
      'a machine that dies at once',
      { befalls: on('Machines_exec', { dies: true }) },
      /machine is (gone|destroyed)/,
    ],
    [
      'a machine that is lost under its command',
      { befalls: on('Machines_exec', undefined, { vanishes: true }) },
      /the machine is gone/,
    ],
    [
      '500 on the start of the command',
      { befalls: on('Machines_exec', undefined, { refuse: { status: 500, error: 'internal' } }) },
      /HTTP 500/,
    ],
    [
      'a token that is refused from then on',
      { befalls: on('Machines_wait', { refuse: { status: 401, error: 'token has expired' } }) },
      /HTTP 401/,
    ],
  ])('%s', async (_, options, message) => {
    const outcome = { status: 'failed', cause: 'sandbox', message: expect.stringMatching(message) };
    expect(await ordeal(options)).toMatchObject({ outcome, left: 0 });
  });
});

it('what cannot be brought back blames the sync', async () => {
  const packing = { refuse: { status: 500, error: 'internal' } };
  const befalls = on('Machines_exec', undefined, undefined, packing, packing, packing);
  expect(await ordeal({ befalls })).toMatchObject({
    outcome: { status: 'failed', cause: 'sync' },
    left: 0,
  });
});

describe.concurrent('where a region is full', () => {
  const FULL: Fate[] = [
    { refuse: { status: 422, error: 'no host has room', code: 'insufficient_capacity' } },
    {
      refuse: {
        status: 409,
        error:
          'aborted: could not reserve resource for machine: insufficient memory available to fulfill request',
      },
    },
    {
      refuse: {
        status: 403,
        error: 'organization "x" is using 9 MB of memory in fra which is over the allowed quota',
      },
    },
  ];

  it.each(FULL.map((fate) => [fate.refuse?.status, fate] as const))(
    '(HTTP %i) the next one is tried, and the user is told',
    async (_, fate) => {
      const { outcome, messages, regions, left } = await ordeal(
        { befalls: on('Machines_create', fate) },
        { FLY_REGION: 'fra, ams' },
      );
      expect(outcome).toBe('passed');
      expect(left).toBe(0);
      expect(regions).toEqual(['fra', 'ams']);
      expect(messages[0]).toMatch(
        /^Fly.io has no room in fra \(HTTP \d+: .*\); the next region is tried$/,
      );
    },
  );

  it('and all are, each is named, and how to name more', async () => {
    const { outcome } = await ordeal(
      { befalls: on('Machines_create', ...FULL) },
      { FLY_REGION: 'fra,ams' },
    );
    expect(outcome).toMatchObject({
      cause: 'sandbox',
      message: expect.stringMatching(/no room in fra \(.*\), nor in ams \(/),
      hint: expect.stringContaining('FLY_REGION='),
    });
  });

  it('a region that does not exist is another matter', async () => {
    const { outcome } = await ordeal({}, { FLY_REGION: 'zzz' });
    expect(outcome).toMatchObject({
      cause: 'sandbox',
      message: expect.stringContaining('refuses the region'),
      hint: 'fly platform regions',
    });
  });
});

it('an estimate of the cost is told once, with the date of its prices', async () => {
  const { messages } = await ordeal({});
  expect(messages).toEqual([
    expect.stringMatching(
      /^Fly.io: 1 machine ran \d+ s, about \$0\.0000\d+ \(estimate: list price of \d{4}-\d\d-\d\d/,
    ),
  ]);
});

it('a machine runs from its own stamp on, not from when we hear of it, whatever its clock is', async () => {
  // A Date header leaves a second open; what is later than that is only the stamp's to tell.
  const stand = await standIn({
    skewMs: 7_200_000,
    befalls: on('Machines_wait', { lateMs: 2000 }),
  });
  const ctx = contextOf('fly', stand.env);
  const spec = specOf(NAME);
  const orderedMs = performance.now();
  const { runningAtMs = 0 } = await fly.launch(ctx, spec);
  expect(runningAtMs).toBeGreaterThanOrEqual(orderedMs);
  expect(runningAtMs).toBeLessThan(orderedMs + 1900);
  spec.close();
  await ctx.close();
  await stand.close();
});

it('a machine that an unanswered order made is removed at once, not by whoever sweeps up', async () => {
  const stand = await standIn({ befalls: on('Machines_create', { deaf: true }) });
  const ctx = contextOf('fly', stand.env);
  const spec = specOf(NAME);
  await expect(fly.launch(ctx, spec)).rejects.toMatchObject({ code: 'launch-failed' });
  expect(stand.api.machines()).toEqual([]);
  spec.close();
  await ctx.close();
  await stand.close();
});
