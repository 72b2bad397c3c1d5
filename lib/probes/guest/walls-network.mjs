// Runs inside a sandbox: what the agent can reach over the network. Every target is the probe's own
// or was named by the user.
import { createSocket } from 'node:dgram';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { closed, gap, inFolder, open, run, why } from './walls-try.mjs';

const PATIENCE_MS = 1500;

/**
 * The listeners answer with the nonce.
 * @typedef {{ host: string, port: number }} Target
 * @typedef {{ nonce: string, gateway: string | null, tcp: Record<string, Target[]>, udp:
 *   Record<string, Target>, reach: { wall: string, host: string, port: number }[], git: { network:
 *   string | null, file: string | null }, }} Given
 */

/**
 * @param {Given} given
 * @returns {Record<string, () => import('./walls-try.mjs').Told |
 *   Promise<import('./walls-try.mjs').Told>>}
 */
export function aboutNetwork(given) {
  return {
    ...(given.gateway === null
      ? {}
      : { 'gateway-port': () => gateway(/** @type {string} */ (given.gateway)) }),
    ...Object.fromEntries(
      Object.entries(given.tcp).map(([wall, targets]) => [wall, () => tcp(targets, given.nonce)]),
    ),
    ...Object.fromEntries(
      Object.entries(given.udp).map(([wall, target]) => [
        wall,
        () => udp(target, given.nonce, wall === 'dns'),
      ]),
    ),
    ...Object.fromEntries(
      given.reach.map((target) => [target.wall, () => tcp([target], undefined)]),
    ),
    'git-push-no-remote': pushNowhere,
    ...(given.git.network === null
      ? {}
      : { 'git-push-network': () => push(/** @type {string} */ (given.git.network)) }),
    ...(given.git.file === null
      ? {}
      : { 'git-push-file': () => push(/** @type {string} */ (given.git.file)) }),
  };
}

/** The sandbox may have a proxy for outgoing traffic. */
function proxy() {
  const url = process.env.HTTP_PROXY ?? process.env.http_proxy;
  return url && URL.canParse(url) ? new URL(url) : undefined;
}

/** @param {URL} through */
function authorization(through) {
  if (through.username === '') return {};
  const words = `${decodeURIComponent(through.username)}:${decodeURIComponent(through.password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(words).toString('base64')}` };
}

/** @param {string} url */
async function gateway(url) {
  const { hostname, port, host } = new URL(url);
  const direct = await get({ host: hostname, port: Number(port), path: '/' });
  if (direct === true) return open(`${host} answers`);
  const through = proxy();
  if (through === undefined) return closed(`${host}: ${direct}`);
  const asked = await get({
    host: through.hostname,
    port: Number(through.port),
    path: url,
    headers: { Host: host, ...authorization(through) },
  });
  return asked === true
    ? open(`${host} answers through the sandbox’s proxy; directly: ${direct}`)
    : closed(`${host}: ${direct}; by proxy: ${asked}`);
}

/** @param {import('node:http').RequestOptions} where @returns {Promise<true | string>} */
function get(where) {
  return new Promise((resolve) => {
    const asked = request({ ...where, agent: false, timeout: PATIENCE_MS }, (answer) => {
      answer.resume();
      // A proxy that refuses also answers, in place of the gateway.
      resolve(
        answer.headers['x-proxy-error'] !== undefined || answer.statusCode === 403
          ? `refused with ${answer.statusCode}`
          : true,
      );
    });
    asked.once('timeout', () =>
      asked.destroy(Object.assign(new Error('late'), { code: 'no answer in time' })),
    );
    asked.once('error', (error) => resolve(why(error)));
    asked.end();
  });
}

/** @param {Target[]} targets @param {string | undefined} nonce undefined: a connection is enough */
async function tcp(targets, nonce) {
  const tried = await Promise.all(
    targets.map(async (target) => {
      const name = `${target.host}:${target.port}`;
      const direct = await connected(target, nonce);
      if (direct === true) return { reached: true, words: `connected to ${name}` };
      const through = proxy();
      if (through === undefined) return { reached: false, words: `${name}: ${direct}` };
      const asked = await tunnelled(target, through, nonce);
      return asked === true
        ? { reached: true, words: `connected to ${name} through the sandbox’s proxy` }
        : { reached: false, words: `${name}: ${direct}, by proxy: ${asked}` };
    }),
  );
  const reached = tried.filter((attempt) => attempt.reached);
  const words = (reached.length > 0 ? reached : tried).map((attempt) => attempt.words).join('; ');
  return reached.length > 0 ? open(words) : closed(words);
}

/** @param {Target} target @param {string | undefined} nonce @returns {Promise<true | string>} */
function connected({ host, port }, nonce) {
  const socket = connect({ host, port });
  return greeted(socket, nonce, nonce === undefined ? 'connect' : 'data');
}

/**
 * @param {import('node:net').Socket} socket
 * @param {string | undefined} nonce
 * @param {'connect' | 'data'} sign
 * @returns {Promise<true | string>}
 */
