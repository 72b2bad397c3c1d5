// The options of one entry: what each runtime is told of them, and which are refused because they
// would have no effect.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Context, EntryOptions, LaunchSpec, Mode } from '../../lib/contract.js';
import { runArgs } from '../../lib/kit/oci/args.js';
import { reportSchema } from '../../lib/report/document.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { withShellAgent } from '../support/agent-scripts.js';
import { contextOf, specOf } from '../support/call-mode.js';
import { openArena } from '../support/conformance/arena.js';
import { fakeCommands, printing } from '../support/fake-commands.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { modeContext } from '../support/mode-context.js';
import { dockerState, podmanState } from '../support/runtime-states.js';
import { standIn as openDocker } from '../support/stand-ins/docker.js';
import { standIn as openSandboxes } from '../support/stand-ins/docker-sandbox.js';
import { standIn as openFly } from '../support/stand-ins/fly.js';
import { standIn as openIncus } from '../support/stand-ins/incus.js';

const registry = await loadModes();
const mode = (id: string): Mode => registry.get(id) as Mode;

const spec: LaunchSpec = {
  name: 'cagematch-x-docker-1',
  host: { workspace: '/w', home: '/h', tmp: '/t', path: '' },
  files: [],
  user: { uid: 1000, gid: 1000 },
};
const labels = { match: 'x', mode: 'docker', owner: '1:boot' };
const args = (options: EntryOptions) =>
  runArgs(spec, { image: 'image', labels, ...options }).join(' ');

describe('a container', () => {
  test('has four gigabytes, all processors, the default network and a /tmp on disk, unless its entry says otherwise', () => {
    expect(args({})).toContain(' --memory 4096m ');
    expect(args({})).not.toMatch(/--(cpus|tmpfs|network)/);
    expect(args({ tmpfs: false })).toBe(args({}));
  });

  test('has what its entry says', () => {
    const all = args({ memoryMiB: 512, cpus: 1.5, tmpfs: true, network: 'mine' });
    expect(all).toContain(' --memory 512m --cpus 1.5 --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777 ');
    expect(all).not.toContain('4096m');
    expect(all).toContain(' --network mine ');
    expect(all.indexOf('--network')).toBeLessThan(all.indexOf(' image '));
  });
});

test('a user-space kernel, which takes several tasks of the host for a process inside, has as many more', () => {
  expect(args({})).toContain(' --pids-limit 512 ');
  expect(runArgs(spec, { image: 'image', labels, hostTasks: 8 })).toContain('4096');
});

interface Way {
  id: string;
  options: EntryOptions;
  state?: Context['state'];
  variant?: string;
  /** What the client says of the network that it is asked about. */
  inspected?: string;
}

async function reached({ id, options, state, variant, inspected = '' }: Way) {
  const script = `case "$1 $2" in "network inspect") printf '%s' "$3" > "$0.asked"; printf '%s' '${inspected}';; esac`;
  const PATH = fakeCommands({ docker: script, podman: script });
  const ctx = modeContext(id, { env: { PATH }, options, state, variant });
  const reach = await mode(id).reach(ctx);
  const inspectedNetwork = () => {
    try {
      return readFileSync(join(PATH, `${id}.asked`), 'utf8');
    } catch {
      return undefined;
    }
  };
  return reach.via === 'inside'
    ? 'inside'
    : { listen: reach.listen, url: reach.url(1), inspectedNetwork: inspectedNetwork() };
}

