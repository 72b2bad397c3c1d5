// The order of a run's phases, whatever goes wrong in them.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Context, ExecEvent, Mode } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { runMatch } from '../../lib/match/match.js';
import { replayAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { type EventOf, eventSchema, type MatchEvent } from '../../lib/record/types.js';
import { openRecord } from '../../lib/record/write.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';
import { bundledTask } from '../../lib/task/bundled.js';
import host from '../../modes/host.js';
import { entryOf } from '../support/scripted-match.js';

const PHASES = ['prepare', 'reach', 'launch', 'exec', 'collect', 'destroy'] as const;
type Step = (typeof PHASES)[number];

/** The real host mode, with every call noted, and one step that does something else instead. */
function noted(
  calls: string[],
  instead: Partial<Record<Step, (ctx: Context) => Promise<never>>> = {},
): Mode {
  const note =
    <A extends unknown[], R>(name: Step, real: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      calls.push(name);
      return instead[name]?.(args[0] as Context) ?? real(...args);
    };
  return {
    ...host,
    oneShot: false,
    prepare: note('prepare', host.prepare),
    reach: note('reach', host.reach),
    launch: note('launch', host.launch),
    async *exec(ctx, handle, command): AsyncGenerator<ExecEvent> {
      calls.push('exec');
      await instead.exec?.(ctx);
      yield* host.exec(ctx, handle, command);
    },
    collect: note('collect', host.collect),
    destroy: note('destroy', host.destroy),
  };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'phases-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function match(
  mode: Mode,
  options: { runs?: number; signal?: AbortSignal; timeoutMs?: number; entries?: string[] } = {},
) {
  const task = bundledTask('hello');
  const gateway = createGateway(replayAnswer(readCassette(task.cassette)));
  const keeper = createKeeper();
  const events: MatchEvent[] = [];
  const record = openRecord(folder, { onEvent: (event) => events.push(event) });
  const base = {
    env: { PATH: process.env.PATH ?? '' },
    platform: process.platform,
    uid: process.getuid?.(),
    match: 'test',
    signal: new AbortController().signal,
    say: () => {},
  };
  const entry = entryOf(mode, { entry: 'noted', title: 'Noted' });
  try {
    await runMatch({
      entries: (options.entries ?? [entry.entry]).map((name) => ({ ...entry, entry: name })),
      contextOf: () => contextFor(base, keeper, mode),
      record,
      gateway,
      taskOf: () => task,
      model: 'replay',
      matchId: `t${process.pid}`,
      seed: 1,
      warmup: 0,
      until: 'count',
      concurrency: 1,
      runs: options.runs ?? 1,
      timeoutMs: options.timeoutMs ?? 30_000,
      signal: options.signal ?? new AbortController().signal,
    });
  } finally {
    record.close();
    await gateway.close();
    await keeper.closeAll();
  }
  const runs = events.filter((event): event is EventOf<'run-ended'> => event.type === 'run-ended');
  return {
    events,
    runs,
    phases: events.flatMap((event) => (event.type === 'phase' ? [event.phase] : [])),
  };
}

it('every row gets a sandbox name of its own that every runtime takes, however alike the rows are called', async () => {
  const names: string[] = [];
  const refusing: Mode = {
    ...host,
    async launch(_ctx, spec) {
      names.push(spec.name);
      throw new CagematchError('launch-failed', 'not today');
    },
  };
  const rows = [
    'docker-a',
    'docker@a',
    'docker:a',
    'docker@A',
    `docker:runsc@${'x'.repeat(60)}1`,
    `docker:runsc@${'x'.repeat(60)}2`,
  ];
  await match(refusing, { entries: rows });
  expect(names).toHaveLength(rows.length);
  expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(rows.length);
  for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]{0,61}[a-z0-9]$/);
  expect(names).toContain(`cagematch-t${process.pid}-docker-a-1`);
});

const never = () => new Promise<never>(() => {});

