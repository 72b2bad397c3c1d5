// What both stand-ins for Docker's sandboxes share: sandboxes as folders of
// CAGEMATCH_STAND_IN_STATE, commands that really run.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
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
import { killJailed, runJailed, translate } from './jail.mjs';
import { killMarked, markEnv } from './marked.mjs';
import { own } from './own.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

/**
 * @typedef {{name: string, agent: string, status: 'running' | 'stopped', workspaces: string[],
 *   clone?: boolean}} Sandbox
 */

const AGENTS = [
  'claude',
  'codex',
  'copilot',
  'cursor',
  'docker-agent',
  'droid',
  'gemini',
  'kiro',
  'opencode',
  'shell',
];
/** Folders of the guest that are its own. */
const OWN = ['/home/agent', '/tmp/cagematch', '/tmp/cagematch-out'];
/** What a template's own settings were seen to hold: it stands for a key, and wins over a login. */
const SETTINGS = { apiKeyHelper: 'echo proxy-managed', alwaysThinkingEnabled: true };
/** Who works in a template where nothing that is shared with it shows another owner. */
const AGENT = { uid: 1000, gid: 1000 };
/**
 * A guest's way out is a proxy, for all that is not told otherwise; without one of a test's own,
 * nothing gets through.
 */
const PROXY = process.env.CAGEMATCH_STAND_IN_PROXY ?? 'http://127.0.0.1:9';

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
    all: () =>
      readdirSync(state).flatMap((name) =>
        existsSync(record(name)) ? [JSON.parse(readFileSync(record(name), 'utf8'))] : [],
      ),
    /** @param {string} name @returns {Sandbox} */
    find(name) {
      if (!name || name.includes('/') || !existsSync(record(name)))
        throw new Failed(`sandbox '${name}' not found`);
      return JSON.parse(readFileSync(record(name), 'utf8'));
    },
    /** @param {Sandbox} sandbox */
    save(sandbox) {
      // Whole or not at all: many clients read it at once.
      const written = `${record(sandbox.name)}.${process.pid}`;
      writeFileSync(written, `${JSON.stringify(sandbox)}\n`);
      renameSync(written, record(sandbox.name));
    },
    /** @param {string} name @param {string} [clone] where the clone of one is, inside */
    mounts: (name, clone) => [
      ...OWN.map((guest) => ({ guest, real: join(state, name, 'root', guest) })),
      ...(clone === undefined
        ? []
        : [
            { guest: clone, real: join(state, name, 'clone') },
            { guest: '/run/sandbox/source', real: clone },
          ]),
    ],
    /** @param {string} name */
    folderOf: (name) => join(state, name),
  };
}

/** @typedef {ReturnType<typeof openState>} State */

/**
 * @param {State} state
 * @param {{name: string | undefined, agent: string | undefined, paths: string[], clone?: boolean}}
 *   wanted
 */
export function create(state, { name, agent, paths, clone = false }) {
  if (agent === undefined || !AGENTS.includes(agent)) throw new Usage(`unknown agent: ${agent}`);
  if (paths.length === 0) throw new Usage('requires at least 2 arg(s): AGENT and WORKSPACE');
  if (paths[0]?.endsWith(':ro'))
    throw new Failed('stand-in: the first workspace is where the agent works');
  for (const path of paths) {
    const real = path.replace(/:ro$/, '');
    if (!existsSync(real) || !statSync(real).isDirectory())
      throw new Failed(`workspace path ${real} does not exist`);
    if (!isAbsolute(real)) throw new Failed('stand-in: only absolute workspaces');
  }
  const sandbox = name ?? `${agent}-${basename(paths[0] ?? '')}`;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9.+-]*$/.test(sandbox))
    throw new Failed(`invalid sandbox name: ${sandbox}`);
  // What a sandbox was made with stays as it is: a name is had once.
  if (existsSync(state.folderOf(sandbox))) throw new Failed(`sandbox '${sandbox}' already exists`);
  if (clone) checkRepository(paths[0] ?? '');
  for (const mount of state.mounts(sandbox)) mkdirSync(mount.real, { recursive: true });
  const settings = join(state.folderOf(sandbox), 'root/home/agent/.claude/settings.json');
  mkdirSync(dirname(settings));
  writeFileSync(settings, JSON.stringify(SETTINGS));
  if (clone) makeClone(state, sandbox, paths);
  own(join(state.folderOf(sandbox), 'root'), workerOf({ workspaces: paths, clone }));
  // Nothing keeps it running: it has stopped by itself before anyone comes to use it.
  state.save({
    name: sandbox,
    agent,
    status: 'stopped',
    workspaces: paths,
    ...(clone ? { clone } : {}),
  });
  return sandbox;
}

/** @param {string} path */
function checkRepository(path) {
  const git = statSync(join(path, '.git'), { throwIfNoEntry: false });
  if (!git)
    throw new Failed(`--clone requires a Git repository, but ${path} is not in a Git repository`);
  if (!git.isDirectory()) throw new Failed('--clone is not supported from inside a Git worktree');
}

/**
 * With git itself, and by the commit that is checked out; the repository on the host gets a remote,
 * as from the real one.
 * @param {State} state @param {string} name @param {string[]} workspaces
 */
