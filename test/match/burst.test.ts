// Several runs of one row at once: the ramp, the waves, and never more than the machine holds.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CagematchError } from '../../lib/errors.js';
import { levelsUpTo } from '../../lib/match/burst.js';
import { roomHere, whyNoRoom } from '../../lib/match/capacity.js';
import { createLevels } from '../../lib/match/levels.js';
import { folderBytes } from '../../lib/sandbox/drop-folder.js';
import {
  entryOf,
  PASSED,
  type Part,
  runScriptedMatch,
  scriptedMode,
} from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const GIB = 1024 ** 3;
const LARGE = { memoryBytes: 1024 * GIB, diskBytes: 1024 * GIB };

async function burst(
  part: Part = {},
  change: Parameters<typeof runScriptedMatch>[1] = {},
  state: 'prepared' | 'warm' = 'prepared',
) {
  const calls: string[] = [];
  const match = await runScriptedMatch([entryOf(scriptedMode(calls, part), { state })], {
    concurrency: 4,
    room: () => LARGE,
    ...change,
  });
  return {
    ...match,
    calls,
    names: (verb: string) =>
      calls.filter((call) => call.startsWith(`${verb} `)).map((call) => call.split(' ')[1]),
  };
}

/** Nobody passes until `count` have come. */
function meeting(count: number) {
  let come = 0;
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    come += 1;
    if (come === count) open();
    return opened;
  };
}

it('the ramp doubles, and ends with the level that was asked for', () => {
  expect(levelsUpTo(1)).toEqual([1]);
  expect(levelsUpTo(4)).toEqual([1, 2, 4]);
  expect(levelsUpTo(6)).toEqual([1, 2, 4, 6]);
});

