// Runs inside a sandbox: how an attempt is made and reported. It is bounded, never throws, and its
// report never contains a secret.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The result of an attempt. `seen`: data for the host's judgement, where the host has more
 * information than the guest.
 * @typedef {{ observed: 'open' | 'closed' | 'gap', evidence: string, seen?: Record<string, unknown>
 *   }} Told
 */

/** @type {(evidence: string, seen?: Record<string, unknown>) => Told} */
export const open = (evidence, seen) => ({ observed: 'open', evidence, ...(seen && { seen }) });
/** @type {(evidence: string, seen?: Record<string, unknown>) => Told} */
export const closed = (evidence, seen) => ({ observed: 'closed', evidence, ...(seen && { seen }) });
/** @type {(evidence: string, seen?: Record<string, unknown>) => Told} */
export const gap = (evidence, seen) => ({ observed: 'gap', evidence, ...(seen && { seen }) });

/**
 * Makes the attempts in parallel and prints the result of each, one line per wall.
 * @param {Record<string, () => Told | Promise<Told>>} tries by wall
 * @param {number} boundMs timeout for each
 */
export async function tell(tries, boundMs) {
  await Promise.all(
    Object.entries(tries).map(async ([wall, work]) => {
      console.log(JSON.stringify({ wall, ...(await bounded(work, boundMs)) }));
    }),
  );
}

/** @param {() => Told | Promise<Told>} work @param {number} boundMs @returns {Promise<Told>} */
async function bounded(work, boundMs) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<Told>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(
      () => resolve(gap(`the try came to no end within ${boundMs / 1000} s`)),
      boundMs,
    );
  });
  try {
    return await Promise.race([Promise.resolve().then(work), late]);
  } catch (error) {
    return gap(`the try failed: ${why(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** A short form of an error: its code, otherwise its first line. @param {unknown} error */
export function why(error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  return code ?? String(message ?? error).split('\n', 1)[0] ?? '';
}

/**
 * Runs a program to its end, or kills it and everything it started.
 * @param {[string, ...string[]]} argv
 * @param {{ timeoutMs: number, cwd?: string, env?: NodeJS.ProcessEnv, onOutput?: (text: string) =>
 *   void }} options
 * @returns {Promise<{ code: number | null, signal: string | null, missing: boolean, timedOut:
 *   boolean, words: string, stdout: string }>} `words`: the line with the error, otherwise the last
 *   line of output
 */
export function run(argv, options) {
  return new Promise((resolve) => {
    const [program, ...args] = argv;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    let timedOut = false;
    const killTree = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // The process group is already gone.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killTree();
    }, options.timeoutMs);
    /** @param {{ code: number | null, signal: string | null, missing: boolean }} end */
    const end = (end) => {
      clearTimeout(timer);
      // Kill what the program left running, which would outlive the attempt.
      killTree();
      const lines = (said.stderr.trim() || said.stdout.trim())
        .split('\n')
        .map((line) => line.trim());
      const words = lines.find((line) => /^(fatal|error):/.test(line)) ?? lines.at(-1) ?? '';
      resolve({ ...end, timedOut, words, stdout: said.stdout });
    };
    for (const name of /** @type {const} */ (['stdout', 'stderr']))
      child[name].setEncoding('utf8').on('data', (text) => {
        if (said[name].length < 65536) said[name] += text;
      });
    child.once('error', (error) =>
      end({ code: null, signal: null, missing: why(error) === 'ENOENT' }),
    );
    child.once('exit', (code, signal) => setImmediate(end, { code, signal, missing: false }));
  });
}

/**
 * The number of planted secrets in a text. Only their digests are used, so that the secrets are not
 * in any argv of ours.
 * @param {string} text @param {string[]} digests
 */
export function planted(text, digests) {
  const found = new Set(
    (text.match(/cagematch-planted-[0-9a-f]{32}/g) ?? []).map((secret) =>
      createHash('sha256').update(secret).digest('hex'),
    ),
  );
  return digests.filter((digest) => found.has(digest)).length;
}

/**
 * A folder for an attempt, removed afterwards. TMPDIR may name a folder that does not exist.
 * @template T @param {(folder: string) => T | Promise<T>} work @returns {Promise<T>}
 */
export async function inFolder(work) {
  const folder = made([tmpdir(), '/tmp', process.env.HOME ?? '/', process.cwd()]);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string[]} places @returns {string} */
function made([place = '/', ...others]) {
  try {
    return mkdtempSync(join(place, 'cagematch-try-'));
  } catch (error) {
    if (others.length === 0) throw error;
    return made(others);
  }
}