describe('the gateway is reached', () => {
  const loopback = { listen: '127.0.0.1', url: 'http://127.0.0.1:1', inspectedNetwork: undefined };
  test.each<[string, Way, unknown]>([
    ['Docker, none', { id: 'docker', options: { network: 'none' } }, 'inside'],
    ['Docker, host', { id: 'docker', options: { network: 'host' } }, loopback],
    [
      'Docker, a network of the user',
      { id: 'docker', options: { network: 'mine' }, inspected: '10.9.0.1' },
      { listen: '10.9.0.1', url: 'http://10.9.0.1:1', inspectedNetwork: 'mine' },
    ],
    [
      'Docker, by its other name for the bridge',
      { id: 'docker', options: { network: 'default' }, inspected: '172.17.0.1' },
      { listen: '172.17.0.1', url: 'http://172.17.0.1:1', inspectedNetwork: 'bridge' },
    ],
    [
      'Docker Desktop, none',
      { id: 'docker', options: { network: 'none' }, state: dockerState({ desktop: true }) },
      'inside',
    ],
    ['Podman, none', { id: 'podman', options: { network: 'none' } }, 'inside'],
    ['Podman, host', { id: 'podman', options: { network: 'host' } }, loopback],
    [
      'Podman, a network of the user',
      { id: 'podman', options: { network: 'mine' }, inspected: '10.9.0.1' },
      { listen: '10.9.0.1', url: 'http://10.9.0.1:1', inspectedNetwork: 'mine' },
    ],
    [
      'Podman, by its other name for its own network',
      { id: 'podman', options: { network: 'bridge' }, inspected: '10.88.0.1' },
      { listen: '10.88.0.1', url: 'http://10.88.0.1:1', inspectedNetwork: 'podman' },
    ],
    [
      'rootless, none',
      { id: 'podman', options: { network: 'none' }, state: podmanState({ rootless: true }) },
      'inside',
    ],
    [
      'rootless, host',
      { id: 'podman', options: { network: 'host' }, state: podmanState({ rootless: true }) },
      loopback,
    ],
    [
      'rootless, pasta',
      { id: 'podman', options: { network: 'pasta' }, state: podmanState({ rootless: true }) },
      loopback,
    ],
    [
      'rootless, slirp4netns',
      {
        id: 'podman',
        options: { network: 'slirp4netns' },
        state: podmanState({ rootless: true, rootlessNetwork: 'pasta' }),
      },
      { listen: '127.0.0.1', url: 'http://10.0.2.2:1', inspectedNetwork: undefined },
    ],
  ])('%s', async (_, way, expected) => {
    expect(await reached(way)).toEqual(expected);
  });

  test.each(['docker', 'podman'])(
    'nowhere on a network that %s does not have: that is said',
    async (id) => {
      await expect(reached({ id, options: { network: 'nonesuch' } })).rejects.toMatchObject({
        code: 'not-ready',
        message: expect.stringContaining('no address of this host on the network nonesuch'),
        hint: `${id} network ls`,
      });
    },
  );
});

