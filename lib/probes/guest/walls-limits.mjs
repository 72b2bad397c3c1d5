// Runs inside a sandbox: checks for limits on processes and on memory. Each attempt is bounded, and
// what it took is released at once.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closed, gap, inFolder, open, run, tell } from './walls-try.mjs';

const STEP_MIB = 64;
const [, , first = '{}', ...rest] = process.argv;

if (first === 'allocate') allocate(Number(rest[0]));
else {
  /** @type {{ processes: number, memoryMiB: number | null, wholeMs: number }} */
  const { processes, memoryMiB, wholeMs } = JSON.parse(first);
  await tell({ 'fork-limit': () => forks(processes) }, wholeMs);
  if (memoryMiB !== null) await tell({ 'memory-limit': () => memory(memoryMiB) }, wholeMs);
  process.exit(0);
}

/**
 * Starts children that wait on a pipe that nothing opens, so each costs a process table entry and
 * no work.
 * @param {number} most
 */
function forks(most) {
  return inFolder(async (folder) => {
    const pipe = join(folder, 'pipe');
    const made = await run(['mkfifo', pipe], { timeoutMs: 3000 });
    if (made.code !== 0) return gap(`mkfifo: ${made.words || 'not here'}`);
    const script = 'i=0; while [ $i -lt "$1" ]; do ( : <"$2" ) & i=$((i+1)); echo $i; done';
    // All children are in one process group, which is killed when the shell ends.
    const tried = await run(['sh', '-c', script, 'sh', String(most), pipe], { timeoutMs: 25_000 });
    const count = Number(tried.stdout.trim().split('\n').at(-1) || 0);
    if (count >= most) return open(`${most} processes started, no limit met`);
    if (/fork|resource|retry/i.test(tried.words))
      return closed(`after ${count} processes: ${tried.words}`);
    const how = tried.timedOut
      ? 'the time ran out'
      : `the shell ended with ${tried.code ?? tried.signal}`;
    return gap(`${count} of ${most} processes started, then ${how}`);
  });
}

/** @param {number} mostMiB */
async function memory(mostMiB) {
  const tried = await run(
    [process.execPath, fileURLToPath(import.meta.url), 'allocate', String(mostMiB)],
    { timeoutMs: 40_000 },
  );
  const started = Number(tried.stdout.trim().split('\n').at(-1) || 0);
  if (tried.timedOut)
    return gap(`${started} of ${mostMiB} MiB were allocated when the time ran out`);
  if (tried.code === 0 && started >= mostMiB) return open(`${started} MiB held, no limit met`);
  return closed(
    `after ${started} MiB: ${tried.signal === null ? `refused (exit ${tried.code})` : `killed by ${tried.signal}`}`,
  );
}

/** @param {number} mostMiB */
function allocate(mostMiB) {
  try {
    // If memory runs out, the kernel should kill this process first.
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux, or not permitted.
  }
  const blocks = [];
  for (let mib = 0; mib < mostMiB; ) {
    const step = Math.min(STEP_MIB, mostMiB - mib);
    // Touch every page: memory that is merely reserved does not count.
    blocks.push(Buffer.alloc(step * 1024 * 1024, 1));
    mib += step;
    console.log(mib);
  }
}
