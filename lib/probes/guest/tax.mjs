// Runs inside a sandbox: runs each kind of work in a loop, and prints how long one operation took,
// one line per kind.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileLoops } from './tax-files.mjs';
import { machineLoops } from './tax-machine.mjs';
import { NotThere, programLoops } from './tax-programs.mjs';

/**
 * One kind of work, ready to be timed.
 * @typedef {object} Loop
 * @property {() => unknown} act one operation; timed
 * @property {() => void} [before] prepares the next operation; not timed
 * @property {() => void} [close] releases resources other than files
 */

/**
 * Prepares a kind of work in a folder of its own, which is removed afterwards.
 * @typedef {(folder: string) => Loop | Promise<Loop>} Prepare
 */

/**
 * @typedef {object} Bounds
 * @property {string[]} kinds names of the kinds to run, in this order
 * @property {string} [tmp] the folder for temporary files, if it differs from the one in this
 *   process's environment
 * @property {number} budgetMs minimum duration of each loop,
 * @property {number} atLeast its minimum number of operations,
 * @property {number} boundMs and its maximum duration, counted from its second operation
 */

/** @type {Bounds} */
const { kinds, tmp = tmpdir(), budgetMs, atLeast, boundMs } = JSON.parse(process.argv[2] ?? '{}');

// tinybench.mjs is beside this script only inside a sandbox: it is copied there under a name that
// Node treats as a module.
const { Bench } = await import(new URL('tinybench.mjs', import.meta.url).href);

/** @type {Record<string, Prepare>} */
const loops = { ...programLoops, ...fileLoops, ...machineLoops };

for (const kind of kinds) console.log(JSON.stringify({ probe: kind, ...(await run(kind)) }));

/** @param {string} kind */
async function run(kind) {
  const where = kind.startsWith('tmp-') ? tmp : process.cwd();
  /** @type {string | undefined} */
  let folder;
  /** @type {Loop | undefined} */
  let loop;
  try {
    const prepare = loops[kind];
    if (!prepare) throw new NotThere('no loop of this name');
    folder = mkdtempSync(join(where, '.tax-'));
    loop = await prepare(folder);
    return await measured(loop);
  } catch (error) {
    return {
      opMs: { gap: error instanceof NotThere ? 'not-applicable' : 'not-reached' },
      detail: words(error),
    };
  } finally {
    loop?.close?.();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** @param {Loop} loop */
async function measured({ act, before }) {
  const over = new AbortController();
  let untilMs = Number.POSITIVE_INFINITY;
  const bench = new Bench({
    time: budgetMs,
    iterations: atLeast,
    warmupTime: budgetMs / 10,
    warmupIterations: 1,
    throws: true,
    signal: over.signal,
  });
  bench.add('operation', act, {
    // Set explicitly, because otherwise the library calls the function once more to find out.
    async: act.constructor.name === 'AsyncFunction',
    beforeAll: (/** @type {string} */ mode) => {
      if (mode === 'run') untilMs = performance.now() + boundMs;
    },
    beforeEach: before,
    // Checked by hand, because timers never fire in a loop that never waits.
    afterEach: () => {
      if (performance.now() > untilMs) over.abort();
    },
  });
  const [{ result }] = await bench.run();
  return { opMs: Number(result.latency.p50.toPrecision(6)), ops: result.latency.samplesCount };
}

/** The error on one line. @param {unknown} error */
function words(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').join('; ').slice(0, 300) || 'it failed without a word';
}
