// Runs inside a sandbox: which files, sockets and secrets of the host the agent can reach, and what
// it can write in the workspace.
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { closed, gap, open, planted, why } from './walls-try.mjs';

/**
 * @typedef {{ path: string, size: number, mtimeMs: number }} Known a file of the host, with what
 *   distinguishes it from others at its path
 * @typedef {{ readable: string[], writable: string[], credentials: string | null, digests:
 *   Record<string, string[]>, nonce: string, rootFiles: Known[], places: Known[], sockets:
 *   Record<string, string[]>, agentSocket: string | null, }} Given
 */

/**
 * @param {Given} given
 * @returns {Record<string, () => import('./walls-try.mjs').Told |
 *   Promise<import('./walls-try.mjs').Told>>}
 */
export function aboutFiles(given) {
  const { digests, sockets } = given;
  return {
    'docker-socket': () => answering(sockets['docker-socket'] ?? [], 'GET /_ping HTTP/1.0\r\n\r\n'),
    'podman-socket': () => answering(sockets['podman-socket'] ?? [], 'GET /_ping HTTP/1.0\r\n\r\n'),
    'incus-socket': () =>
      answering(sockets['incus-socket'] ?? [], 'GET /1.0 HTTP/1.0\r\nHost: incus\r\n\r\n'),
    'guest-api': () =>
      answering(['/dev/incus/sock', '/dev/lxd/sock'], 'GET /1.0 HTTP/1.0\r\nHost: incus\r\n\r\n'),
    'ssh-agent': () => sshAgent(given.agentSocket),
    'host-files-readable': () => reading(given.readable, digests.files ?? []),
    'host-files-writable': () => writing(given.writable, given.nonce),
    'host-root-files': () => opening(given.rootFiles),
    'credential-places': () => opening(given.places),
    'credentials-in-files': () =>
      given.credentials === null
        ? gap('not planted')
        : reading([given.credentials], digests.credentials ?? []),
    'credentials-in-env': () => inEnv(digests.env ?? []),
    'credentials-in-proc': () => inProc([...(digests.env ?? []), ...(digests.proc ?? [])]),
    'write-git-hooks': () => put(['.git/hooks/pre-commit'], `#!/bin/sh\n# ${given.nonce}\n`),
    'new-git-hooks': () =>
      put(['without-repository/.git/hooks/pre-commit'], `#!/bin/sh\n# ${given.nonce}\n`),
    'write-git-config': () => put(['.git/config'], `\n[cagematch]\n\twalls = ${given.nonce}\n`),
    'write-claude-folder': () =>
      put(['.claude/settings.json', '.claude/commands/probe.md'], given.nonce),
    'write-vscode-folder': () => put(['.vscode/tasks.json'], given.nonce),
    'write-mcp-json': () => put(['.mcp.json'], given.nonce),
  };
}

/** @param {string[]} paths @param {string[]} digests */
function reading(paths, digests) {
  if (paths.length === 0) return gap('nothing could be planted');
  const tried = paths.map((path) => ({ path, said: readSecret(path, digests) }));
  const read = tried.filter(({ said }) => said === true).map(({ path }) => path);
  if (read.length > 0) return open(`read: ${read.join(' ')}`);
  return closed(tried.map(({ path, said }) => `${path}: ${said}`).join('; '));
}

/** @param {string} path @param {string[]} digests @returns {true | string} */
function readSecret(path, digests) {
  try {
    return planted(readFileSync(path, 'utf8'), digests) > 0 || 'another file';
  } catch (error) {
    return why(error);
  }
}

/**
 * The host checks whether its own files have changed.
 * @param {string[]} paths
 * @param {string} nonce
 */
function writing(paths, nonce) {
  if (paths.length === 0) return gap('nothing could be planted');
  const tried = paths.map((path) => {
    try {
      // Only existing files: an attempt must not create a file of this name.
      closeSync(openSync(path, 'r+'));
      appendFileSync(path, nonce);
      return { path, said: 'written' };
    } catch (error) {
      return { path, said: why(error) };
    }
  });
  return closed(tried.map(({ path, said }) => `${path}: ${said}`).join('; '));
}

/**
 * Opens each file and compares size and time with the host's; never reads it.
 * @param {Known[]} files
 */