describe('a burst', () => {
  it('runs every row at every level once a round, in an order that the seed decides', async () => {
    const orders = async (seed: number) =>
      (await burst({}, { runs: 2, seed })).eventsOf('round-started').map(({ order }) => order);
    const [first, again, other] = [await orders(1), await orders(1), await orders(3)];
    expect(first.map((order) => order.toSorted())).toEqual(
      Array(2).fill(['played', 'played*2', 'played*4']),
    );
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('gives every run of a wave a name and a sandbox of its own, and its level', async () => {
    const { runs, names, eventsOf } = await burst();
    expect(runs.map(({ run, level }) => `${run} ${level}`).toSorted()).toEqual([
      'played#1 1',
      'played#1*2.1 2',
      'played#1*2.2 2',
      'played#1*4.1 4',
      'played#1*4.2 4',
      'played#1*4.3 4',
      'played#1*4.4 4',
    ]);
    expect(
      eventsOf('run-started')
        .map(({ run }) => run)
        .toSorted(),
    ).toEqual(runs.map(({ run }) => run).toSorted());
    expect(runs.map(({ outcome }) => outcome)).toEqual(Array(7).fill(PASSED));
    expect(new Set(names('launch')).size).toBe(7);
    expect(names('destroy').toSorted()).toEqual(names('launch').toSorted());
    for (const name of names('launch')) expect(name).toMatch(/^[a-z][a-z0-9-]{1,62}$/);
  });

  it('launches all runs of a wave before any of them ends', async () => {
    const four = meeting(4);
    const { runs, eventsOf } = await burst({
      agent: ({ sandbox }) => (/-1-4-\d$/.test(sandbox) ? four() : undefined),
    });
    expect(runs.every(({ outcome }) => outcome.status === 'passed')).toBe(true);
    expect(eventsOf('wave-ended').find(({ level }) => level === 4)?.passed).toBe(4);
  });

  it('furnishes all runs of a wave before it launches the first', async () => {
    const order: string[] = [];
    await burst({
      mode: (real) => ({
        owner(ctx) {
          order.push('furnish');
          return real.owner?.(ctx);
        },
        launch(ctx, spec) {
          order.push('launch');
          return real.launch(ctx, spec);
        },
      }),
    });
    const wave = (level: number) => [
      ...Array(level).fill('furnish'),
      ...Array(level).fill('launch'),
    ];
    const levels = (await burst()).eventsOf('wave-ended').map(({ level }) => level);
    expect(order).toEqual(levels.flatMap(wave));
  });

  it('tells of every wave how long it took, from the first launch to the last teardown, and how many passed', async () => {
    const { eventsOf, runs } = await burst({
      agent({ sandbox }) {
        if (/-1-4-3$/.test(sandbox)) throw new CagematchError('launch-failed', 'no');
      },
    });
    const waves = eventsOf('wave-ended').toSorted((a, b) => a.level - b.level);
    expect(
      waves.map(({ level, passed, round, warmup, entry }) => [entry, round, warmup, level, passed]),
    ).toEqual([
      ['played', 1, false, 1, 1],
      ['played', 1, false, 2, 2],
      ['played', 1, false, 4, 3],
    ]);
    for (const { level, wallMs } of waves) {
      const totals = runs
        .filter((run) => run.level === level)
        .map(({ clocks }) => clocks.total as number);
      expect(wallMs).toBeGreaterThanOrEqual(Math.max(...totals));
      expect(wallMs).toBeLessThan(totals.reduce((sum, total) => sum + total, 0) + 50);
    }
  });

  it('goes on when one of a wave cannot even be furnished', async () => {
    let owners = 0;
    const { runs } = await burst({
      mode: (real) => ({
        owner(ctx) {
          owners += 1;
          if (owners === 1) throw new TypeError('no such user');
          return real.owner?.(ctx);
        },
      }),
    });
    expect(runs.map(({ outcome }) => outcome.status).toSorted()).toEqual([
      'failed',
      ...Array(6).fill('passed'),
    ]);
  });

  it('ends all runs of a wave when the user stops the match, with every sandbox gone', async () => {
    const stop = new AbortController();
    const four = meeting(4);
    const { runs, names, eventsOf } = await burst(
      {
        async agent({ sandbox }) {
          if (!/-1-4-\d$/.test(sandbox)) return;
          await four();
          stop.abort();
          await new Promise<never>(() => {});
        },
      },
      { signal: stop.signal },
    );
    const wave = runs.filter(({ level }) => level === 4);
    expect(wave.map(({ outcome }) => outcome)).toEqual(
      Array(4).fill(expect.objectContaining({ cause: 'interrupted' })),
    );
    expect(names('destroy').toSorted()).toEqual(names('launch').toSorted());
    expect(eventsOf('wave-ended').filter(({ level }) => level === 4)).toEqual([]);
  });

  it('of a warm row has as many sandboxes idle as the wave is wide, and one between the waves', async () => {
    const four = meeting(4);
    const { runs, names } = await burst(
      { agent: ({ command }) => (/\*|-4-\d$/.test(String(command.argv[3])) ? four() : undefined) },
      {},
      'warm',
    );
    expect(runs.map(({ outcome }) => outcome)).toEqual(Array(7).fill(PASSED));
    // One from the start, one more for the wave of two, three more for the wave of four.
    expect(names('launch')).toHaveLength(5);
    expect(names('destroy').toSorted()).toEqual(names('launch').toSorted());
  });

  it('is none at concurrency 1: no wave is spoken of', async () => {
    const { eventsOf, runs } = await burst({}, { concurrency: 1 });
    expect([eventsOf('wave-ended'), runs.map(({ run }) => run)]).toEqual([[], ['played#1']]);
  });
});

describe('a level that the machine has no room for', () => {
  it('is left out, and all higher ones with it, for lack of memory, with the numbers', async () => {
    const { eventsOf, runs } = await burst(
      {},
      { runs: 2, concurrency: 8, room: () => ({ ...LARGE, memoryBytes: 3 * GIB }) },
    );
    const left = eventsOf('level-left-out');
    expect(left.map(({ level }) => level).toSorted()).toEqual([4, 8]);
    for (const { reason } of left)
      expect(reason).toMatch(
        /^[48] × 1\.0 GiB of memory \(assumed\) is more than the 3\.0 GiB free here, less 20 % in reserve$/,
      );
    expect(new Set(runs.map(({ level }) => level))).toEqual(new Set([1, 2]));
    expect(eventsOf('round-started')[1]?.order.toSorted()).toEqual(['played', 'played*2']);
  });

  it('is left out for lack of disk too', async () => {
    const { eventsOf } = await burst(
      {},
      { concurrency: 2, room: () => ({ ...LARGE, diskBytes: 1 }) },
    );
    expect(eventsOf('level-left-out')[0]?.reason).toMatch(/of disk/);
  });

  it('is not judged by what is assumed, as long as no run of the row has told what one takes', () => {
    const left: number[] = [];
    const levels = createLevels(
      8,
      () => ({ ...LARGE, memoryBytes: 2 * GIB }),
      (level) => left.push(level),
    );
    expect([levels.judge(4), levels.judge(2), levels.judge(1)]).toEqual(['later', 'later', 'run']);
    levels.taken.memoryBytes = GIB / 4;
    expect([levels.judge(4), levels.judge(2), levels.judge(8)]).toEqual(['run', 'run', 'left out']);
    expect([left, levels.isOpen(4), levels.isOpen(8)]).toEqual([[8], true, false]);
  });

  it('is asked about before it is run for the first time, once a row', async () => {
    let calls = 0;
    const room = () => {
      calls += 1;
      return LARGE;
    };
    await burst({}, { runs: 3, room });
    expect(calls).toBe(2);
  });
});

describe('room', () => {
  it('is measured against what a run was seen to take, where that is known', () => {
    const room = { memoryBytes: 2 * GIB, diskBytes: 100 * GIB };
    expect(whyNoRoom(4, {}, room)).toMatch(/assumed/);
    expect(whyNoRoom(4, { memoryBytes: GIB / 4 }, room)).toBeUndefined();
    expect(whyNoRoom(4, { memoryBytes: GIB / 2 }, room)).toBe(
      '4 × 0.5 GiB of memory (measured) is more than the 2.0 GiB free here, less 20 % in reserve',
    );
    expect(whyNoRoom(4, { memoryBytes: 1, folderBytes: 30 * GIB }, room)).toMatch(
      /4 × 30\.0 GiB of disk \(measured\)/,
    );
  });

  it('is what this machine tells', () => {
    const { memoryBytes, diskBytes } = roomHere();
    expect(memoryBytes).toBeGreaterThan(0);
    expect(diskBytes).toBeGreaterThan(0);
  });

  it('of a folder is what its files take; links are not followed', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'deep'));
    writeFileSync(join(folder, 'deep/file'), Buffer.alloc(300_000, 1));
    symlinkSync('/usr', join(folder, 'link'));
    expect(folderBytes(folder)).toBeGreaterThanOrEqual(300_000);
    expect(folderBytes(folder)).toBeLessThan(400_000);
  });
});
