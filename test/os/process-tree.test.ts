// What trees of real processes tell of themselves: who belongs to one, and what has been used by
// those who have ended meanwhile.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  childrenOf,
  commandLines,
  isBelow,
  memoryPeakOf,
  readTree,
} from '../../lib/os/process-tree.js';
import { isRunning } from '../support/processes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const { pid } of started.splice(0)) {
    try {
      process.kill(-(pid ?? Number.NaN), 'SIGKILL');
    } catch {
      // Ended by itself.
    }
  }
});

/** A process group of its own, and the numbers in the first lines that it prints. */
async function start(
  argv: [string, ...string[]],
  lines: number,
): Promise<{ root: number; pids: number[] }> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  await once(child, 'spawn');
  const pids: number[] = [];
  for await (const line of createInterface({ input: child.stdout }))
    if (pids.push(Number(line)) === lines) break;
  return { root: child.pid ?? 0, pids };
}

const BUSY = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';

/** This machine's processes, as a kernel shows them that keeps no lists of children. */
function withoutLists(): string {
  const proc = temporaryFolder();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    mkdirSync(join(proc, pid));
    for (const file of ['stat', 'status', 'cmdline'])
      symlinkSync(`/proc/${pid}/${file}`, join(proc, pid, file));
  }
  return proc;
}

describe.skipIf(process.platform !== 'linux')('a tree of processes', () => {
  const FAMILY = 'sleep 300 & echo $!; sh -c "echo \\$\\$; sleep 300 & echo \\$!; wait" & wait';

  test('holds its root, what that has started, and what these have started; not what stands beside it', async () => {
    const { root, pids } = await start(['sh', '-c', FAMILY], 3);
    const { root: other } = await start(['sh', '-c', 'echo $$; exec sleep 300'], 1);
    expect([...readTree([root]).keys()].toSorted()).toEqual([root, ...pids].toSorted());
    expect([...readTree([root, other, pids[0] ?? 0]).keys()].toSorted()).toEqual(
      [root, ...pids, other].toSorted(),
    );
    expect(childrenOf([root]).toSorted()).toEqual(pids.slice(0, 2).toSorted());
  });

  test('is the same where the kernel keeps no lists of children', async () => {
    const { root, pids } = await start(['sh', '-c', FAMILY], 3);
    const proc = withoutLists();
    expect([...readTree([root], proc).keys()].toSorted()).toEqual([root, ...pids].toSorted());
    expect(childrenOf([root], proc).toSorted()).toEqual(pids.slice(0, 2).toSorted());
  });

  test('keeps the time of a child that has ended and was waited for', async () => {
    const { root } = await start(['sh', '-c', `(${BUSY}); echo 1; sleep 300`], 1);
    const { root: idle } = await start(['sh', '-c', 'echo 1; sleep 300'], 1);
    const used = readTree([root, idle]);
    expect(used.get(root)?.cpuUserMs).toBeGreaterThan(
      used.get(idle)?.cpuUserMs ?? Number.POSITIVE_INFINITY,
    );
  });

  test('keeps the time of a child that has ended and is not waited for; its memory is gone', async () => {
    const { root, pids } = await start(['sh', '-c', `(${BUSY}) & echo $!; exec sleep 300`], 1);
    const [child = 0] = pids;
    await vi.waitFor(() => expect(isRunning(child)).toBe(false), { timeout: 20_000 });
    const used = readTree([root]).get(child);
    expect(used?.cpuUserMs).toBeGreaterThan(0);
    expect(used?.memoryPeakBytes).toBe(0);
  });

  test('tells the most of memory that a process ever had, also when it has given it back', async () => {
    const program =
      'let b = Buffer.alloc(96 << 20, 1); b = undefined; gc(); console.log(1); setInterval(() => {}, 1000)';
    const { root } = await start([process.execPath, '--expose-gc', '-e', program], 1);
    const { root: small } = await start(['sh', '-c', 'echo 1; exec sleep 300'], 1);
    const residentBytes = () =>
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${root}/status`, 'utf8'))?.[1]) * 1024;
    await vi.waitFor(() => expect(residentBytes()).toBeLessThan(96 << 20));
    const peak = readTree([root]).get(root)?.memoryPeakBytes ?? 0;
    expect(peak).toBeGreaterThan(96 << 20);
    expect(memoryPeakOf(root)).toBeGreaterThanOrEqual(peak);
    expect(memoryPeakOf(small)).toBeLessThan(16 << 20);
  });

  test('is empty for a root that is no more', async () => {
    const { root } = await start(['sh', '-c', 'echo 1'], 1);
    // Until it was waited for, it is still there.
    await vi.waitFor(() => expect(readTree([root, 2 ** 22 + 1]).size).toBe(0));
    expect(memoryPeakOf(2 ** 22 + 1)).toBe(0);
  });

  test('can be found by the arguments of its root, whatever is in them', async () => {
    const { root } = await start(
      ['sh', '-c', 'echo 1; sleep 300', 'a name) with (', '', 'x\ny'],
      1,
    );
    expect(commandLines().find(({ pid }) => pid === root)?.argv).toEqual([
      'sh',
      '-c',
      'echo 1; sleep 300',
      'a name) with (',
      '',
      'x\ny',
    ]);
  });
});

test.skipIf(process.platform !== 'linux')(
  'a process is below itself and those who started it; of one that has gone nothing can be told',
  () => {
    expect(isBelow(process.pid, [process.pid])).toBe(true);
    expect(isBelow(process.pid, [process.ppid])).toBe(true);
    expect(isBelow(process.pid, [2 ** 22 + 1])).toBe(false);
    expect(isBelow(2 ** 22 + 1, [process.pid])).toBe(undefined);
  },
);
