// What the probe plants on this host for the agent to find: files, secrets, a process, an ssh
// agent, repositories; all removed afterwards.
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Env } from '../../contract.js';
import { leftFolders, makeFolder, removeFolder } from '../../os/owner.js';
import { accounts } from '../../os/sandbox-user.js';
import { type LocalStream, stream } from '../../os/stream.js';

export interface Planted {
  /** The caller's environment plus the secrets; this is what the mode is given. */
  env: Env;
  /** Our folder below the temporary folder, readable by every user. */
  folder: string;
  /** Files of the host that the agent should not reach, with a secret in each. */
  readable: string[];
  writable: string[];
  /** File in the caller's home; undefined if there is no writable home. */
  credentials: string | undefined;
  agentSocket: string | undefined;
  /** Bare repositories: one is served over the network, the other is pushed to by path. */
  repositories: { network: string; file: string };
  /** SHA-256 of the secrets, by location: the guest is never given a secret itself. */
  digests: {
    files: string[];
    credentials: string[];
    env: string[];
    proc: string[];
    marker: string;
  };
  /** What the guest's scripts append to a file that they can write. */
  nonce: string;
  /** Replaces every planted secret in a text. */
  redact(text: string): string;
  close(): Promise<void>;
}

/** Names of variables in which callers keep valuable secrets. */
const NAMES = [
  'ANTHROPIC_API_KEY',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'AWS_SECRET_ACCESS_KEY',
  'GITHUB_TOKEN',
  'CAGEMATCH_PLANTED_SECRET',
];

/** How long the marker process lives if nothing ends it, in seconds. */
const MARKER_S = 600;

/** @param env the caller's environment */
export async function plant(env: Env): Promise<Planted> {
  const folder = makeFolder('walls');
  const secrets: string[] = [];
  const secret = () => {
    const made = `cagematch-planted-${randomBytes(16).toString('hex')}`;
    secrets.push(made);
    return made;
  };
  const undo: (() => void | Promise<void>)[] = [() => removeFolder(folder)];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    // Only isolation should hide these files, not their mode.
    chmodSync(folder, 0o755);
    const [inTemp, inCredentials, inProc, marker] = [secret(), secret(), secret(), secret()];
    const readable = join(folder, 'readable');
    const writable = join(folder, 'writable');
    writeFileSync(readable, `${inTemp}\n`, { mode: 0o644 });
    writeFileSync(writable, '');
    chmodSync(writable, 0o666);
    const home = plantAtHome(env.HOME, inCredentials);
    if (home) undo.push(() => removeFolder(home.folder));
    const agent = await listenAsAgent(join(folder, 'agent.sock'));
    if (agent) undo.push(agent.close);
    const planted = Object.fromEntries(NAMES.map((name) => [name, secret()]));
    // Other processes of this host might see the arguments and the environment of any process, such
    // as this one.
    const process_ = stream(['sh', '-c', `sleep ${MARKER_S}; :`, marker], {
      env: { PATH: env.PATH ?? '/usr/bin:/bin', CAGEMATCH_PLANTED_SECRET: inProc },
      cwd: '/',
    });
    undo.push(() => end(process_));
    await process_.spawned;
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    return {
      env: { ...env, ...planted, ...(agent ? { SSH_AUTH_SOCK: agent.path } : {}) },
      folder,
      readable: [readable],
      writable: [writable, ...(home ? [home.writable] : [])],
      credentials: home?.credentials,
      agentSocket: agent?.path,
      repositories: {
        network: bareRepository(join(folder, 'served.git')),
        file: bareRepository(join(folder, 'beside.git')),
      },
      digests: {
        files: [digest(inTemp)],
        credentials: [digest(inCredentials)],
        env: Object.values(planted).map(digest),
        proc: [digest(inProc)],
        marker: digest(marker),
      },
      nonce: `cagematch-nonce-${randomBytes(8).toString('hex')}`,
      redact: (text) =>
        secrets.reduce((words, secret) => words.replaceAll(secret, '[planted]'), text),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function end(child: LocalStream): Promise<void> {
  child.kill();
  await child.ended;
}

/**
 * Creates a folder of our own in the caller's home and touches nothing else there. Undefined if
 * none can be created.
 */
function plantAtHome(
  home: string | undefined,
  secret: string,
): { folder: string; credentials: string; writable: string } | undefined {
  if (home === undefined || !existsSync(home)) return undefined;
  try {
    for (const left of leftAtHome(home, 'dead')) removeFolder(left);
    const folder = makeFolder('walls', home);
    mkdirSync(join(folder, '.aws'));
    const credentials = join(folder, '.aws/credentials');
    const writable = join(folder, 'writable');
    writeFileSync(credentials, `[default]\naws_secret_access_key = ${secret}\n`, { mode: 0o600 });
    writeFileSync(writable, '', { mode: 0o600 });
    return { folder, credentials, writable };
  } catch {
    return undefined;
  }
}

/** Folders that killed probes have left in a home. */
export function leftAtHome(home: string, state: 'dead' | 'foreign'): string[] {
  return leftFolders(state, { parent: home, prefix: '.cagematch-walls-' });
}

/** An `SSH_AGENT_IDENTITIES_ANSWER` without keys. */
const NO_KEYS = Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0]);

