// Incus' command line, held to what the real one accepts, answers and exits with.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { copyFile, cp } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { followEvents, noteEvent } from './event-log.mjs';
import { BadFlag, parseFlags } from './flags.mjs';
import { guestPath, runJailed } from './jail.mjs';
import { own } from './own.mjs';
import {
  claim,
  codeOf,
  enter,
  forget,
  inState,
  killInside,
  leave,
  load,
  loadAll,
  noteArgv,
  save,
} from './state.mjs';

/**
 * @typedef {{id: string, name: string, status: 'Running' | 'Stopped', config: Record<string,
 *   string>, devices: Record<string, Record<string, string>>, root: string, files: string[]}}
 *   Instance
 */

const VERSION = '6.0-stand-in';
/** The only base that it knows without a build. */
const BASES = ['images:debian/12'];

/** Accounts and owners of the machine that the stand-in runs on are not its to change. */
const HARMLESS = ['useradd', 'userdel', 'usermod', 'groupadd', 'groupdel', 'chown', 'ip'];

/** @param {string} message @param {number} [code] @returns {never} */
function refuse(message, code = 1) {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(code);
}

export async function main() {
  noteArgv();
  const [command = '', ...rest] = process.argv.slice(2);
  const two = `${command} ${rest[0] ?? ''}`;
  const named = command in commands ? command : two in commands ? two : undefined;
  if (command === '--version') return void process.stdout.write(`${VERSION}\n`);
  if (named === undefined) refuse(`unknown command "${command}" for "incus"`);
  try {
    process.exitCode = await commands[named]?.(named === two ? rest.slice(1) : rest);
  } catch (error) {
    if (error instanceof BadFlag) refuse(error.message);
    throw error;
  }
}

/** @type {Record<string, (args: string[]) => Promise<number> | number>} */
const commands = {
  query,
  launch,
  monitor,
  exec,
  stop,
  publish,
  delete: remove,
  'file push': push,
  'image info': imageInfo,
  'image delete': imageDelete,
};

/** @param {string} name @returns {Instance} */
function find(name) {
  return (
    load('instances', name) ??
    refuse(`Failed to fetch instance "${name}" in project "default": Instance not found`)
  );
}

/** @param {string[]} args */
function query(args) {
  const { rest } = parseFlags(args, { bool: ['raw', 'wait'], valued: ['request X', 'data d'] });
  const [path = '', ...parameters] = (rest[0] ?? '').split('?');
  /** @param {unknown} value */
  const answer = (value) => {
    process.stdout.write(`${JSON.stringify(value)}\n`);
    return 0;
  };
  if (path === '/1.0') {
    return answer({
      api_version: '1.0',
      auth: 'trusted',
      environment: {
        server: 'incus',
        server_version: VERSION,
        driver: 'lxc',
        storage: 'dir',
        kernel_features: { idmapped_mounts: 'true' },
      },
    });
  }
  if (path === '/1.0/instances') {
    const all = loadAll('instances');
    return answer(
      parameters.includes('recursion=1')
        ? all.map(describe)
        : all.map(({ name }) => `/1.0/instances/${name}`),
    );
  }
  if (path === '/1.0/profiles/default')
    return answer({ name: 'default', config: {}, devices: { root: { type: 'disk', path: '/' } } });
  if (path === '/1.0/networks') return answer([{ name: 'lo', config: {} }]);
  if (path === '/1.0/storage-pools') return answer([{ name: 'default', config: {}, used_by: [] }]);
  if (path === '/1.0/images')
    return answer(
      loadAll('aliases').map(({ fingerprint }) => ({
        fingerprint,
        aliases: [{ name: fingerprint.slice(0, 12) }],
      })),
    );
  const alias = /^\/1\.0\/images\/aliases\/([^/]+)$/.exec(path)?.[1];
  if (alias !== undefined) {
    const image = load('aliases', alias);
    return image
      ? answer({ name: alias, type: 'container', target: image.fingerprint })
      : refuse('Image alias not found');
  }
  const image = /^\/1\.0\/images\/([^/]+)$/.exec(path)?.[1];
  if (image !== undefined) {
    const known = loadAll('aliases').find(({ fingerprint }) => fingerprint === image);
    // What is published keeps the properties of what it was launched from.
    return known
      ? answer({ fingerprint: image, properties: { os: 'stand-in', serial: '20261121' } })
      : refuse('Image not found');
  }
  const name = /^\/1\.0\/instances\/([^/]+)$/.exec(path)?.[1];
  if (name === undefined) refuse('not found');
  const instance = load('instances', name);
  return instance ? answer(describe(instance)) : refuse('Instance not found');
}