function opening(files) {
  if (files.length === 0) return gap('this host has none of them');
  const tried = files.map((file) => ({ path: file.path, said: openSame(file) }));
  const could = tried.filter(({ said }) => said === true).map(({ path }) => path);
  if (could.length > 0) return open(`opened, not read: ${could.join(' ')}`);
  return closed(tried.map(({ path, said }) => `${path}: ${said}`).join('; '));
}

/** @param {Known} file @returns {true | string} */
function openSame({ path, size, mtimeMs }) {
  try {
    const handle = openSync(path, 'r');
    try {
      const found = fstatSync(handle);
      return (
        (found.size === size && Math.trunc(found.mtimeMs) === Math.trunc(mtimeMs)) || 'another file'
      );
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    return why(error);
  }
}

/** @param {string[]} digests */
function inEnv(digests) {
  const names = Object.entries(process.env).flatMap(([name, value]) =>
    planted(value ?? '', digests) > 0 ? [name] : [],
  );
  if (names.length > 0)
    return open(`set inside with the caller’s value: ${names.sort().join(' ')}`);
  return closed(
    `none of the ${digests.length} planted ones among ${Object.keys(process.env).length} variables`,
  );
}

/** @param {string[]} digests */
function inProc(digests) {
  if (!existsSync('/proc/self/environ')) return gap('no environments in /proc here');
  let readable = 0;
  let holding = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const found = planted(readFileSync(`/proc/${pid}/environ`, 'latin1'), digests);
      readable += 1;
      if (found > 0) holding += 1;
    } catch {
      // The process is gone, or belongs to another user.
    }
  }
  if (holding > 0) return open(`in ${holding} of ${readable} readable environments of /proc`);
  return closed(`in none of ${readable} readable environments of /proc`);
}

/**
 * Checks whether a listener at one of the paths answers.
 * @param {string[]} paths
 * @param {string} question
 */
async function answering(paths, question) {
  const tried = await Promise.all(
    paths.map(async (path) => ({ path, said: await ask(path, Buffer.from(question)) })),
  );
  const answers = tried.filter(({ said }) => typeof said !== 'string').map(({ path }) => path);
  const listening = tried.filter(({ said }) => said === CONNECTED).map(({ path }) => path);
  if (answers.length > 0) return open(`answers: ${answers.join(' ')}`, { reached: true });
  if (listening.length > 0)
    return open(`connected, no answer: ${listening.join(' ')}`, { reached: true });
  const there = tried.filter(({ said }) => said !== 'ENOENT');
  if (there.length > 0)
    return closed(there.map(({ path, said }) => `${path}: ${said}`).join('; '), { reached: false });
  return closed(`nothing at ${paths.join(' ')}`, { reached: false });
}

const CONNECTED = 'connected';

/**
 * @param {string} path
 * @param {Buffer} question
 * @returns {Promise<Buffer | string>} the answer, or why there is none
 */
function ask(path, question) {
  return new Promise((resolve) => {
    let connected = false;
    const socket = connect(path);
    const end = (/** @type {Buffer | string} */ said) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(said);
    };
    const timer = setTimeout(() => end(connected ? CONNECTED : 'no answer in time'), 1500);
    socket.once('connect', () => {
      connected = true;
      socket.write(question);
    });
    socket.once('data', end);
    socket.once('close', () => end(connected ? CONNECTED : 'closed'));
    socket.once('error', (error) => end(connected ? CONNECTED : why(error)));
  });
}

/** Asks the agent for its keys; the probe's agent has none. @param {string | null} planted */
async function sshAgent(planted) {
  const paths = [
    ...new Set([process.env.SSH_AUTH_SOCK, planted].filter((path) => typeof path === 'string')),
  ];
  if (planted === null) return gap('no socket could be planted');
  const reply = await answering(paths, '\0\0\0\x01\x0b');
  const variable =
    process.env.SSH_AUTH_SOCK === undefined ? 'SSH_AUTH_SOCK is not set' : 'SSH_AUTH_SOCK is set';
  return { ...reply, evidence: `${reply.evidence}; ${variable}` };
}

/**
 * The host checks afterwards whether the files exist.
 * @param {string[]} paths
 * @param {string} words
 */
function put(paths, words) {
  const tried = paths.map((path) => {
    try {
      mkdirSync(dirname(join(process.cwd(), path)), { recursive: true });
      appendFileSync(path, words);
      return `${path}: written`;
    } catch (error) {
      return `${path}: ${why(error)}`;
    }
  });
  return closed(tried.join('; '));
}
