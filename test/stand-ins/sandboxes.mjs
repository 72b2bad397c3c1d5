// What both stand-ins for Docker's sandboxes share: sandboxes as folders of CAGEMATCH_STAND_IN_STATE, commands that really run.
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killJailed, runJailed, translate } from './jail.mjs';
import { killMarked, markEnv } from './marked.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

/** @typedef {{name: string, agent: string, status: 'running' | 'stopped', workspaces: string[]}} Sandbox */

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
const AGENTS = ['claude', 'codex', 'copilot', 'cursor', 'docker-agent', 'droid', 'gemini', 'kiro', 'opencode', 'shell'];
/** Folders of the guest that are its own. */
const OWN = ['/home/agent', '/tmp/cagematch'];

export class Failed extends Error {}

/** @param {string} program whose sandboxes they are */
export function openState(program) {
  const folder = process.env.CAGEMATCH_STAND_IN_STATE;
  if (!folder) throw new Failed('stand-in: CAGEMATCH_STAND_IN_STATE names no folder');
  const state = join(folder, program);
  mkdirSync(state, { recursive: true });
  const record = (/** @type {string} */ name) => join(state, name, 'sandbox.json');
  return {
    state,
    /** @returns {Sandbox[]} */
    all: () => readdirSync(state).flatMap((name) => (existsSync(record(name)) ? [JSON.parse(readFileSync(record(name), 'utf8'))] : [])),
    /** @param {string} name @returns {Sandbox} */
    find(name) {
      if (!name || name.includes('/') || !existsSync(record(name))) throw new Failed(`sandbox '${name}' not found`);
      return JSON.parse(readFileSync(record(name), 'utf8'));
    },
    /** @param {Sandbox} sandbox */
    save(sandbox) {
      // Whole or not at all: many clients read it at once.
      const written = `${record(sandbox.name)}.${process.pid}`;
      writeFileSync(written, `${JSON.stringify(sandbox)}\n`);
      renameSync(written, record(sandbox.name));
    },
    /** @param {string} name */
    mounts: (name) => OWN.map((guest) => ({ guest, real: join(state, name, 'root', guest) })),
    /** @param {string} name */
    folderOf: (name) => join(state, name),
  };
}

/** @typedef {ReturnType<typeof openState>} State */

/**
 * @param {State} state
 * @param {{name: string | undefined, agent: string | undefined, paths: string[]}} wanted
 */
export function create(state, { name, agent, paths }) {
  if (agent === undefined || !AGENTS.includes(agent)) throw new Usage(`unknown agent: ${agent}`);
  if (paths.length === 0) throw new Usage('requires at least 2 arg(s): AGENT and WORKSPACE');
  for (const path of paths) {
    const real = path.replace(/:ro$/, '');
    if (!existsSync(real) || !statSync(real).isDirectory()) throw new Failed(`workspace path ${real} does not exist`);
    if (!isAbsolute(real)) throw new Failed('stand-in: only absolute workspaces');
  }
  const sandbox = name ?? `${agent}-${basename(paths[0] ?? '')}`;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9.+-]*$/.test(sandbox)) throw new Failed(`invalid sandbox name: ${sandbox}`);
  if (existsSync(state.folderOf(sandbox))) throw new Failed(`sandbox '${sandbox}' already exists`);
  for (const mount of state.mounts(sandbox)) mkdirSync(dirname(mount.real), { recursive: true });
  cpSync(join(packageRoot, 'lib/task/home'), join(state.folderOf(sandbox), 'root/home/agent'), { recursive: true });
  // Whoever works inside has the id of the workspace's owner, as through a shared folder of the real one.
  own(join(state.folderOf(sandbox), 'root'), ownerOf(paths[0] ?? '/'));
  // Nothing keeps it running: it has stopped by itself before anyone comes to use it.
  state.save({ name: sandbox, agent, status: 'stopped', workspaces: paths });
  return sandbox;
}

/** @param {string} path */
function ownerOf(path) {
  const { uid, gid } = statSync(path);
  return { uid, gid };
}

/** @param {string} path @param {{uid: number, gid: number}} user */
function own(path, user) {
  if (process.getuid?.() !== 0) return;
  for (const name of ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })]) chownSync(join(path, name), user.uid, user.gid);
}

