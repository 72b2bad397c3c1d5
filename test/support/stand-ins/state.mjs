// What the stand-ins remember between calls: one folder, one file a thing, so that two calls at
// once cannot tear it.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { killJailed } from './jail.mjs';

const folder = process.env.CAGEMATCH_STAND_IN_STATE ?? '';
if (folder === '') {
  process.stderr.write('stand-in: CAGEMATCH_STAND_IN_STATE is not set\n');
  process.exit(99);
}

/** Every call is noted, so that a test can look for what must not be in an argv. */
export function noteArgv() {
  appendFileSync(join(folder, 'argv.jsonl'), `${JSON.stringify(process.argv.slice(2))}\n`);
}

/** @param {string[]} parts */
export const inState = (...parts) => join(folder, ...parts);

/** @param {string} kind @param {string} name */
const file = (kind, name) => inState(kind, `${encodeURIComponent(name)}.json`);

/** @param {string} kind @param {string} name @returns {any} */
export function load(kind, name) {
  try {
    return JSON.parse(readFileSync(file(kind, name), 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {string} kind @param {string} name @param {unknown} value */
export function save(kind, name, value) {
  mkdirSync(inState(kind), { recursive: true });
  const temporary = `${file(kind, name)}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(value));
  renameSync(temporary, file(kind, name));
}

/**
 * False when the name is taken already.
 * @param {string} kind
 * @param {string} name
 * @param {unknown} value
 */
export function claim(kind, name, value) {
  mkdirSync(inState(kind), { recursive: true });
  try {
    writeFileSync(file(kind, name), JSON.stringify(value), { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

/** True for the one caller that removed it. @param {string} kind @param {string} name */
export function forget(kind, name) {
  try {
    rmSync(file(kind, name));
    return true;
  } catch {
    return false;
  }
}

/** @param {string} kind @returns {any[]} */
export function loadAll(kind) {
  if (!existsSync(inState(kind))) return [];
  return readdirSync(inState(kind))
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => load(kind, decodeURIComponent(name.slice(0, -5))) ?? []);
}

/**
 * Notes a process group as running inside a sandbox.
 * @param {string} id
 * @param {number | undefined} pid
 */
export function enter(id, pid) {
  mkdirSync(inState('pids', id), { recursive: true });
  writeFileSync(inState('pids', id, String(pid)), '');
}

/** @param {string} id @param {number | undefined} pid */
export function leave(id, pid) {
  rmSync(inState('pids', id, String(pid)), { force: true });
}

/** Ends everything inside a sandbox. @param {string} id */
export function killInside(id) {
  if (!existsSync(inState('pids', id))) return;
  for (const pid of readdirSync(inState('pids', id))) killJailed(Number(pid));
  rmSync(inState('pids', id), { recursive: true, force: true });
}

/** @param {number | undefined} pid */
export function isAlive(pid) {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * The end of a jailed child as a runtime tells it: its code, or 128 and the signal.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<number>}
 */
export function codeOf(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

/** @param {string | null} name */
function signalNumber(name) {
  /** @type {Record<string, number>} */
  const numbers = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGQUIT: 3,
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGPIPE: 13,
    SIGTERM: 15,
  };
  return numbers[name ?? ''] ?? 1;
}
