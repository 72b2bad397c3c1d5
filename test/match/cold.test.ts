// Runs that begin without an image: taken away, made again under its own clock, then a run like any
// other.
import { describe, expect, it } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { imageAnew } from '../../lib/match/cold.js';
import { type Moments, measure } from '../../lib/match/measure.js';
import { modeContext } from '../support/mode-context.js';
import {
  entryOf,
  PASSED,
  type Part,
  runScriptedMatch,
  scriptedMode,
} from '../support/scripted-match.js';

/** A mode with an image, all calls about it noted. */
const imaged =
  (calls: string[], change: Partial<Mode> = {}): Part['mode'] =>
  (real) => ({
    async prepare(_ctx, options) {
      calls.push(options?.rebuild ? 'rebuild' : 'prepare');
      return { image: `sha256:${calls.length}` };
    },
    async evict() {
      calls.push('evict');
    },
    async reach(ctx) {
      calls.push('reach');
      return real.reach(ctx);
    },
    ...change,
  });

async function cold(
  change: Partial<Mode> = {},
  match: Parameters<typeof runScriptedMatch>[1] = {},
  state: 'cold' | 'prepared' = 'cold',
) {
  const calls: string[] = [];
  const mode = scriptedMode(calls, {
    startupMs: () => 100,
    mode: (real) => imaged(calls, change)?.(real) ?? {},
  });
  const done = await runScriptedMatch([entryOf(mode, { state })], match);
  return {
    ...done,
    verbs: calls.map((call) => call.split(' ')[0]),
    outcomes: done.runs.map((run) => run.outcome),
  };
}

describe('a cold run', () => {
  it('takes the image away, makes it anew, and launches then; the row builds none before', async () => {
    const { verbs, outcomes, eventsOf } = await cold({}, { runs: 2 });
    const run = ['evict', 'rebuild', 'launch', 'agent', 'destroy'];
    expect(verbs).toEqual(['reach', ...run, ...run]);
    expect(outcomes).toEqual([PASSED, PASSED]);
    expect(eventsOf('phase').map(({ phase }) => phase)).toEqual(
      [...'pp'].flatMap(() => ['prepare', 'launch', 'work', 'collect', 'destroy']),
    );
  });

  it('has the making of the image in its image clock alone; taking it away is in no clock', async () => {
    let nowMs = 0;
    const takes = (ms: number) => async () => {
      nowMs += ms;
      return {};
    };
    const mode = scriptedMode([], {
      mode: () => ({ prepare: takes(3000), evict: async () => void (await takes(500)()) }),
    });
    const at: Moments = {};
    const signal = new AbortController().signal;
    expect(
      await imageAnew({ mode, ctx: modeContext(mode.id), signal, clock: () => nowMs }, at),
    ).toBeUndefined();
    at.launchCalled = nowMs;
    await takes(40)();
    at.firstRequest = nowMs;
    at.gone = nowMs;
    expect(measure(at, 'cold')).toMatchObject({ image: 3000, startup: 40, total: 40 });
  });

  it('tells the image of its first build, once', async () => {
    const { eventsOf } = await cold({}, { runs: 2 });
    expect(eventsOf('prepared')).toEqual([
      expect.objectContaining({ entry: 'played', image: 'sha256:3', imageMs: expect.any(Number) }),
    ]);
  });

  it('prepares as ever, off the clock, where the mode has no image to take away', async () => {
    const calls: string[] = [];
    const part: Part = {
      mode: (real) => {
        const { evict, ...others } = imaged(calls)?.(real) ?? {};
        return others;
      },
    };
    const { runs } = await runScriptedMatch([
      entryOf(scriptedMode(calls, part), { state: 'cold' }),
    ]);
    expect(calls.map((call) => call.split(' ')[0])).toEqual([
      'reach',
      'prepare',
      'launch',
      'agent',
      'destroy',
    ]);
    expect(runs[0]?.clocks.image).toEqual({ gap: 'not-applicable' });
  });

  it('has an image before where the way to the gateway cannot be told without one', async () => {
    let queries = 0;
    const { verbs, outcomes } = await cold({
      async reach() {
        queries += 1;
        if (queries === 1) throw new CagematchError('launch-failed', 'no such image');
        return { via: 'address', listen: '127.0.0.1', url: (port) => `http://127.0.0.1:${port}` };
      },
    });
    expect(verbs).toEqual(['prepare', 'evict', 'rebuild', 'launch', 'agent', 'destroy']);
    expect(outcomes).toEqual([PASSED]);
  });

  it('fails with cause image when the image cannot be made, launches nothing, and the next round tries again', async () => {
    let builds = 0;
    const { verbs, outcomes, runs } = await cold(
      {
        async prepare() {
          builds += 1;
          if (builds === 1) throw new CagematchError('launch-failed', 'no base image', 'get one');
          return {};
        },
      },
      { runs: 2 },
    );
    expect(verbs).toEqual(['reach', 'evict', 'evict', 'launch', 'agent', 'destroy']);
    expect(outcomes).toEqual([
      { status: 'failed', cause: 'image', message: 'no base image', hint: 'get one' },
      PASSED,
    ]);
    expect(runs[0]?.clocks).toMatchObject({
      image: { gap: 'not-reached' },
      launch: { gap: 'not-reached' },
    });
  });

  it('ends in order when the user stops the match while the image is made', async () => {
    const stop = new AbortController();
    const { verbs, outcomes } = await cold(
      {
        prepare: () => {
          stop.abort();
          return Promise.reject(new Error('killed'));
        },
      },
      { runs: 3, signal: stop.signal },
    );
    expect(verbs).toEqual(['reach', 'evict']);
    expect(outcomes).toEqual([
      { status: 'failed', cause: 'interrupted', message: 'interrupted by the user' },
    ]);
  });

  it('cannot be one of several at once: its row says so and is not run', async () => {
    const { verbs, eventsOf } = await cold({}, { concurrency: 2 });
    expect(verbs).toEqual([]);
    expect(eventsOf('unprepared')[0]?.outcome).toMatchObject({
      status: 'failed',
      hint: '--state prepared, or --concurrency 1',
    });
  });
});

it('a run that is not cold has no image clock', async () => {
  const { runs, verbs } = await cold({}, {}, 'prepared');
  expect(runs[0]?.clocks.image).toEqual({ gap: 'not-applicable' });
  expect(verbs).toEqual(['prepare', 'reach', 'launch', 'agent', 'destroy']);
});
