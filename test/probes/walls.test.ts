// What the walls probe tells: every wall once a row, holes that were planted, and no secret; and
// that nothing of it stays behind.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { release, tmpdir, version } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Env, Mode } from '../../lib/contract.js';
import { WALLS } from '../../lib/kit/walls.js';
import { which } from '../../lib/os/path-search.js';
import { childrenOf, commandLines } from '../../lib/os/process-tree.js';
import {
  type HostSide,
  JUDGES,
  sameKernel,
  socketPaths,
  type WallObservation,
} from '../../lib/probes/walls/judge.js';
import { probeWalls } from '../../lib/probes/walls/walls.js';
import { type Wall, wallSchema } from '../../lib/record/probe.js';
import { contextFor, createKeeper, type Keeper } from '../../lib/sandbox/context.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import type { PlannedRow } from '../../lib/sandbox/row.js';
import { quoted, writeProgram } from '../support/fake-commands.js';
import { machineEnv } from '../support/machine-env.js';
import { modeContext } from '../support/mode-context.js';
import { dockerState, podmanState } from '../support/runtime-states.js';
import { standIn } from '../support/stand-ins/docker.js';

const registry = await loadModes();
const keepers: Keeper[] = [];
const servers: Server[] = [];
afterAll(async () => {
  for (const keeper of keepers) await keeper.closeAll();
  for (const server of servers) server.close();
});

/** Small enough for any machine; the real ones are the probe's own. */
const MOST = { processes: 20, memoryMiB: 128 };

async function walled(
  id: string,
  env: Env,
  state: unknown,
  reachable: string[] = [],
): Promise<Map<string, Wall>> {
  const all: Wall[] = [];
  await probed(id, { env, state, reachable, signal: new AbortController().signal }, (wall) =>
    all.push(wallSchema.parse(wall)),
  );
  expect(all.map(({ wall }) => wall)).toEqual([
    ...Object.keys(WALLS),
    ...reachable.map((target) => `reach ${target}`),
  ]);
  expect(
    all.filter(
      ({ evidence }) => /cagematch-planted-[0-9a-f]/.test(evidence) || /[\n\r]/.test(evidence),
    ),
  ).toEqual([]);
  return new Map(all.map((wall) => [wall.wall, wall]));
}

interface Given {
  env: Env;
  state: unknown;
  reachable: string[];
  signal: AbortSignal;
}

async function probed(
  id: string,
  { env, state, reachable, signal }: Given,
  tell: (wall: Wall) => void,
): Promise<void> {
  const adapter = registry.get(id) as Mode;
  const keeper = createKeeper();
  keepers.push(keeper);
  const match = `w${process.pid}x${keepers.length}`;
  const base = {
    env,
    platform: process.platform,
    uid: process.getuid?.(),
    match,
    signal,
    say: () => {},
  };
  const ctx = contextFor(base, keeper, adapter, { state });
  await adapter.prepare(ctx);
  const reach = await adapter.reach(ctx);
  const gatewayPort =
    reach.via === 'address'
      ? await serve(reach.listen).finally(() => reach.release?.())
      : undefined;
  const entry = {
    entry: id,
    mode: id,
    variant: undefined,
    adapter,
    isolation: adapter.isolation,
  } as unknown as PlannedRow;
  const nameOf = (tail: string) => `cagematch-${match}-${tail}`;
  const subject = { entry, ctx, reach, gatewayPort, nameOf, signal, timeoutMs: 60_000 };
  await probeWalls(subject, { reach: reachable }, tell, { most: MOST });
}

async function serve(address: string): Promise<number> {
  const server = createServer((_req, res) => res.end('reached'));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return (server.address() as AddressInfo).port;
}

