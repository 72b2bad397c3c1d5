// What a run says of its cost: numbers where the sandbox' processes could be read, and a typed
// reason where they could not.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Context, Handle, Mode } from '../../lib/contract.js';
import { type Meter, openMeter } from '../../lib/match/cost.js';
import { readTree } from '../../lib/os/process-tree.js';
import { costSchema, eventSchema, type MatchEvent } from '../../lib/record/types.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { modeContext } from '../support/mode-context.js';

const onLinux = process.platform === 'linux';
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A shell that does what it is told, a line at a time, and says so. */
async function openShell(): Promise<{
  pid: number;
  run(script: string): Promise<void>;
  end(): Promise<void>;
}> {
  const child = spawn('sh', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await once(child, 'spawn');
  return {
    pid: child.pid ?? 0,
    async run(script) {
      child.stdin.write(`${script}\necho\n`);
      await once(child.stdout, 'data');
    },
    async end() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

const BUSY = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';

function meterOf(
  processes: Mode['processes'],
  overrides: { elsewhere?: true; platform?: Context['platform'] } = {},
): Meter {
  const mode = {
    ...(overrides.elsewhere ? { elsewhere: overrides.elsewhere } : {}),
    ...(processes ? { processes } : {}),
  };
  const meter = openMeter(mode, modeContext('any', { platform: overrides.platform ?? 'linux' }));
  meter.launched({ name: 'a-sandbox' });
  return meter;
}

/** What has been asked for has been found. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A whole run as the meter is told of it. */
async function measured(meter: Meter) {
  meter.begin();
  await turn();
  meter.look();
  meter.end();
  return meter.cost();
}

describe('there is a gap', () => {
  test.each([
    ['not-attributable', 'where the mode knows of no processes', undefined, {}],
    ['other-machine', 'where the sandbox is on another machine', undefined, { elsewhere: true }],
    [
      'platform',
      'where the platform has no /proc',
      async () => [process.pid],
      { platform: 'darwin' },
    ],
    ['not-attributable', 'where no process is found', async () => [], {}],
    [
      'not-attributable',
      'where looking for them fails',
      () => Promise.reject(new Error('no /proc for you')),
      {},
    ],
    ['vanished', 'where they were gone before they could be read', async () => [2 ** 22 + 1], {}],
  ] as const)('%s %s', async (gap, _where, processes, overrides) => {
    expect(await measured(meterOf(processes as Mode['processes'], overrides))).toEqual({ gap });
  });

  test('not-reached where the agent came to no result', () => {
    const meter = meterOf(async () => [process.pid]);
    meter.begin();
    meter.look();
    expect(meter.cost()).toEqual({ gap: 'not-reached' });
  });
});

describe.skipIf(!onLinux)('of real processes', () => {
  test('the meter tells memory and time, of the handle as it is once the agent runs', async () => {
    const shell = await openShell();
    await shell.run(BUSY);
    const handle: Handle & { pid?: number } = { name: 'a-sandbox' };
    const meter = meterOf(async (_ctx, { pid }: Handle & { pid?: number }) =>
      pid === undefined ? [] : [pid],
    );
    meter.launched(handle);
    handle.pid = shell.pid;
    const cost = costSchema.parse(await measured(meter));
    expect(cost.memoryPeakBytes).toBeGreaterThan(100_000);
    expect(cost.cpuUserMs).toBeGreaterThan(0);
  });

  test('a result that comes before they were found is no reason not to read them', async () => {
    const shell = await openShell();
    let found: (pids: number[]) => void = () => {};
    const meter = meterOf(() => new Promise((resolve) => (found = resolve)));
    meter.begin();
    meter.end();
    expect(meter.cost()).toEqual({ gap: 'vanished' });
    found([shell.pid]);
    await turn();
    expect(meter.cost()).toMatchObject({ memoryPeakBytes: expect.any(Number) });
  });

  test('what a sandbox had used before the run is taken off its time', async () => {
    const shell = await openShell();
    await shell.run(`${BUSY}; ${BUSY}; ${BUSY}`);
    const whole = meterOf(async () => [shell.pid]);
    const rest = meterOf(async () => [shell.pid]);
    await rest.baseline();
    await shell.run(BUSY);
    const [all, later] = [
      costSchema.parse(await measured(whole)),
      costSchema.parse(await measured(rest)),
    ];
    expect(later.cpuUserMs).toBeGreaterThan(0);
    expect(later.cpuUserMs).toBeLessThan(Number(all.cpuUserMs) / 2);
    expect(Math.abs(Number(later.memoryPeakBytes) - Number(all.memoryPeakBytes))).toBeLessThan(
      1 << 20,
    );
  });

  test('what a sandbox once held for an earlier run, and has given back, is not this run’s memory', async () => {
    const program =
      'let b = Buffer.alloc(96 << 20, 1); b = undefined; gc(); console.log(1); process.stdin.resume()';
    const keeper = spawn(process.execPath, ['--expose-gc', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(keeper);
    await once(keeper.stdout, 'data');
    await vi.waitFor(() =>
      expect(readTree([keeper.pid ?? 0]).get(keeper.pid ?? 0)?.memoryNowBytes).toBeLessThan(
        96 << 20,
      ),
    );
    const meter = meterOf(async () => [keeper.pid ?? 0]);
    await meter.baseline();
    expect(costSchema.parse(await measured(meter)).memoryPeakBytes).toBeLessThan(96 << 20);
  });

  test('of a monitor that has gone since, nothing is taken off', async () => {
    const [gone, shell] = [await openShell(), await openShell()];
    await gone.run(`${BUSY}; ${BUSY}`);
    let pids = [gone.pid];
    const meter = meterOf(async () => pids);
    await meter.baseline();
    await gone.end();
    pids = [shell.pid];
    await shell.run(BUSY);
    expect(costSchema.parse(await measured(meter)).cpuUserMs).toBeGreaterThan(0);
  });

  test('an agent that has ended by the time its result is here counts with the memory it had when it last spoke', async () => {
    const monitor = await openShell();
    const agent = spawn(
      process.execPath,
      ['-e', 'globalThis.b = Buffer.alloc(64 << 20, 1); console.log(1); process.stdin.resume()'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    children.push(agent);
    await once(agent.stdout, 'data');
    const meter = meterOf(async () => [monitor.pid, agent.pid ?? 0]);
    meter.begin();
    await turn();
    meter.look();
    const ended = once(agent, 'exit');
    agent.kill('SIGKILL');
    await ended;
    meter.end();
    const { memoryPeakBytes } = costSchema.parse(meter.cost());
    expect(memoryPeakBytes).toBeGreaterThan(64 << 20);
  });

  test('a run on the bare host says what the agent has cost, and the match how busy the machine was and what is on disk', async () => {
    const { cwd, close } = standSomewhere();
    try {
      const ran = await cagematch(ownHouse, ['run', 'host', '--runs', '1', '--model', 'replay'], {
        cwd,
      });
      expect(ran.exitCode).toBe(0);
      const [folder = ''] = readdirSync(join(cwd, 'results'));
      const events = readFileSync(join(cwd, 'results', folder, 'events.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => eventSchema.parse(JSON.parse(line)));
      const firstOf = <T extends MatchEvent['type']>(type: T) =>
        events.find((event): event is Extract<MatchEvent, { type: T }> => event.type === type);
      const cost = costSchema.parse(firstOf('run-ended')?.cost);
      expect(cost.memoryPeakBytes).toBeGreaterThan(50e6);
      expect(cost.memoryPeakBytes).toBeLessThan(4e9);
      expect(cost.cpuUserMs).toBeGreaterThan(0);
      expect(cost.cpuUserMs).toBeLessThan(60_000);
      expect(firstOf('appraised')).toMatchObject({
        entry: 'host',
        disk: { imageBytes: { gap: 'not-applicable' }, sandboxBytes: { gap: 'not-applicable' } },
      });
      expect(firstOf('match-started')?.load).toHaveLength(3);
      expect(firstOf('match-ended')?.load).toHaveLength(3);
    } finally {
      close();
    }
  });
});