describe('an option that would have no effect is refused before anything is launched', () => {
  const runsc = {
    variant: 'runsc',
    state: dockerState({ hostNetwork: ['runsc'], ignoresLimits: ['runsc', 'other'] }),
  };
  const rootless = { state: podmanState({ rootless: true, cgroup: 'v1' }) };
  const vm = { variant: 'vm' };

  async function prepared(
    id: string,
    overrides: { variant?: string; state?: Context['state'] },
    options: EntryOptions,
  ) {
    const PATH = fakeCommands(
      Object.fromEntries(
        ['docker', 'podman', 'incus', 'sbx'].map((name) => [
          name,
          printing({ stdout: '{"target":"x"}' }),
        ]),
      ),
    );
    return mode(id)
      .prepare(modeContext(id, { env: { PATH }, options, ...overrides }))
      .then(
        () => 'taken',
        (error) => error,
      );
  }

  test.each<[string, string, { variant?: string; state?: Context['state'] }, EntryOptions, RegExp]>(
    [
      [
        'gVisor beside all cgroups',
        'docker',
        runsc,
        { cpus: 1 },
        /runsc is registered with --ignore-cgroups/,
      ],
      [
        'gVisor beside all cgroups',
        'docker',
        runsc,
        { memoryMiB: 512 },
        /runsc is registered with --ignore-cgroups/,
      ],
      [
        'gVisor on the host’s network',
        'docker',
        runsc,
        { network: 'none' },
        /runsc is registered with --network=host/,
      ],
      [
        'the daemon’s own runtime, if it is such',
        'docker',
        { state: dockerState({ runtime: 'runsc', ignoresLimits: ['runsc'] }) },
        { cpus: 1 },
        /ignore-cgroups/,
      ],
      [
        'rootless Podman on cgroup v1',
        'podman',
        rootless,
        { cpus: 1 },
        /ignores cpus and memory on cgroup v1/,
      ],
      [
        'rootless Podman on cgroup v1',
        'podman',
        rootless,
        { memoryMiB: 512 },
        /ignores cpus and memory on cgroup v1/,
      ],
      [
        'a network out of reach',
        'podman',
        rootless,
        { network: 'mine' },
        /rootless Podman's network mine/,
      ],
      ['/tmp of a virtual machine', 'incus', vm, { tmpfs: true }, /mounts its own \/tmp/],
      ['part of a virtual processor', 'incus', vm, { cpus: 1.5 }, /whole processors, not 1\.5/],
      [
        'part of a microVM’s processor',
        'docker-sandbox',
        { state: { cli: 'sbx' } },
        { cpus: 1.5 },
        /whole processors, not 1\.5/,
      ],
      [
        'a size that the older client does not know',
        'docker-sandbox',
        { state: { cli: 'docker sandbox' } },
        { memoryMiB: 512 },
        /same cpus and memory/,
      ],
      [
        'three processors of Fly.io',
        'fly',
        {},
        { cpus: 3 },
        /machines with 1, 2, 4, 8 processors, not 3/,
      ],
      [
        'an odd size of Fly.io',
        'fly',
        {},
        { memoryMiB: 1000 },
        /2 shared processors 512 to 4096 MiB, in steps of 256; not 1000/,
      ],
      [
        'more than Fly.io gives',
        'fly',
        {},
        { cpus: 1, memoryMiB: 4096 },
        /1 shared processors 256 to 2048 MiB/,
      ],
    ],
  )('%s (%s)', async (_, id, overrides, options, message) => {
    expect(await prepared(id, overrides, options)).toMatchObject({
      code: 'not-ready',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/./),
    });
  });

  test.each<[string, { variant?: string; state?: Context['state'] }, EntryOptions]>([
    ['docker', { state: runsc.state }, { cpus: 1.5, memoryMiB: 512, network: 'none' }],
    ['docker', runsc, { network: 'host', tmpfs: true }],
    [
      'podman',
      { state: podmanState({ cgroup: 'v1' }) },
      { cpus: 1.5, memoryMiB: 512, network: 'mine' },
    ],
    [
      'podman',
      { state: podmanState({ rootless: true }) },
      { cpus: 1.5, memoryMiB: 512, network: 'host' },
    ],
    ['podman', rootless, { tmpfs: true, network: 'none' }],
    ['incus', {}, { cpus: 1.5, memoryMiB: 512, tmpfs: true }],
    ['incus', vm, { cpus: 2, memoryMiB: 512 }],
    ['fly', {}, { cpus: 4, memoryMiB: 1024 }],
    ['fly', {}, { cpus: 1 }],
  ])('and no other: %s %j %j', async (id, overrides, options) => {
    const answer = await prepared(id, overrides, options);
    expect(answer === 'taken' || !/not-ready/.test(answer.code), String(answer)).toBe(true);
  });
});