function makeClone(state, name, workspaces) {
  const [source = ''] = workspaces;
  const folder = join(state.folderOf(name), 'clone');
  const made = spawnSync('git', ['clone', '--quiet', '--no-hardlinks', source, folder], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Failed(`clone ${source}: ${made.stderr.trim()}`);
  own(folder, workerOf({ workspaces, clone: true }));
  appendFileSync(join(source, '.git/config'), remoteOf(name));
}

/** @param {string} name */
const remoteOf = (name) => `[remote "sandbox-${name}"]\n\turl = git://127.0.0.1:1/${name}\n`;

/**
 * Through the shared folders of the real runtime, whoever works inside appears as the owner of all
 * that is in them. A process of this host has one id only: that of the first folder in which the
 * worker works. A clone is the worker's own, so there it is the next one's.
 * @param {Pick<Sandbox, 'workspaces' | 'clone'>} sandbox
 */
function workerOf({ workspaces, clone }) {
  const shared = workspaces[clone ? 1 : 0]?.replace(/:ro$/, '');
  return shared === undefined ? AGENT : ownerOf(shared);
}

/** @param {string} path */
function ownerOf(path) {
  const { uid, gid } = statSync(path);
  return { uid, gid };
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
  if (name === undefined || argv.length === 0)
    throw new Usage('requires at least 2 arg(s): SANDBOX COMMAND');
  if (flags.tty && !process.stdin.isTTY) throw new Failed('the input device is not a TTY');
  const sandbox = state.find(name);
  state.save({ ...sandbox, status: 'running' });
  // The key itself stays with the proxy on the host.
  const sentinel = hasSecret(state, 'anthropic') ? { ANTHROPIC_API_KEY: 'proxy-managed' } : {};
  const guest = {
    HOME: '/home/agent',
    HTTP_PROXY: PROXY,
    HTTPS_PROXY: PROXY,
    http_proxy: PROXY,
    https_proxy: PROXY,
    ...sentinel,
  };
  const child = runJailed({
    argv,
    env: { ...guest, ...markEnv(state.folderOf(name)), ...readEnv(flags.env ?? []) },
    cwd: flags.workdir?.at(-1) ?? sandbox.workspaces[0] ?? '/',
    mounts: state.mounts(name, sandbox.clone ? sandbox.workspaces[0] : undefined),
    stdio: [flags.interactive ? 'inherit' : 'ignore', 'inherit', 'inherit'],
    user: workerOf(sandbox),
  });
  // Kept by number as well as by mark: the environment of another user's process cannot be read
  // everywhere.
  const running = join(state.folderOf(name), 'running', String(child.pid));
  mkdirSync(dirname(running), { recursive: true });
  writeFileSync(running, '');
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => killJailed(child.pid));
  child.on('exit', () => rmSync(running, { force: true }));
  return await new Promise((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`OCI runtime exec failed: ${error.message}\n`);
      resolve(127);
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
  });
}

/** @param {State} state @param {string} service */
const secretFile = (state, service) => join(dirname(state.state), `secret-${service}`);

/** @param {State} state @param {string} service */
const hasSecret = (state, service) => existsSync(secretFile(state, service));

/** @param {State} state @param {string} service @param {string} value */
export const keepSecret = (state, service, value) =>
  writeFileSync(secretFile(state, service), value);

/**
 * `NAME=value` as it is; a bare `NAME` has the client's own value, and is left out where the client
 * has none.
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
  if (!existsSync(dirname(real)))
    throw new Failed(`could not find the directory ${posix.dirname(path)} in ${name}`);
  cpSync(source, real);
}

/**
 * @param {State} state
 * @param {string} name
 * @param {string} path
 */
function guestFolder(state, name, path) {
  const mount = state
    .mounts(name)
    .find(({ guest }) => path === guest || path.startsWith(`${guest}/`));
  if (!mount) throw new Failed(`stand-in: ${path} is no folder that it keeps`);
  return join(mount.real, path.slice(mount.guest.length));
}

/**
 * @param {State} state
 * @param {string} name
 */
export function remove(state, name) {
  const { clone, workspaces } = state.find(name);
  const config = join(workspaces[0] ?? '', '.git/config');
  // Its folder may have gone before it.
  if (clone && existsSync(config))
    writeFileSync(config, readFileSync(config, 'utf8').replace(remoteOf(name), ''));
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
  if (folder)
    appendFileSync(
      join(folder, 'argv.jsonl'),
      `${JSON.stringify([program, ...process.argv.slice(2)])}\n`,
    );
  const hangs = hangsAt(process.argv[2] ?? '', folder);
  try {
    if (hangs === 'hang') await forEver();
    process.exitCode = await main();
    if (hangs === 'hang-after') await forEver();
  } catch (error) {
    if (!(error instanceof Usage || error instanceof Failed)) throw error;
    process.stderr.write(
      `ERROR: ${error.message}\n${error instanceof Usage ? `\nUsage: see ${program} --help\n` : ''}`,
    );
    process.exitCode = error instanceof Usage ? 2 : 1;
  }
}

const forEver = () => new Promise(() => setInterval(() => {}, 2 ** 30));

/**
 * CAGEMATCH_STAND_IN_FAULT=`hang:ls`: it gives no answer, ever; `hang-after:create`: it does what
 * it is told, and then hangs; `hang:exec@2`: the second call of that command only.
 * @param {string} command @param {string | undefined} folder
 */
function hangsAt(command, folder) {
  const [, how, which, nth] =
    /^(hang|hang-after):(\w+)(?:@(\d+))?$/.exec(process.env.CAGEMATCH_STAND_IN_FAULT ?? '') ?? [];
  if (which !== command || !folder) return undefined;
  if (nth === undefined) return how;
  const calls = readFileSync(join(folder, 'argv.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return calls.filter((line) => JSON.parse(line)[1] === command).length === Number(nth)
    ? how
    : undefined;
}
