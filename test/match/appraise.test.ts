// What a row takes on disk: a sandbox is launched to ask, and is gone again whatever the answer
// was.
import { describe, expect, test } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { appraise } from '../../lib/match/appraise.js';
import { bundledTask } from '../../lib/task/bundled.js';
import host from '../../modes/host.js';
import { modeContext } from '../support/mode-context.js';

const never = () => new Promise<never>(() => {});

/**
 * The host mode, which would be asked for its disk, with every call noted and some of them
 * different.
 */
async function appraised(changes: Partial<Mode>, signal = new AbortController().signal) {
  const calls: string[] = [];
  const mode: Mode = { ...host, ...changes };
  const noted: Mode = {
    ...mode,
    launch: (ctx, spec) => {
      calls.push(spec.command ? 'launch with a command' : 'launch');
      return mode.launch(ctx, spec);
    },
    destroy: (ctx, handle) => {
      calls.push(`destroy ${handle.name}`);
      return mode.destroy(ctx, handle);
    },
  };
  const uid = process.getuid?.();
  const reach = { via: 'address', listen: '127.0.0.1', url: () => 'http://127.0.0.1:1' } as const;
  const row = {
    mode: noted,
    ctx: modeContext('host', { uid, env: { PATH: process.env.PATH ?? '' } }),
    reach,
    gatewayPort: 1,
  };
  const answer = await appraise(row, {
    task: bundledTask('hello'),
    name: 'appraised',
    signal,
    lookInside: true,
  });
  return { ...answer, calls };
}

/** As a process of it finds it. */
const THIS_MACHINE = expect.objectContaining({
  nodeVersion: process.version,
  uid: expect.any(Number),
  os: expect.any(String),
});
const WHOLE = ['launch', 'destroy appraised'];

describe('the disk of a row', () => {
  test('is what the mode says of a sandbox that idles', async () => {
    expect(await appraised({ disk: async () => ({ imageBytes: 5, sandboxBytes: 0 }) })).toEqual({
      disk: { imageBytes: 5, sandboxBytes: 0 },
      guest: THIS_MACHINE,
      calls: WHOLE,
    });
  });

  test('has a gap for what the runtime does not tell', async () => {
    expect(await appraised({ disk: async () => ({ imageBytes: 5 }) })).toEqual({
      disk: { imageBytes: 5, sandboxBytes: { gap: 'not-reported' } },
      guest: THIS_MACHINE,
      calls: WHOLE,
    });
  });

  test.each([
    ['elsewhere', { isolation: 'microvm', elsewhere: true }, 'other-machine', 'other-machine'],
    ['of isolation microvm', { isolation: 'microvm' }, 'not-reported', 'not-captured'],
  ] as const)(
    'is not asked for by a launch where a mode $0 cannot tell it: $2',
    async (_what, declared, gap, guest) => {
      expect(await appraised(declared)).toEqual({
        disk: { imageBytes: { gap }, sandboxBytes: { gap } },
        guest: { gap: guest },
        calls: [],
      });
    },
  );

  test.each(['none', 'os-sandbox'] as const)(
    'does not apply to processes of this machine (%s), which are only looked at',
    async (isolation) => {
      const gap = { gap: 'not-applicable' };
      expect(await appraised({ isolation })).toEqual({
        disk: { imageBytes: gap, sandboxBytes: gap },
        guest: THIS_MACHINE,
        calls: WHOLE,
      });
    },
  );

  const nothing = { imageBytes: { gap: 'not-reported' }, sandboxBytes: { gap: 'not-reported' } };
  const disk = async () => ({ imageBytes: 5, sandboxBytes: 5 });
  const fail = async () => {
    throw new CagematchError('launch-failed', 'it went wrong');
  };

  test.each<[string, Partial<Mode>]>([
    ['the launch fails', { disk, launch: fail }],
    ['the answer fails', { disk: fail }],
    ['the removal fails', { disk, destroy: fail }],
  ])('is a gap with the reason when %s, and the sandbox is destroyed', async (_when, changes) => {
    expect(await appraised(changes)).toEqual({
      disk: nothing,
      guest: { gap: 'not-reported' },
      problem: 'it went wrong',
      calls: WHOLE,
    });
  });

  test('is given up when the user wants out, and the sandbox is destroyed', async () => {
    const stop = new AbortController();
    const interrupted = () => {
      stop.abort();
      return never();
    };
    expect(await appraised({ disk: interrupted }, stop.signal)).toMatchObject({
      disk: nothing,
      calls: WHOLE,
    });
  });
});