describe('what a runtime that is not here is told', () => {
  test('sbx: whole processors, and memory in MiB; nothing where nothing is asked for', async () => {
    const stand = await openSandboxes('sbx');
    const ctx = contextOf('docker-sandbox', stand.env, {
      state: { cli: 'sbx' },
      options: { cpus: 2, memoryMiB: 3072 },
    });
    const launched = [
      specOf('cagematch-20260102-030405-abcd-a-1'),
      specOf('cagematch-20260102-030405-abcd-b-1'),
    ] as const;
    try {
      await mode('docker-sandbox').launch(ctx, launched[0]);
      await mode('docker-sandbox').launch({ ...ctx, options: {} }, launched[1]);
      const calls = readFileSync(
        join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'argv.jsonl'),
        'utf8',
      ).split('\n');
      const [first, second] = calls.filter((line) => line.startsWith('["sbx","create"'));
      expect(first).toContain('"--cpus","2","--memory","3072m","claude"');
      expect(second).not.toMatch(/--cpus|--memory/);
    } finally {
      for (const spec of launched) {
        await mode('docker-sandbox').destroy(ctx, { name: spec.name });
        spec.close();
      }
      await ctx.close();
      await stand.close();
    }
  });

  test('Fly.io: a machine of that size, which the API takes', async () => {
    const stand = await openFly();
    const ctx = contextOf('fly', stand.env, { options: { cpus: 4, memoryMiB: 2048 } });
    const spec = specOf('cagematch-20260102-030405-abcd-fly-1');
    try {
      const { handle } = await mode('fly').launch(ctx, spec);
      expect(stand.api.machines()[0]?.config.guest).toEqual({
        cpu_kind: 'shared',
        cpus: 4,
        memory_mb: 2048,
      });
      await mode('fly').destroy(ctx, handle);
    } finally {
      spec.close();
      await ctx.close();
      await stand.close();
    }
  });

  test('Incus: a share of time, memory, and a mount', async () => {
    const { env, close } = await openIncus();
    const target = {
      name: 'incus',
      mode: mode('incus'),
      real: false,
      variant: undefined,
      runtimeState: undefined,
      env,
      close,
    };
    const arena = await openArena(target);
    const launched = arena.plan('sized');
    try {
      const ctx = { ...arena.ctx, options: { cpus: 1.5, memoryMiB: 3072, tmpfs: true } };
      await mode('incus').launch(ctx, launched.spec);
      const { config } = JSON.parse(
        readFileSync(
          join(env.CAGEMATCH_STAND_IN_STATE ?? '', 'instances', `${launched.name}.json`),
          'utf8',
        ),
      );
      expect(config).toMatchObject({
        'limits.cpu.allowance': '150ms/100ms',
        'limits.memory': '3072MiB',
        'limits.processes': '512',
        'raw.lxc': expect.stringMatching(
          /^lxc\.mount\.entry = tmpfs dev\/shm tmpfs .*\nlxc\.mount\.entry = tmpfs tmp tmpfs /,
        ),
      });
    } finally {
      await arena.close();
      await close();
    }
  });
});

test('a match file’s options reach the runtime, row by row', async () => {
  const stand = await openDocker();
  const place = standSomewhere();
  const env = withShellAgent(stand.env);
  try {
    const rows = [
      '{mode: docker, label: a, memory: 2g, cpus: 1.5, tmpfs: true}',
      '{mode: docker, label: b, network: none}',
    ];
    writeFileSync(
      join(place.cwd, 'match.yaml'),
      `runs: 1\nmodel: replay\nmodes: [${rows.join(', ')}]\n`,
    );
    const { stdout, stderr } = await cagematch(
      ownHouse,
      ['run', '-f', 'match.yaml', '--json', '-'],
      { cwd: place.cwd, env },
    );
    const report = reportSchema.parse(JSON.parse(stdout));
    expect(
      report.modes.map(({ entry, options, passed }) => [entry, options, passed]),
      stderr,
    ).toEqual([
      ['docker@a', { memoryMiB: 2048, cpus: 1.5, tmpfs: true }, 1],
      ['docker@b', { network: 'none' }, 1],
    ]);
    const calls = readFileSync(join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'argv.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as string[]).join(' '))
      .filter((line) => line.startsWith('run '));
    const [a, b] = ['-docker-a-', '-docker-b-'].map((part) =>
      calls.find((line) => line.includes(part)),
    );
    expect(a).toMatch(/ --memory 2048m --cpus 1\.5 --tmpfs \/tmp:/);
    expect(a).not.toContain('--network');
    expect(b).toMatch(/ --memory 4096m .*--network none /);
    expect(b).not.toMatch(/--cpus|--tmpfs/);
  } finally {
    place.close();
    await stand.close();
  }
});