/** @param {Instance} instance */
function describe({ name, status, config, devices }) {
  return {
    name,
    status,
    status_code: status === 'Running' ? 103 : 102,
    type: 'container',
    config,
    devices,
  };
}

/**
 * @param {string} name
 * @returns {{fingerprint: string, root: string, files: string[]} | undefined}
 */
function imageOf(name) {
  if (BASES.includes(name)) {
    mkdirSync(inState('images', 'base'), { recursive: true });
    return { fingerprint: '0'.repeat(64), root: inState('images', 'base'), files: [] };
  }
  return load('aliases', name);
}

/** @param {string[]} args */
function imageInfo(args) {
  const { rest } = parseFlags(args, { bool: ['vm'] });
  const image = imageOf(rest[0] ?? '') ?? refuse(`Image "${rest[0]}" not found`);
  process.stdout.write(`Fingerprint: ${image.fingerprint}\n`);
  return 0;
}

/** @param {string[]} args */
function imageDelete(args) {
  const { rest } = parseFlags(args, {});
  for (const name of rest) if (!forget('aliases', name)) refuse(`Image "${name}" not found`);
  return 0;
}

/** @param {string[]} args */
async function launch(args) {
  const { rest, has } = parseFlags(args, {
    bool: ['vm', 'ephemeral e', 'no-profiles', 'empty'],
    valued: [
      'config c',
      'device d',
      'network n',
      'profile p',
      'storage s',
      'target',
      'type t',
      'description',
    ],
  });
  // The real one then waits for settings that nobody types.
  if (process.stdin.isTTY) refuse('stdin is a terminal: settings are read from it');
  const [source = '', name = `stand-in-${randomBytes(3).toString('hex')}`] = rest;
  const given = readSettings(await text(process.stdin));
  process.stdout.write(`Launching ${name}\n`);
  const image = imageOf(source) ?? refuse(`Image "${source}" not found`);
  if (has('vm'))
    refuse(
      'Failed instance creation: Instance type "virtual-machine" is not supported on this server: vhost_vsock kernel module not loaded',
    );
  if (!/^[a-zA-Z][a-zA-Z0-9-]{0,62}$/.test(name) || name.endsWith('-'))
    refuse(`Failed instance creation: Invalid instance name: ${name}`);
  for (const [key, value] of Object.entries(given.config)) {
    if (typeof value !== 'string')
      refuse(
        `json: cannot unmarshal into Go struct field InstancePut.config of type string: ${key}`,
      );
    if (
      !/^(user\.|limits\.(memory|processes|cpu|cpu\.allowance)$|security\.|raw\.lxc$|boot\.|environment\.)/.test(
        key,
      )
    )
      refuse(`Failed instance creation: Invalid config: Unknown configuration key: ${key}`);
  }
  for (const [key, device] of Object.entries(given.devices)) checkDevice(key, device);
  const id = randomBytes(8).toString('hex');
  const root = inState('roots', id);
  /** @type {Instance} */
  const instance = {
    id,
    name,
    status: 'Running',
    config: given.config,
    devices: given.devices,
    root,
    files: image.files,
  };
  if (!claim('instances', name, instance))
    refuse(
      `Failed creating instance record: Add instance info to the database: Failed to create "instances" entry: UNIQUE constraint failed: instances.project_id, instances.name`,
    );
  await cp(image.root, root, { recursive: true, verbatimSymlinks: true });
  for (const folder of ['home/agent', 'workspace', 'tmp'])
    mkdirSync(join(root, folder), { recursive: true });
  own(join(root, 'home/agent'), { uid: 1000, gid: 1000 });
  tell('instance-started', name);
  return 0;
}

