// Processes: bounded, told truly, and never left behind.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ExecEvent } from '../../lib/contract.js';
import { capture, output, whyFailed } from '../../lib/os/capture.js';
import { which } from '../../lib/os/path-search.js';
import { stream } from '../../lib/os/stream.js';

const env = { PATH: process.env.PATH ?? '' };
const sh = (script: string): [string, string, string] => ['/bin/sh', '-c', script];

/** Runs still; one that is dead and that nobody has asked after does not. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Killed is not yet gone; what cannot be killed fails the test at its bound. */
async function gone(pid: number): Promise<boolean> {
  const deadline = performance.now() + 2000;
  while (alive(pid) && performance.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
  return !alive(pid);
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, 'waiting'));

async function all(events: AsyncIterable<ExecEvent>): Promise<ExecEvent[]> {
  const read: ExecEvent[] = [];
  for await (const event of events) read.push(event);
  return read;
}

const texts = (events: ExecEvent[], name = 'stdout') =>
  events.flatMap((event) => (event.type === 'line' && event.stream === name ? [event.text] : []));

describe('capture', () => {
  test('keeps what a program printed on each stream, and its code', async () => {
    const result = await capture(sh('echo out; echo err >&2; exit 7'), { env, timeoutMs: 5000 });
    expect(result).toEqual({ end: { type: 'exit', code: 7 }, stdout: 'out\n', stderr: 'err\n' });
  });

  test('tells a signal as a signal', async () => {
    expect((await capture(sh('kill -TERM $$'), { env, timeoutMs: 5000 })).end).toEqual({
      type: 'signal',
      name: 'SIGTERM',
    });
  });

  test('says that a program is missing, and never throws', async () => {
    const result = await capture(['no-such-program-9d1f'], { env, timeoutMs: 5000 });
    expect(result).toMatchObject({ failure: 'missing', end: { type: 'lost' } });
    expect(whyFailed(result)).toBe('not found on PATH');
  });

  test.each([
    ['holds a zero byte', 'a\0b'],
    ['is longer than the system takes', 'x'.repeat(3_000_000)],
  ])('an argument that %s is told as a loss, and is not thrown', async (_what, argument) => {
    expect((await capture(['echo', argument], { env, timeoutMs: 5000 })).end).toMatchObject({
      type: 'lost',
    });
    expect(await all(stream(['echo', argument], { env }))).toEqual([
      expect.objectContaining({ type: 'lost' }),
    ]);
  });

  test('a program that does not read its input ends as it will', async () => {
    expect(
      (await capture(sh('exit 4'), { env, timeoutMs: 5000, input: 'x'.repeat(3_000_000) })).end,
    ).toEqual({ type: 'exit', code: 4 });
  });

  test('gives the program its input, and nothing of our own stdin otherwise', async () => {
    expect((await capture(['cat'], { env, timeoutMs: 5000, input: 'one\ntwo' })).stdout).toBe(
      'one\ntwo',
    );
    expect((await capture(['cat'], { env, timeoutMs: 5000 })).stdout).toBe('');
  });

  test('is bounded, and kills what the program started too', async () => {
    const startedMs = performance.now();
    const result = await capture(sh('sleep 300 & echo $!; sleep 300'), { env, timeoutMs: 300 });
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect(result.failure).toBe('timeout');
    expect(result.end).toEqual({ type: 'signal', name: 'SIGKILL' });
    expect(await gone(Number(result.stdout))).toBe(true);
  });

  test('does not wait for a grandchild that holds stdout', async () => {
    const startedMs = performance.now();
    const result = await capture(sh('sleep 300 & echo $!'), { env, timeoutMs: 20_000 });
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(result.end).toEqual({ type: 'exit', code: 0 });
    process.kill(Number(result.stdout), 'SIGKILL');
  });

  test('is cut short by its signal, group and all', async () => {
    const abort = new AbortController();
    let grandchild = 0;
    const result = await capture(sh('sleep 300 & echo $!; wait'), {
      env,
      timeoutMs: 20_000,
      signal: abort.signal,
      onLine(line) {
        grandchild = Number(line);
        abort.abort();
      },
    });
    expect(result.end).toEqual({ type: 'signal', name: 'SIGKILL' });
    expect(await gone(grandchild)).toBe(true);
  });

  test('starts nothing that lives when its signal has gone off before', async () => {
    const result = await capture(sh('sleep 300'), {
      env,
      timeoutMs: 20_000,
      signal: AbortSignal.abort(),
    });
    expect(result.end).toEqual({ type: 'signal', name: 'SIGKILL' });
  });

  test('keeps only so much of what is printed without end', async () => {
    const result = await capture(sh('head -c 30000000 /dev/zero'), { env, timeoutMs: 20_000 });
    expect(result.end).toEqual({ type: 'exit', code: 0 });
    expect(result.stdout.length).toBeLessThan(10_000_000);
  });

  test('hands the child only the environment that is given', async () => {
    const { stdout } = await capture(['/usr/bin/env'], { env: { GIVEN: 'yes' }, timeoutMs: 5000 });
    expect(
      stdout.split('\n').filter((line) => line !== '' && !line.startsWith('CAGEMATCH_OWNER=')),
    ).toEqual(['GIVEN=yes']);
  });
});