/** Flags as those of `docker exec`. */
const EXEC_FLAGS = {
  env: { short: 'e', value: true },
  'env-file': { value: true },
  interactive: { short: 'i' },
  privileged: {},
  tty: { short: 't' },
  user: { short: 'u', value: true },
  workdir: { short: 'w', value: true },
};

/**
 * @param {State} state
 * @param {string[]} args
 * @returns {Promise<number>} exit code of the command
 */
export async function exec(state, args) {
  const { flags, rest } = parseFlags(args, EXEC_FLAGS, { interspersed: false });
  const [name, ...argv] = rest;
  if (name === undefined || argv.length === 0) throw new Usage('requires at least 2 arg(s): SANDBOX COMMAND');
  if (flags.tty && !process.stdin.isTTY) throw new Failed('the input device is not a TTY');
  const sandbox = state.find(name);
  state.save({ ...sandbox, status: 'running' });
  const child = runJailed({
    argv,
    env: { HOME: '/home/agent', ...markEnv(state.folderOf(name)), ...readEnv(flags.env ?? []) },
    cwd: flags.workdir?.at(-1) ?? sandbox.workspaces[0] ?? '/',
    mounts: state.mounts(name),
    stdio: [flags.interactive ? 'inherit' : 'ignore', 'inherit', 'inherit'],
    // The workspace is shared so that what is made in it is its owner's.
    user: ownerOf(sandbox.workspaces[0] ?? '/'),
  });
  // Kept by number as well as by mark: the environment of another user's process cannot be read everywhere.
  const running = join(state.folderOf(name), 'running', String(child.pid));
  mkdirSync(dirname(running), { recursive: true });
  writeFileSync(running, '');
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => killJailed(child.pid));
  child.on('exit', () => rmSync(running, { force: true }));
  return await new Promise((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`OCI runtime exec failed: ${error.message}\n`);
      resolve(127);
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
  });
}

/**
 * `NAME=value` as it is; a bare `NAME` has the client's own value, and is left out where the client has none.
 * @param {string[]} given
 */
function readEnv(given) {
  return Object.fromEntries(
    given.flatMap((word) => {
      const at = word.indexOf('=');
      if (at !== -1) return [[word.slice(0, at), word.slice(at + 1)]];
      const value = process.env[word];
      return value === undefined ? [] : [[word, value]];
    }),
  );
}

/**
 * @param {State} state
 * @param {string} source
 * @param {string} target
 */
export function copy(state, source, target) {
  const [, name, path] = /^([^/:]+):(\/.*)$/.exec(target) ?? [];
  if (name === undefined || path === undefined || /^[^/:]+:\//.test(source))
    throw new Failed('stand-in: only from the host into a sandbox');
  state.find(name);
  const real = translate(path, [
    ...state.mounts(name),
    { guest: posix.dirname(path), real: guestFolder(state, name, posix.dirname(path)) },
  ]);
  if (!existsSync(dirname(real))) throw new Failed(`could not find the directory ${posix.dirname(path)} in ${name}`);
  cpSync(source, real);
}

/**
 * @param {State} state
 * @param {string} name
 * @param {string} path
 */
function guestFolder(state, name, path) {
  const mount = state.mounts(name).find(({ guest }) => path === guest || path.startsWith(`${guest}/`));
  if (!mount) throw new Failed(`stand-in: ${path} is no folder that it keeps`);
  return join(mount.real, path.slice(mount.guest.length));
}

/**
 * @param {State} state
 * @param {string} name
 */
export function remove(state, name) {
  state.find(name);
  const running = join(state.folderOf(name), 'running');
  for (const pid of existsSync(running) ? readdirSync(running) : []) killJailed(Number(pid));
  killMarked(state.folderOf(name));
  rmSync(state.folderOf(name), { recursive: true, force: true });
}

/**
 * Runs a client's main, and ends as cobra's clients do.
 * @param {string} program
 * @param {() => Promise<number> | number} main
 */
export async function asClient(program, main) {
  const folder = process.env.CAGEMATCH_STAND_IN_STATE;
  // Every call is noted, so that a test can look for what must not be in an argv.
  if (folder) appendFileSync(join(folder, 'argv.jsonl'), `${JSON.stringify([program, ...process.argv.slice(2)])}\n`);
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Usage || error instanceof Failed)) throw error;
    process.stderr.write(`ERROR: ${error.message}\n${error instanceof Usage ? `\nUsage: see ${program} --help\n` : ''}`);
    process.exitCode = error instanceof Usage ? 2 : 1;
  }
}