describe('on the bare host', () => {
  const home = mkdtempSync(join(tmpdir(), 'caller-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  let walls: Map<string, Wall>;
  let outside: number;
  beforeAll(async () => {
    mkdirSync(join(home, '.ssh'));
    writeFileSync(join(home, '.ssh/id_test'), 'not a key, but where one would be\n', {
      mode: 0o600,
    });
    outside = await serve('127.0.0.1');
    walls = await walled('host', { PATH: process.env.PATH ?? '', HOME: home }, undefined, [
      `127.0.0.1:${outside}`,
      '127.0.0.1:1',
    ]);
  }, 60_000);
  const observed = (wall: string) => walls.get(wall)?.observed;

  test('there are no walls around files, processes and sockets of this host', () => {
    const wide = [
      'host-files-readable',
      'host-files-writable',
      'other-processes',
      'ssh-agent',
      'credentials-in-proc',
      'credentials-in-files',
    ];
    expect(wide.map((wall) => [wall, observed(wall)])).toEqual(wide.map((wall) => [wall, 'open']));
    expect(observed('host-kernel')).toBe(process.platform === 'linux' ? 'open' : 'gap');
  });

  test('where the caller keeps credentials, what is there is opened and named, and not read', () => {
    expect(walls.get('credential-places')).toMatchObject({
      observed: 'open',
      evidence: expect.stringContaining(`opened, not read: ${join(home, '.ssh/id_test')}`),
    });
  });

  test('the caller’s secrets are all the same not handed to the agent', () => {
    expect(walls.get('credentials-in-env')).toMatchObject({ observed: 'closed' });
  });

  test('the gateway and services on the loopback are reached', () => {
    expect(['gateway-port', 'host-loopback-ports', 'host-gateway-ports'].map(observed)).toEqual([
      'open',
      'open',
      'open',
    ]);
  });

  test('an address that the user names is tried, and no other', () => {
    expect(walls.get(`reach 127.0.0.1:${outside}`)).toMatchObject({
      observed: 'open',
      evidence: `connected to 127.0.0.1:${outside}`,
    });
    expect(walls.get('reach 127.0.0.1:1')).toMatchObject({
      observed: 'closed',
      evidence: '127.0.0.1:1: ECONNREFUSED',
    });
  });

  test('a push needs somewhere to go: to a repository of this host it comes, without a remote it does not', () => {
    expect([observed('git-push-file'), observed('git-push-no-remote')]).toEqual(['open', 'closed']);
  });

  test('what runs later on this host is seen there once it was written inside', () => {
    const written = Object.keys(WALLS).filter((wall) => wall.startsWith('write-'));
    expect(written.map(observed)).toEqual(written.map(() => 'open'));
  });

  test('limits are looked for only as far as the bound', () => {
    expect(walls.get('fork-limit')).toMatchObject({
      observed: 'open',
      evidence: '20 processes started, no limit met',
    });
    expect(walls.get('memory-limit')).toMatchObject({
      observed: 'open',
      evidence: '128 MiB held, no limit met',
    });
  });

  test('nothing of the probe is left on it', () => {
    expect(readdirSync(home)).toEqual(['.ssh']);
    const folder = dirname(
      /read: (\S+)/.exec(walls.get('host-files-readable')?.evidence ?? '')?.[1] ?? '/',
    );
    expect([folder.startsWith(tmpdir()), existsSync(folder)]).toEqual([true, false]);
    expect(ourHelpers()).toEqual([]);
  });

  test('nor when it is cut short in the middle', async () => {
    const cut = new AbortController();
    // The guest has come to what is tried over the network: all that the probe sets up is up.
    const watched = createSocketServer((socket) => {
      socket.on('error', () => {}).destroy();
      cut.abort();
    });
    await new Promise<void>((resolve) => watched.listen(0, '127.0.0.1', resolve));
    const { port } = watched.address() as AddressInfo;
    const env = { PATH: process.env.PATH ?? '', HOME: home };
    const reported: Wall[] = [];
    try {
      const given = { env, state: undefined, reachable: [`127.0.0.1:${port}`], signal: cut.signal };
      await expect(probed('host', given, (wall) => reported.push(wall))).rejects.toThrow();
    } finally {
      watched.close();
    }
    expect(reported).toEqual([]);
    expect(readdirSync(home)).toEqual(['.ssh']);
    expect(ourHelpers()).toEqual([]);
  }, 60_000);

  test('an address that is none is refused before anything is planted', async () => {
    const given = {
      env: { PATH: '', HOME: home },
      state: undefined,
      signal: new AbortController().signal,
    };
    for (const bad of ['example.com', 'example.com:0', 'example.com:65536', ':443', 'a:b:1'])
      await expect(probed('host', { ...given, reachable: [bad] }, () => {})).rejects.toMatchObject({
        code: 'bad-input',
      });
  });

  /**
   * Processes that the probe started beside the guest: the marker, and what listens in a network of
   * its own.
   */
  function ourHelpers(): string[] {
    const ours = childrenOf([process.pid]);
    return commandLines()
      .filter(
        ({ pid, argv }) =>
          ours.includes(pid) && argv.some((word) => /cagematch-planted-|walls-foreign/.test(word)),
      )
      .map(({ argv }) => argv.join(' '));
  }
});

/** A program named docker that adds to every `run`, and hands all else on to the real one. */
function wrapper(real: string, ...added: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'wrapper-'));
  const add = added.map(quoted).join(' ');
  writeProgram(
    join(folder, 'docker'),
    `#!/bin/sh\nif [ "$1" = run ]; then shift; exec ${quoted(real)} run ${add} "$@"; fi\nexec ${quoted(real)} "$@"\n`,
  );
  return folder;
}

const env = machineEnv;
const [docker] = await detectAll([registry.get('docker') as Mode], (mode) =>
  modeContext(mode.id, { env }),
);
const dockerReady = docker?.detection.status === 'ready';

