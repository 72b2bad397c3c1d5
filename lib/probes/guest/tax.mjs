// Runs inside a sandbox: does each kind of work in a loop, and tells what one operation took, a kind a line.
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
 * @property {() => void} [before] makes ready for the next operation; not timed
 * @property {() => void} [close] gives back what is no file
 */

/**
 * Makes a kind of work ready, in a folder that is its own and is removed afterwards.
 * @typedef {(folder: string) => Loop | Promise<Loop>} Prepare
 */

/**
 * @typedef {object} Bounds
 * @property {string[]} kinds what to do, by name, in this order
 * @property {string} [tmp] the folder for temporary files, where it is another than this process is told
 * @property {number} budgetMs each loop goes on for as long as this,
 * @property {number} atLeast and for as many operations as this,
 * @property {number} boundMs and, from its second operation on, no longer than this
 */

/** @type {Bounds} */
const { kinds, tmp = tmpdir(), budgetMs, atLeast, boundMs } = JSON.parse(process.argv[2] ?? '{}');

// Beside this script only where it is run: it is copied there under a name that Node takes for a module.
const { Bench } = await import(new URL('tinybench.mjs', import.meta.url).href);

/** @type {Record<string, Prepare>} */
const loops = { ...programLoops, ...fileLoops, ...machineLoops };

for (const kind of kinds) console.log(JSON.stringify({ probe: kind, ...(await told(kind)) }));

/** @param {string} kind */
async function told(kind) {
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
    return { opMs: { gap: error instanceof NotThere ? 'not-applicable' : 'not-reached' }, detail: words(error) };
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
    // Told, because it would call the function once more to find out.
    async: act.constructor.name === 'AsyncFunction',
    beforeAll: (/** @type {string} */ mode) => {
      if (mode === 'run') untilMs = performance.now() + boundMs;
    },
    beforeEach: before,
    // By hand: a loop that never waits gives no timer its turn.
    afterEach: () => {
      if (performance.now() > untilMs) over.abort();
    },
  });
  const [{ result }] = await bench.run();
  return { opMs: Number(result.latency.p50.toPrecision(6)), ops: result.latency.samplesCount };
}

/** One line. @param {unknown} error */
function words(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').join('; ').slice(0, 300) || 'it failed without a word';
}