test("output throws the program's own last words, with the hint", async () => {
  const failing = output(sh('echo one >&2; echo two >&2; exit 3'), {
    env,
    timeoutMs: 5000,
    code: 'launch-failed',
    hint: 'try again',
  });
  await expect(failing).rejects.toMatchObject({
    code: 'launch-failed',
    hint: 'try again',
    message: '/bin/sh -c: two',
  });
});

describe('stream', () => {
  test('gives lines as they come, the unfinished one too, and then one end', async () => {
    const events = await all(
      stream(sh('printf "one\\r\\ntwo\\n\\nlast"; echo err >&2; exit 2'), { env }),
    );
    expect(texts(events)).toEqual(['one', 'two', '', 'last']);
    expect(texts(events, 'stderr')).toEqual(['err']);
    expect(events.filter(({ type }) => type !== 'line')).toEqual([
      expect.objectContaining({ type: 'exit', code: 2 }),
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'exit' });
  });

  test('input is withheld until the program is ready on both streams, and the lines that say so are not handed over', async () => {
    const script =
      'echo before >&2; echo ready; read -t 0.2 early; echo ready >&2; read late; echo "[$early] $late"; echo ready';
    const events = await all(
      stream(['bash', '--norc', '-c', script], { env, ready: 'ready', input: 'given\n' }),
    );
    expect(texts(events)).toEqual(['[] given', 'ready']);
    expect(texts(events, 'stderr')).toEqual(['before']);
  });

  test('a program that is never ready ends as it ends', async () => {
    const events = await all(
      stream(sh('echo refused >&2; exit 3'), { env, ready: 'ready', input: 'given\n' }),
    );
    expect(texts(events, 'stderr')).toEqual(['refused']);
    expect(events.at(-1)).toMatchObject({ type: 'exit', code: 3 });
  });

  test('a line arrives while the program still runs', async () => {
    const running = stream(['cat'], { env, input: 'first\n' });
    expect(texts(await all(running))).toEqual(['first']);
    const slow = stream(sh('echo begun; sleep 300'), { env });
    for await (const event of slow) {
      if (event.type !== 'line') expect(event).toMatchObject({ type: 'signal', name: 'SIGKILL' });
      else {
        expect(event.text).toBe('begun');
        slow.kill();
      }
    }
  });

  test('a missing program is lost, and so says `spawned`', async () => {
    const missing = stream(['no-such-program-9d1f'], { env });
    await expect(missing.spawned).rejects.toMatchObject({ code: 'launch-failed' });
    expect(await all(missing)).toEqual([
      expect.objectContaining({ type: 'lost', reason: expect.stringContaining('ENOENT') }),
    ]);
  });

  test('ends though a grandchild holds stdout', async () => {
    const startedMs = performance.now();
    const events = await all(stream(sh('sleep 300 & echo $!'), { env }));
    expect(events.at(-1)).toMatchObject({ type: 'exit', code: 0 });
    expect(performance.now() - startedMs).toBeLessThan(5000);
    process.kill(Number(texts(events)[0]), 'SIGKILL');
  });

  test('abort kills the whole group', async () => {
    const abort = new AbortController();
    const pids: number[] = [];
    for await (const event of stream(sh('sleep 300 & echo $!; wait'), {
      env,
      signal: abort.signal,
    })) {
      if (event.type === 'line') {
        pids.push(Number(event.text));
        abort.abort();
      } else expect(event).toMatchObject({ type: 'signal', name: 'SIGKILL' });
    }
    expect(await gone(pids[0] ?? process.pid)).toBe(true);
  });

  test('a line past its bound is cut and says so; the next one is whole', async () => {
    const [long = '', next] = texts(
      await all(stream(sh('head -c 6000000 /dev/zero | tr "\\0" x; echo; echo next'), { env })),
    );
    expect(long.length).toBeLessThan(4.3 * 1024 * 1024);
    expect(long).toMatch(/x … \[line cut\]$/);
    expect(next).toBe('next');
  });

  test('fifty megabytes wait for a slow reader, come in order, and are not held in memory', async () => {
    const program =
      'for (let i = 0; i < 50000; i++) process.stdout.write(String(i).padStart(999, "0") + "\\n")';
    const before = process.memoryUsage().rss;
    const running = stream([process.execPath, '-e', program], { env });
    let lines = 0;
    let most = 0;
    for await (const event of running) {
      if (event.type !== 'line') {
        expect(event).toMatchObject({ type: 'exit', code: 0 });
        continue;
      }
      // Read on, the program is done in a fraction of this; not read, it must not get to its end.
      if (lines === 0) expect(await Promise.race([running.ended, wait(1000)])).toBe('waiting');
      if (Number(event.text) !== lines || event.text.length !== 999)
        throw new Error(`line ${lines} is ${event.text}`);
      lines += 1;
      if (lines % 1000 === 0) most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(lines).toBe(50_000);
    expect(most).toBeLessThan(100 * 1024 * 1024);
  });
});

test('which finds what can be run on the PATH that is given, and nothing else', () => {
  expect(which('sh', { PATH: '/bin' })).toBe('/bin/sh');
  expect(which('sh', { PATH: '/no/such/folder' })).toBeUndefined();
  expect(which('sh', {})).toBeUndefined();
});