describe.skipIf(!dockerReady)('Docker for real, through a wrapper', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  async function through(...added: string[]) {
    const folder = wrapper(which('docker', env) ?? 'docker', ...added);
    folders.push(folder);
    return walled(
      'docker',
      { ...env, PATH: [folder, env.PATH].join(delimiter) },
      docker?.runtimeState,
    );
  }

  test('that adds nothing: what is declared closed is closed', async () => {
    const walls = await through('--label', 'nothing=added');
    const differing = [...walls.values()].filter(
      ({ declared, observed }) => declared === 'closed' && observed === 'open',
    );
    // Limits are tried here as far as is quick, and not as far as they are.
    expect(differing.map(({ wall }) => wall).filter((wall) => !wall.endsWith('-limit'))).toEqual(
      [],
    );
    expect(walls.get('docker-socket')).toMatchObject({ declared: 'closed', observed: 'closed' });
    expect(walls.get('other-processes')).toMatchObject({ declared: 'closed', observed: 'closed' });
    expect(walls.get('credentials-in-env')).toMatchObject({
      declared: 'closed',
      observed: 'closed',
    });
  }, 60_000);

  test('that mounts a socket where Docker’s would be, and shares the processes of this host: both are seen', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'socket-'));
    folders.push(folder);
    chmodSync(folder, 0o755);
    const path = join(folder, 'fake.sock');
    const server = createSocketServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.0 200 OK\r\n\r\nOK'),
    );
    await new Promise<void>((resolve) => server.listen(path, resolve));
    chmodSync(path, 0o777);
    try {
      const walls = await through('--volume', `${path}:/var/run/docker.sock`, '--pid', 'host');
      expect(walls.get('docker-socket')).toMatchObject({
        declared: 'closed',
        observed: 'open',
        evidence: expect.stringMatching(/^answers: .*docker\.sock/),
      });
      expect(walls.get('other-processes')).toMatchObject({ declared: 'closed', observed: 'open' });
    } finally {
      server.close();
    }
  }, 60_000);

  test('that hands on the caller’s environment, and mounts what is in the temporary folder and in the home: secrets are seen', async () => {
    const given = ['AWS_SECRET_ACCESS_KEY', 'SSH_AUTH_SOCK'].flatMap((name) => ['--env', name]);
    const walls = await through(...given, '--volume', `${tmpdir()}:${tmpdir()}`);
    expect(walls.get('credentials-in-env')).toMatchObject({
      declared: 'closed',
      observed: 'open',
      evidence: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
    for (const wall of ['host-files-readable', 'host-files-writable', 'ssh-agent', 'git-push-file'])
      expect([wall, walls.get(wall)]).toEqual([
        wall,
        expect.objectContaining({ declared: 'closed', observed: 'open' }),
      ]);
  }, 60_000);
});

describe('Docker’s stand-in, which has no walls', () => {
  test('every wall is told all the same, and what it promises and does not keep can be seen', async () => {
    const { env: inside, close } = await standIn();
    try {
      const [ready] = await detectAll([registry.get('docker') as Mode], (mode) =>
        modeContext(mode.id, { env: inside }),
      );
      const walls = await walled('docker', inside, ready?.runtimeState);
      expect(walls.get('host-files-readable')).toMatchObject({
        declared: 'closed',
        observed: 'open',
      });
      expect(walls.get('other-processes')).toMatchObject({ declared: 'closed', observed: 'open' });
    } finally {
      await close();
    }
  }, 60_000);
});