describe('the phases of a run', () => {
  it('come in the order prepare, reach, launch, exec, collect, destroy', async () => {
    const calls: string[] = [];
    const { runs, phases } = await match(noted(calls));
    expect(runs[0]?.outcome).toEqual({ status: 'passed' });
    expect(calls).toEqual([...PHASES]);
    expect(phases).toEqual(['launch', 'work', 'collect', 'destroy']);
  });

  it('are written down as valid events, one line each, in the order in which they happened', async () => {
    const { events } = await match(noted([]));
    const lines = readFileSync(join(folder, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => eventSchema.parse(JSON.parse(line)));
    expect(lines).toEqual(events);
    expect(events.map((event) => event.atMs)).toEqual(
      events.map((event) => event.atMs).toSorted((a, b) => a - b),
    );
  });

  for (const step of ['prepare', 'reach'] as const) {
    it(`launch nothing when ${step} throws, and say why`, async () => {
      const calls: string[] = [];
      const { events, runs } = await match(
        noted(calls, {
          [step]: async () => {
            throw new CagematchError('image-unavailable', 'no image', 'build one');
          },
        }),
      );
      expect(calls).not.toContain('launch');
      expect(runs).toEqual([]);
      expect(events.find((event) => event.type === 'unprepared')).toMatchObject({
        entry: 'noted',
        outcome: { status: 'failed', cause: 'image', message: 'no image', hint: 'build one' },
      });
    });
  }

  const thrown = {
    launch: ['launch-failed', 'sandbox'],
    exec: ['launch-failed', 'sandbox'],
    collect: ['collect-failed', 'sync'],
  } as const;
  for (const [step, [code, cause]] of Object.entries(thrown) as [
    keyof typeof thrown,
    (typeof thrown)[keyof typeof thrown],
  ][]) {
    it(`end with destroy when ${step} throws, blame ${cause}, and go on with the next round`, async () => {
      const calls: string[] = [];
      const { runs } = await match(
        noted(calls, {
          [step]: async () => {
            throw new CagematchError(code, `${step} went wrong`);
          },
        }),
        { runs: 2 },
      );
      expect(calls.filter((name) => name === 'destroy')).toHaveLength(2);
      expect(calls.at(-1)).toBe('destroy');
      expect(runs.map((run) => run.outcome)).toEqual(
        [1, 2].map(() => ({ status: 'failed', cause, message: `${step} went wrong` })),
      );
    });
  }

  it('blame the sandbox when destroy throws, and name what is left', async () => {
    const { runs } = await match(
      noted([], {
        destroy: async () => {
          throw new CagematchError('destroy-failed', 'it will not go');
        },
      }),
    );
    expect(runs[0]?.outcome).toEqual({
      status: 'failed',
      cause: 'sandbox',
      message: 'it will not go',
    });
  });

  it('blame the harness for an error that nobody foresaw', async () => {
    const { runs } = await match(
      noted([], {
        collect: async () => {
          throw new TypeError('undefined is no function');
        },
      }),
    );
    expect(runs[0]?.outcome).toEqual({
      status: 'failed',
      cause: 'harness',
      message: 'undefined is no function',
    });
  });

  for (const step of ['launch', 'exec', 'collect'] as const) {
    it(`end with destroy when the run is interrupted in ${step}; no other round begins`, async () => {
      const calls: string[] = [];
      const stop = new AbortController();
      const mode = noted(calls, {
        [step]: () => {
          stop.abort();
          return step === 'launch' ? Promise.reject(new Error('gave up')) : never();
        },
      });
      const { runs } = await match(mode, { runs: 3, signal: stop.signal });
      expect(calls.at(-1)).toBe('destroy');
      expect(runs.map((run) => run.outcome)).toEqual([
        expect.objectContaining({ status: 'failed', cause: 'interrupted' }),
      ]);
    });
  }

  it('end with destroy when the agent is not done in time, and call it a timeout', async () => {
    const calls: string[] = [];
    const { runs } = await match(noted(calls, { exec: never }), { timeoutMs: 300 });
    expect(calls.at(-1)).toBe('destroy');
    expect(runs[0]?.outcome).toMatchObject({ cause: 'timeout', message: 'no end within 0.3 s' });
    expect(runs[0]?.clocks.startup).toEqual({ gap: 'not-reached' });
  });

  it('launch nothing when the match was interrupted before its first run', async () => {
    const calls: string[] = [];
    const { runs } = await match(noted(calls), { signal: AbortSignal.abort() });
    expect(calls).toEqual([]);
    expect(runs).toEqual([]);
  });
});