/** Undefined if this system has no Unix sockets. */
function listenAsAgent(path: string): Promise<{ path: string; close(): void } | undefined> {
  const server = createServer((socket) =>
    socket.on('data', () => socket.write(NO_KEYS)).on('error', () => {}),
  );
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(path, () => {
      chmodSync(path, 0o777);
      resolve({ path, close: () => void server.close() });
    });
  });
}

/** Creates what `git init --bare` creates, without hooks. */
function bareRepository(path: string): string {
  for (const folder of [
    '',
    'objects',
    'objects/info',
    'objects/pack',
    'refs',
    'refs/heads',
    'refs/tags',
  ]) {
    mkdirSync(join(path, folder));
    // Only isolation should decide who can write here, not the mode.
    chmodSync(join(path, folder), 0o777);
  }
  writeFileSync(join(path, 'HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(join(path, 'config'), '[core]\n\trepositoryformatversion = 0\n\tbare = true\n');
  return path;
}

/** The properties that distinguish a file from a different one at the same path. */
export interface Known {
  path: string;
  size: number;
  mtimeMs: number;
}

/** Files that only root on this host can read. */
const OF_ROOT = [
  '/etc/shadow',
  '/etc/gshadow',
  '/etc/ssh/ssh_host_ed25519_key',
  '/etc/ssh/ssh_host_rsa_key',
  '/etc/sudoers',
];

/** Where people and their tools keep credentials, relative to the home folder. */
const PLACES = [
  '.ssh',
  '.aws',
  '.azure',
  '.config/gcloud',
  '.config/gh',
  '.kube',
  '.gnupg',
  '.docker',
  '.claude',
];
const PLACE_FILES = ['.netrc', '.git-credentials', '.npmrc', '.pypirc', '.claude.json'];

/** The files that usually only root may read, of those that exist here and are not empty. */
export function filesOfRoot(): Known[] {
  return OF_ROOT.flatMap(known);
}

/**
 * Looks in the caller's home and in those of all accounts: whichever user the agent runs as, no
 * account's keys may be readable.
 */
export function credentialPlaces(caller: string | undefined): Known[] {
  const homes = [...(caller === undefined ? [] : [caller]), ...accounts().map(({ home }) => home)];
  return [...new Set(homes)].flatMap(placesBelow).slice(0, MOST_PLACES);
}

/** Limits the list, which is passed in a single command-line argument. */
const MOST_PLACES = 200;

/** At most three files per place; only their names and metadata are read, not their contents. */
function placesBelow(home: string): Known[] {
  const inFolder = (folder: string) => {
    try {
      return readdirSync(join(home, folder), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .slice(0, 3)
        .map(({ name }) => join(home, folder, name));
    } catch {
      return [];
    }
  };
  return [...PLACE_FILES.map((file) => join(home, file)), ...PLACES.flatMap(inFolder)].flatMap(
    known,
  );
}

function known(path: string): Known[] {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() && found.size > 0
    ? [{ path, size: found.size, mtimeMs: found.mtimeMs }]
    : [];
}