describe('what a mode declares', () => {
  test.each([...registry.keys()])('%s: only walls that there are', (id) => {
    const declared = registry.get(id)?.walls?.(modeContext(id)) ?? {};
    expect(Object.keys(declared).filter((wall) => !(wall in WALLS))).toEqual([]);
  });

  const declares = (id: string, given: Parameters<typeof modeContext>[1]) =>
    registry.get(id)?.walls?.(modeContext(id, given)) ?? {};

  test('limits are promised only where the runtime heeds them', () => {
    const runsc = { variant: 'runsc', state: dockerState({ ignoresLimits: ['runsc'] }) };
    expect(declares('docker', {})).toMatchObject({
      'memory-limit': 'closed',
      'fork-limit': 'closed',
    });
    expect(declares('docker', runsc)).toMatchObject({
      'memory-limit': 'open',
      'fork-limit': 'open',
    });
    expect(
      declares('podman', { state: podmanState({ rootless: true, cgroup: 'v1' }) }),
    ).toMatchObject({ 'memory-limit': 'open' });
    expect(declares('podman', { state: podmanState({ rootless: true }) })).toMatchObject({
      'memory-limit': 'closed',
    });
  });

  test('a kernel of its own is promised only where a runtime brings one', () => {
    expect(declares('docker', { state: dockerState() })).toMatchObject({ 'host-kernel': 'open' });
    expect(declares('docker', { variant: 'runsc', state: dockerState() })).toMatchObject({
      'host-kernel': 'closed',
    });
    expect(declares('podman', { state: podmanState() })).toMatchObject({ 'host-kernel': 'open' });
    expect(declares('podman', { variant: 'krun', state: podmanState() })).toMatchObject({
      'host-kernel': 'closed',
    });
    expect(declares('podman', { variant: 'rootless', state: podmanState() })).toMatchObject({
      'host-kernel': 'open',
      'root-on-host': 'closed',
    });
    expect(declares('incus', {})).toMatchObject({
      'host-kernel': 'open',
      'root-on-host': 'closed',
    });
    expect(declares('incus', { variant: 'vm' })).toMatchObject({ 'host-kernel': 'closed' });
  });

  test('this host’s loopback is open where the network is the host’s, or is told to let it in', () => {
    expect(declares('docker', { state: dockerState({ hostNetwork: ['runc'] }) })).toMatchObject({
      'host-loopback-ports': 'open',
    });
    expect(declares('docker', { options: { network: 'none' } })).toMatchObject({
      'tcp-out': 'closed',
      'host-loopback-ports': 'closed',
    });
    expect(declares('podman', { state: podmanState({ rootless: true }) })).toMatchObject({
      'host-loopback-ports': 'open',
    });
    expect(
      declares('podman', { state: podmanState({ rootless: true, rootlessNetwork: 'pasta' }) }),
    ).toMatchObject({
      'host-loopback-ports': 'closed',
    });
  });
});

describe('the host judges', () => {
  const own = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const host = {
    planted: {},
    workspace: '/nonexistent',
    sockets: { 'docker-socket': ['/var/run/docker.sock'] },
    uidMap: undefined,
    sameKernel: true,
  } as unknown as HostSide;
  const observation = (seen: Record<string, unknown>): WallObservation => ({
    observed: 'gap',
    evidence: 'not compared',
    seen,
  });

  test('a kernel by its boot id, and by its build where a runtime shows another id', () => {
    expect(sameKernel({ bootId: own, release: 'x', version: 'y' })).toBe(true);
    expect(sameKernel({ bootId: 'another', release: release(), version: version() })).toBe(true);
    expect(sameKernel({ bootId: 'another', release: '4.4.0', version: version() })).toBe(false);
  });

  test.each([
    ['0 0 4294967295', 'open'],
    ['0 100000 65536', 'closed'],
    ['0 1 995\n995 0 1\n996 996 64541', 'closed'],
    ['1000 1000 1', 'closed'],
    ['1000 1000 1\n0 0 1', 'open'],
  ])('root by the map of user ids: %j is %s', (uidMap, observed) => {
    expect(JUDGES['root-on-host']?.(observation({}), { ...host, uidMap })).toMatchObject({
      observed,
    });
  });

  test('a process that is none of this host’s has no root here', () => {
    expect(
      JUDGES['root-on-host']?.(observation({ uidMap: '0 0 4294967295' }), {
        ...host,
        sameKernel: false,
      }),
    ).toMatchObject({
      observed: 'closed',
    });
  });

  test('nothing, where the guest was not heard: it is not known to have another kernel', () => {
    const silent: WallObservation = { observed: 'gap', evidence: 'the guest told nothing of it' };
    for (const wall of ['host-kernel', 'root-on-host'] as const)
      expect(JUDGES[wall]?.(silent, { ...host, sameKernel: false })).toEqual(silent);
  });

  test('a socket that is not there is no wall where this host has none either', () => {
    const nothing: WallObservation = {
      observed: 'closed',
      evidence: 'nothing at /var/run/docker.sock',
      seen: { reached: false },
    };
    expect(JUDGES['docker-socket']?.(nothing, host)).toMatchObject({ observed: 'closed' });
    expect(JUDGES['docker-socket']?.(nothing, { ...host, sockets: {} })).toMatchObject({
      observed: 'gap',
    });
  });

  test('a file that was said to be written is looked for on this host', () => {
    const observation: WallObservation = { observed: 'closed', evidence: '.mcp.json: written' };
    const planted = { nonce: 'nonce' } as HostSide['planted'];
    expect(JUDGES['write-mcp-json']?.(observation, { ...host, planted })).toMatchObject({
      observed: 'closed',
      evidence: expect.stringContaining('not on this host'),
    });
  });

  test('sockets are looked for where the caller’s own settings say that they are', () => {
    expect(socketPaths({ DOCKER_HOST: 'unix:///mine.sock', INCUS_DIR: '/in' }, 7)).toMatchObject({
      'docker-socket': expect.arrayContaining(['/mine.sock', '/run/user/7/docker.sock']),
      'incus-socket': expect.arrayContaining(['/in/unix.socket']),
    });
  });
});