/** @param {string} action @param {string} name */
function tell(action, name) {
  noteEvent({
    location: 'none',
    metadata: { action, name, project: 'default', source: `/1.0/instances/${name}` },
    project: 'default',
    timestamp: new Date().toISOString(),
    type: 'lifecycle',
  });
}

/** Tells what happens from now on. @param {string[]} args */
async function monitor(args) {
  const { all, last } = parseFlags(args, {
    bool: ['pretty', 'all-projects'],
    valued: ['type t', 'format f', 'loglevel'],
  });
  if (process.env.CAGEMATCH_STAND_IN_NO_EVENTS !== undefined)
    refuse('the stand-in was told to tell no events');
  if (last('format') !== 'json' || !all('type').includes('lifecycle'))
    refuse('the stand-in tells lifecycle events, as JSON, and nothing else');
  const since = Date.now();
  followEvents((event) => {
    // An empty line follows each, as from the real one.
    if (Date.parse(event.timestamp) >= since) process.stdout.write(`${JSON.stringify(event)}\n\n`);
  });
  return new Promise(() => {});
}

/**
 * The mode writes JSON; the little YAML that a person types is refused rather than misread.
 * @param {string} text
 */
function readSettings(text) {
  if (text.trim() === '') return { config: {}, devices: {} };
  try {
    const { config = {}, devices = {}, ...rest } = JSON.parse(text);
    for (const key of Object.keys(rest))
      if (!['description', 'profiles', 'ephemeral'].includes(key))
        refuse(`yaml: unmarshal errors: field ${key} not found in type api.InstancePut`);
    return { config, devices };
  } catch {
    return refuse('the stand-in reads settings as JSON only');
  }
}

/** @type {Record<string, string[]>} */
const DEVICE_KEYS = {
  disk: ['source', 'path', 'shift', 'readonly', 'pool', 'size', 'recursive', 'required'],
  nic: [
    'nictype',
    'name',
    'ipv4.address',
    'ipv4.host_address',
    'ipv4.gateway',
    'network',
    'parent',
    'hwaddr',
  ],
  proxy: ['listen', 'connect', 'bind', 'nat'],
  none: [],
};

/** @param {string} name @param {Record<string, string>} device */
function checkDevice(name, { type = '', ...keys }) {
  const known =
    DEVICE_KEYS[type] ??
    refuse(`Failed instance creation: Unsupported device type "${type}" for device "${name}"`);
  for (const key of Object.keys(keys))
    if (!known.includes(key))
      refuse(`Failed instance creation: Invalid device option "${key}" for device "${name}"`);
  if (type === 'disk' && !existsSync(keys.source ?? ''))
    refuse(
      `Failed creating instance record: Failed initializing instance: Failed add validation for device "${name}": Missing source path "${keys.source}" for disk "${name}"`,
    );
}

/** Where the guest's paths really are. @param {Instance} instance */
function mountsOf({ root, devices, files }) {
  const disks = Object.values(devices).flatMap((device) =>
    device.type === 'disk' && device.path !== undefined && device.source !== undefined
      ? [{ guest: device.path, real: device.source }]
      : [],
  );
  const private_ = ['/home/agent', '/workspace']
    .filter((guest) => !disks.some((disk) => disk.guest === guest))
    .map((guest) => ({ guest, real: join(root, guest) }));
  return [...disks, ...private_, ...files.map((guest) => ({ guest, real: join(root, guest) }))];
}