function greeted(socket, nonce, sign) {
  return new Promise((resolve) => {
    let heard = '';
    const end = (/** @type {true | string} */ said) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(said);
    };
    const timer = setTimeout(() => end('no answer in time'), PATIENCE_MS);
    if (sign === 'connect') socket.once('connect', () => end(true));
    else
      socket.on('data', (data) => {
        heard += data;
        if (heard.includes(nonce ?? '')) end(true);
      });
    socket.once('close', () => end('closed without an answer'));
    socket.once('error', (error) => end(why(error)));
  });
}

/**
 * @param {Target} target
 * @param {URL} through
 * @param {string | undefined} nonce
 * @returns {Promise<true | string>}
 */
function tunnelled({ host, port }, through, nonce) {
  return new Promise((resolve) => {
    const name = `${host}:${port}`;
    const asked = request({
      host: through.hostname,
      port: Number(through.port),
      method: 'CONNECT',
      path: name,
      headers: { Host: name, ...authorization(through) },
      agent: false,
      timeout: PATIENCE_MS,
    });
    asked.once('connect', (answer, socket, head) => {
      if (answer.statusCode !== 200 || nonce === undefined || head.includes(nonce)) {
        socket.destroy();
        resolve(answer.statusCode === 200 || `refused with ${answer.statusCode}`);
      } else resolve(greeted(socket, nonce, 'data'));
    });
    asked.once('timeout', () =>
      asked.destroy(Object.assign(new Error('late'), { code: 'no answer in time' })),
    );
    asked.once('error', (error) => resolve(why(error)));
    asked.end();
  });
}

/** A DNS query for `probe.invalid`, type TXT, as a resolver would send it. */
const QUESTION = Buffer.from(
  '2b2b010000010000000000000570726f626507696e76616c69640000100001',
  'hex',
);

/**
 * @param {Target} target
 * @param {string} nonce
 * @param {boolean} dns
 * @returns {Promise<import('./walls-try.mjs').Told>}
 */
function udp({ host, port }, nonce, dns) {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const end = (/** @type {import('./walls-try.mjs').Told} */ outcome) => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => end(closed(`${host}:${port}: no answer in time`)), PATIENCE_MS);
    socket.once('error', (error) => end(closed(`${host}:${port}: ${why(error)}`)));
    socket.on('message', (answer) => {
      if (answer.includes(nonce))
        end(open(`${host}:${port} answers${dns ? ' a question for a name' : ''}`));
    });
    socket.send(dns ? QUESTION : 'probe', port, host, (error) => {
      if (error) end(closed(`${host}:${port}: ${why(error)}`));
    });
  });
}

/** Excludes all other git settings and password prompts. */
const GIT_ENV = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'probe',
  GIT_AUTHOR_EMAIL: 'probe@localhost',
  GIT_COMMITTER_NAME: 'probe',
  GIT_COMMITTER_EMAIL: 'probe@localhost',
};

/** @typedef {(cwd: string, ...args: string[]) => ReturnType<typeof run>} Git */

/**
 * @param {(git: Git, folder: string) => Promise<import('./walls-try.mjs').Told>} work gets git and
 *   a folder that is removed afterwards
 */
function withGit(work) {
  return inFolder((folder) => {
    // A settings file, because the repository at the other end of a push reads no other settings of
    // ours.
    const settings = join(folder, 'gitconfig');
    writeFileSync(settings, '[safe]\n\tdirectory = *\n');
    const env = { ...process.env, ...GIT_ENV, GIT_CONFIG_GLOBAL: settings };
    return work((cwd, ...args) => run(['git', ...args], { cwd, env, timeoutMs: 5000 }), folder);
  });
}

function pushNowhere() {
  return withGit(async (git) => {
    const pushed = await git(process.cwd(), 'push');
    if (pushed.missing) return gap('no git here');
    return pushed.code === 0
      ? open(`git push: ${pushed.words}`)
      : closed(`git push: ${pushed.words || `exit ${pushed.code}`}`);
  });
}

/** The host checks whether the commit has arrived. @param {string} remote */
function push(remote) {
  return withGit(async (git, folder) => {
    const repository = join(folder, 'repository');
    mkdirSync(repository);
    writeFileSync(join(repository, 'file'), 'pushed by the probe\n');
    const commit = ['commit', '--quiet', '--message', 'pushed by the probe'];
    for (const args of [
      ['init', '--quiet'],
      ['add', 'file'],
      commit,
      ['remote', 'add', 'origin', remote],
    ]) {
      const done = await git(repository, ...args);
      if (done.missing) return gap('no git here');
      if (done.code !== 0) return gap(`git ${args[0]}: ${done.words || `exit ${done.code}`}`);
    }
    const pushed = await git(repository, 'push', '--quiet', 'origin', 'HEAD:refs/heads/pushed');
    if (pushed.timedOut) return closed(`git push ${remote}: no end within 5 s`);
    return closed(
      `git push ${remote}: ${pushed.code === 0 ? 'accepted' : pushed.words || `exit ${pushed.code}`}`,
    );
  });
}