/** @param {string[]} args */
async function exec(args) {
  const { rest, last, all } = parseFlags(args, {
    bool: ['force-noninteractive T', 'force-interactive t', 'disable-stdin n'],
    valued: ['env', 'user', 'group', 'cwd', 'mode'],
  });
  const [name = '', ...argv] = rest;
  if (argv.length === 0) refuse('Invalid number of arguments');
  const instance = find(name);
  if (instance.status !== 'Running') refuse('Instance is not running');
  const uid = Number(last('user') ?? 0);
  const gid = Number(last('group') ?? 0);
  const given = Object.fromEntries(
    all('env').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const child = runJailed({
    argv,
    env: {
      HOME: uid === 0 ? '/root' : '/home/agent',
      USER: uid === 0 ? 'root' : 'agent',
      LANG: 'C.UTF-8',
      ...given,
      PATH: `${harmless()}${delimiter}${given.PATH ?? guestPath()}`,
    },
    cwd: last('cwd') ?? '/',
    mounts: mountsOf(instance),
    stdio: 'inherit',
    user: { uid, gid },
  });
  if (child.pid === undefined) {
    await codeOf(child).catch(() => {});
    refuse('Command not found', 127);
  }
  enter(instance.id, child.pid);
  const code = await codeOf(child);
  leave(instance.id, child.pid);
  return code;
}

/** A folder of programs that succeed and do nothing. */
function harmless() {
  const folder = inState('harmless');
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    for (const name of HARMLESS)
      writeFileSync(join(folder, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  }
  return folder;
}

/** @param {string[]} args */
async function push(args) {
  const { rest, has, last } = parseFlags(args, {
    bool: ['create-dirs p', 'recursive r'],
    valued: ['mode', 'uid', 'gid'],
  });
  const [source = '', target = ''] = rest;
  if (!existsSync(source)) refuse(`open ${source}: no such file or directory`);
  const at = target.indexOf('/');
  const guest = target.slice(at);
  if (at === -1 || !isAbsolute(guest)) refuse('Invalid target');
  const instance = find(target.slice(0, at));
  const real = join(instance.root, guest);
  // A base image has these; another folder has to be made.
  if (
    !has('create-dirs') &&
    !['/usr/local/bin', '/tmp', '/workspace', '/home/agent'].includes(dirname(guest)) &&
    !existsSync(dirname(real))
  )
    refuse('file does not exist');
  mkdirSync(dirname(real), { recursive: true });
  // Hundreds of megabytes of agent: a link is the same file.
  if (statSync(source).size > 20_000_000) symlinkSync(source, real);
  else {
    await copyFile(source, real);
    chmodSync(real, Number.parseInt(last('mode') ?? '0644', 8));
  }
  save('instances', instance.name, { ...instance, files: [...instance.files, guest] });
  return 0;
}

/** @param {string[]} args */
function stop(args) {
  const { rest } = parseFlags(args, { bool: ['force f', 'all', 'stateful'], valued: ['timeout'] });
  for (const name of rest) {
    const instance = find(name);
    if (instance.status !== 'Running') refuse('The instance is already stopped');
    killInside(instance.id);
    save('instances', name, { ...instance, status: 'Stopped' });
  }
  return 0;
}

/** @param {string[]} args */
async function publish(args) {
  const { rest, has, last } = parseFlags(args, {
    bool: ['force f', 'public', 'reuse'],
    valued: ['alias', 'compression', 'expire', 'format'],
  });
  const instance = find(rest[0] ?? '');
  if (instance.status === 'Running' && !has('force'))
    refuse('The instance is currently running. Use --force to have it stopped and restarted');
  const fingerprint = randomBytes(32).toString('hex');
  const root = inState('images', fingerprint.slice(0, 12));
  await cp(instance.root, root, { recursive: true, verbatimSymlinks: true });
  if (!claim('aliases', last('alias') ?? fingerprint, { fingerprint, root, files: instance.files }))
    refuse(`Alias already exists: ${last('alias')}`);
  process.stdout.write(`Instance published with fingerprint: ${fingerprint}\n`);
  return 0;
}

/** @param {string[]} args */
function remove(args) {
  const { rest, has } = parseFlags(args, { bool: ['force f', 'interactive i', 'all'] });
  for (const name of rest) {
    const instance = load('instances', name);
    if (!instance)
      refuse(
        `Failed checking instance exists "local:${name}": Failed to fetch instance "${name}" in project "default": Instance not found`,
      );
    if (instance.status === 'Running' && !has('force'))
      refuse('The instance is currently running, stop it first or pass --force');
    killInside(instance.id);
    forget('instances', name);
    tell('instance-deleted', name);
  }
  return 0;
}
