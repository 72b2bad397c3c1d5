// What each mode says of this machine, asked through the very commands it would use: here small
// programs on a PATH of the test's own.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Context, Detection, Mode } from '../../lib/contract.js';
import { nobodysUser } from '../../lib/os/sandbox-user.js';
import { detectionSchema } from '../../lib/record/types.js';
import { detectAll, isStandIn } from '../../lib/sandbox/detect.js';
import docker from '../../modes/docker.js';
import host from '../../modes/host.js';
import incus from '../../modes/incus.js';
import native from '../../modes/native.js';
import podman from '../../modes/podman.js';
import { fakeCommands, printing, quoted } from '../support/fake-commands.js';
import { modeContext } from '../support/mode-context.js';
import { isRunning, pidIn } from '../support/processes.js';
import { dockerState, podmanState } from '../support/runtime-states.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Asks one mode, with only these programs on PATH. */
async function ask(
  mode: Mode,
  programs: Record<string, string>,
  given: Partial<Context> = {},
): Promise<Detection> {
  const env = { ...given.env, PATH: fakeCommands(programs) };
  const [found] = await detectAll([mode], () => modeContext(mode.id, { ...given, env }));
  const detection = found?.detection;
  expect(() => detectionSchema.parse(detection)).not.toThrow();
  if (!detection) throw new Error('nothing was detected');
  if (detection.status !== 'ready') {
    expect(`${detection.reason}${detection.hint}`).not.toMatch(/\n/);
    expect(detection.reason).not.toBe('');
    expect(detection.hint).not.toBe('');
  }
  return detection;
}

const json = (value: unknown) => printing({ stdout: JSON.stringify(value) });

describe('docker', () => {
  /** What `docker info --format '{{json .}}'` prints, shortened. */
  const INFO = {
    ID: 'f6a1',
    Driver: 'overlay2',
    CgroupVersion: '1',
    OperatingSystem: 'Debian GNU/Linux 12 (bookworm)',
    ServerVersion: '20.10.24+dfsg1',
    DefaultRuntime: 'runc',
    Runtimes: { runc: { path: 'runc' } },
    ClientInfo: { Version: '28.2.2' },
  };
  /** What it prints when no daemon answers: a whole answer of empty values. */
  const NO_DAEMON = {
    ID: '',
    Driver: '',
    OperatingSystem: '',
    ServerVersion: '',
    Runtimes: null,
    ClientInfo: { Version: '28.2.2' },
  };
  const REFUSED =
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?';

  test('without the command it is absent, with the hint of the platform', async () => {
    const onLinux = await ask(docker, {});
    expect(onLinux).toEqual({
      status: 'absent',
      reason: 'no docker command on PATH',
      hint: 'sudo apt-get install docker.io',
    });
    const onMac = await ask(docker, {}, { platform: 'darwin' });
    expect(onMac).toMatchObject({
      status: 'absent',
      hint: expect.stringContaining('Docker Desktop'),
    });
  });

  test.each([
    [
      'on stderr, as client 28 does',
      printing({ stdout: JSON.stringify(NO_DAEMON), stderr: REFUSED, code: 1 }),
    ],
    [
      'among ServerErrors, as others do',
      printing({ stdout: JSON.stringify({ ...NO_DAEMON, ServerErrors: [REFUSED] }), code: 1 }),
    ],
    [
      'with exit code 0, as old ones do',
      printing({ stdout: JSON.stringify({ ServerErrors: [REFUSED], ClientInfo: {} }) }),
    ],
    ['in words alone', printing({ stderr: REFUSED, code: 1 })],
  ])('a daemon that does not run is broken, whether it is told %s', async (_how, script) => {
    const onLinux = await ask(docker, { docker: script });
    expect(onLinux).toMatchObject({
      status: 'broken',
      hint: expect.stringContaining('systemctl start docker'),
    });
    expect(onLinux).toMatchObject({ reason: `the Docker daemon does not answer: ${REFUSED}` });
    expect(await ask(docker, { docker: script }, { platform: 'darwin' })).toMatchObject({
      hint: 'start Docker Desktop',
    });
  });

  test('one whose socket is not for this user is broken, in its own words', async () => {
    const denied =
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock';
    const found = await ask(docker, {
      docker: printing({
        stdout: JSON.stringify({ ...NO_DAEMON, ServerErrors: [denied] }),
        code: 1,
      }),
    });
    expect(found).toMatchObject({
      status: 'broken',
      reason: expect.stringContaining('permission denied'),
    });
  });

  test('one that answers is ready, with its version and facts', async () => {
    expect(await ask(docker, { docker: json(INFO) })).toMatchObject({
      status: 'ready',
      version: '20.10.24+dfsg1',
      facts: { storage: 'overlay2', cgroup: '1', runtime: 'runc', desktop: false, hostNetwork: '' },
      variants: [],
    });
    expect(
      await ask(docker, { docker: json({ ...INFO, OperatingSystem: 'Docker Desktop' }) }),
    ).toMatchObject({ facts: { desktop: true } });
  });

  test('every other OCI runtime of the daemon is a variant, with what it isolates by', async () => {
    const runtimes = {
      'io.containerd.runc.v2': { path: 'runc' },
      'io.containerd.runtime.v1.linux': { path: 'runc' },
      runc: { path: 'runc' },
      crun: { path: '/usr/bin/crun' },
      runsc: { path: '/usr/bin/runsc', runtimeArgs: ['--platform=ptrace', '--network=host'] },
      kata: { runtimeType: 'io.containerd.kata.v2' },
      'io.containerd.kata-qemu.v2': {},
    };
    const found = await ask(docker, { docker: json({ ...INFO, Runtimes: runtimes }) });
    expect(found).not.toHaveProperty('facts.otherNames');
    expect(found).toMatchObject({
      facts: { hostNetwork: 'runsc' },
      variants: [
        { id: 'crun', isolation: 'container' },
        { id: 'runsc', isolation: 'user-kernel' },
        { id: 'kata', isolation: 'microvm' },
        { id: 'io.containerd.kata-qemu.v2', isolation: 'microvm' },
      ],
    });
  });

  test.each([
    ['crun', { path: '/usr/bin/crun' }, { isolation: 'container' }],
    ['youki', { path: '/usr/bin/youki' }, { isolation: 'container' }],
    ['runsc', { path: '/usr/bin/runsc' }, { isolation: 'user-kernel' }],
    ['krun', { path: '/usr/bin/krun' }, { isolation: 'microvm', mainProcessOnly: true }],
    ['kata', { runtimeType: 'io.containerd.kata.v2' }, { isolation: 'microvm' }],
    // Called as somebody liked: what it is, its program or shim tells.
    ['strong', { runtimeType: 'io.containerd.kata.v2' }, { isolation: 'microvm' }],
    [
      'stronger',
      { runtimeType: '/opt/katarina/bin/containerd-shim-kata-fc-v2' },
      { isolation: 'microvm' },
    ],
    ['small', { path: '/usr/bin/krun' }, { isolation: 'microvm', mainProcessOnly: true }],
    ['safe', { runtimeType: 'io.containerd.runsc.v1' }, { isolation: 'user-kernel' }],
    ['nvidia', { path: '/home/katarina/bin/nvidia-container-runtime' }, { isolation: 'container' }],
  ])(
    'a runtime that is registered as %s is a variant that needs not be asked for',
    async (id, registered, is) => {
      const found = await ask(docker, {
        docker: json({ ...INFO, Runtimes: { runc: { path: 'runc' }, [id]: registered } }),
      });
      expect(found).toMatchObject({ status: 'ready', variants: [{ id, ...is }] });
      expect(found).not.toHaveProperty('variants.0.onRequest');
      if (!('mainProcessOnly' in is))
        expect(found).not.toHaveProperty('variants.0.mainProcessOnly');
    },
  );

  test('a shim on PATH is a variant on request that the daemon does not list, from version 23 on', async () => {
    const shims = {
      'containerd-shim-kata-v2': 'exit 0',
      'containerd-shim-kata-fc-v2': 'exit 0',
      'containerd-shim-runc-v2': 'exit 0',
    };
    const programs = (version: string, overrides = {}) => ({
      docker: json({ ...INFO, ServerVersion: version, ...overrides }),
      ...shims,
    });
    const [fc, kata] = ['io.containerd.kata-fc.v2', 'io.containerd.kata.v2'].map((id) => ({
      id,
      isolation: 'microvm',
      onRequest: true,
    }));
    expect(await ask(docker, programs('24.0.7'))).toMatchObject({ variants: [fc, kata] });
    expect(await ask(docker, programs('20.10.24+dfsg1'))).toMatchObject({ variants: [] });
    expect(await ask(docker, { docker: json({ ...INFO, ServerVersion: '24.0.7' }) })).toMatchObject(
      { variants: [] },
    );
    // Under another name it is listed after all.
    const registered = { Runtimes: { runc: {}, strong: { runtimeType: 'io.containerd.kata.v2' } } };
    expect(await ask(docker, programs('24.0.7', registered))).toMatchObject({
      variants: [{ id: 'strong' }, fc],
    });
  });

  test('what is exec’d would not be in a krun machine, and is refused; so is a terminal', async () => {
    const command = { argv: ['true'] as [string], env: {}, secretEnv: {}, cwd: '/' };
    const env = {
      PATH: fakeCommands({
        docker: json({ ...INFO, Runtimes: { runc: {}, small: { path: '/usr/bin/krun' } } }),
      }),
    };
    const [found] = await detectAll([docker], () => modeContext('docker', { env }));
    const state = found?.runtimeState as object;
    for (const [mode, variant, given] of [
      [docker, 'krun', dockerState()],
      [podman, 'krun', podmanState()],
      [docker, 'small', state],
      [docker, undefined, { ...state, runtime: 'small' }],
    ] as const) {
      const ctx = modeContext(mode.id, { variant, state: given });
      const refusal = `${variant ?? 'small'} runs a container's first process in its machine, and what is exec'd beside it`;
      expect(() => mode.exec(ctx, { name: 'x' }, command)).toThrow(refusal);
      await expect(mode.terminal(ctx, { name: 'x' }, command)).rejects.toThrow(refusal);
    }
  });

  test('where the daemon’s default runtime is a stronger one, so is the row without a variant', async () => {
    const runtimes = { runc: { path: 'runc' }, runsc: { path: '/usr/bin/runsc' } };
    const found = await ask(docker, {
      docker: json({ ...INFO, DefaultRuntime: 'runsc', Runtimes: runtimes }),
    });
    expect(found).toMatchObject({
      isolation: 'user-kernel',
      variants: [{ id: 'runc', isolation: 'container' }],
    });
    expect(await ask(docker, { docker: json({ ...INFO, Runtimes: runtimes }) })).not.toHaveProperty(
      'isolation',
    );
  });

  test('it says what it rests on: what the daemon tells, and what another OCI runtime says by the path that it is registered with', async () => {
    const folder = fakeCommands({
      runsc: printing({ stdout: 'runsc version release-20240101.0\nspec: 1.1.0' }),
      krun: printing({ stdout: 'krun version 1.15\ncommit: e6eacaf\n+SYSTEMD +LIBKRUN' }),
    });
    const info = {
      ...INFO,
      RuncCommit: { ID: 'v1.1.12-0-g51d5e94' },
      ContainerdCommit: { ID: 'ae07eda36dd25f8a1b98dfbf587313b99c0190bb' },
      Runtimes: {
        runc: { path: 'runc' },
        runsc: { path: join(folder, 'runsc') },
        crun: { path: 'crun' },
        gone: { path: '/no/such/runtime' },
        mute: { path: 'mute' },
        youki: { path: 'youki' },
        krun: { path: join(folder, 'krun') },
        kata: { runtimeType: 'io.containerd.kata.v2' },
      },
    };
    const programs = {
      docker: json(info),
      crun: printing({ stdout: 'crun version 1.14.1\ncommit: de537a7' }),
      youki: printing({ stdout: 'youki version 0.5.3\ncommit: 0.5.3-0-g4e7c2d1' }),
      'containerd-shim-kata-v2': printing({
        stdout:
          'Kata Containers containerd shim (Golang): id: "io.containerd.kata.v2", version: 3.2.0, commit: e2c5d1d',
      }),
      mute: 'exit 1',
    };
    const versions = (found: Detection) =>
      found.status === 'ready' &&
      Object.fromEntries(Object.entries(found.facts).filter(([name]) => name.endsWith('Version')));
    expect(versions(await ask(docker, programs))).toEqual({
      runcVersion: 'v1.1.12-0-g51d5e94',
      containerdVersion: 'ae07eda36dd25f8a1b98dfbf587313b99c0190bb',
      runscVersion: 'release-20240101.0',
      crunVersion: '1.14.1',
      youkiVersion: '0.5.3',
      krunVersion: '1.15',
      kataVersion: '3.2.0',
    });
    const desktop = {
      ...programs,
      docker: json({ ...info, OperatingSystem: 'Docker Desktop', RuncCommit: { ID: 'N/A' } }),
    };
    expect(versions(await ask(docker, desktop))).toEqual({
      containerdVersion: info.ContainerdCommit.ID,
    });
  });

  test('another OCI runtime on PATH is asked beside the daemon, not after it', async () => {
    const meeting = temporaryFolder();
    const meet = (name: string, other: string, answer: string) =>
      `: > ${join(meeting, name)}\nuntil [ -e ${join(meeting, other)} ]; do /bin/sleep 0.02; done\n${answer}`;
    const found = await ask(docker, {
      docker: meet('docker', 'runsc', json({ ...INFO, Runtimes: { runsc: { path: 'runsc' } } })),
      runsc: meet('runsc', 'docker', printing({ stdout: 'runsc version 1.0' })),
    });
    expect(found).toMatchObject({ facts: { runscVersion: '1.0' } });
  });

  test('the default runtime is no variant, whichever it is', async () => {
    const found = await ask(docker, {
      docker: json({ ...INFO, DefaultRuntime: 'crun', Runtimes: { runc: {}, crun: {} } }),
    });
    expect(found).toMatchObject({
      facts: { runtime: 'crun' },
      variants: [{ id: 'runc', isolation: 'container' }],
    });
  });

  test.each(['tcp://10.0.0.2:2376', 'ssh://user@build-machine', 'https://10.0.0.2'])(
    'a daemon on another machine cannot mount a workspace of this one: %s',
    async (address) => {
      const found = await ask(docker, { docker: json(INFO) }, { env: { DOCKER_HOST: address } });
      expect(found).toMatchObject({
        status: 'unconfigured',
        reason: expect.stringContaining('another machine'),
        hint: 'unset DOCKER_HOST',
      });
      expect(JSON.stringify(found)).not.toContain('user@');
    },
  );

  test.each([
    ['tcp://10.0.0.7:2376', 'in the shell', 'unset DOCKER_CONTEXT'],
    ['ssh://me@builder', 'in the settings', 'docker context use default'],
    ['unix:///run/user/1000/docker.sock', 'in the settings', undefined],
  ])(
    'a context of the client is judged by its address, as DOCKER_HOST is: %s, chosen %s',
    async (Host, where, hint) => {
      const folder = temporaryFolder();
      const meta = join(
        folder,
        'contexts/meta',
        createHash('sha256').update('theirs').digest('hex'),
      );
      mkdirSync(meta, { recursive: true });
      writeFileSync(
        join(meta, 'meta.json'),
        JSON.stringify({ Name: 'theirs', Endpoints: { docker: { Host } } }),
      );
      writeFileSync(
        join(folder, 'config.json'),
        JSON.stringify(where === 'in the settings' ? { currentContext: 'theirs' } : {}),
      );
      const env = {
        DOCKER_CONFIG: folder,
        ...(where === 'in the shell' ? { DOCKER_CONTEXT: 'theirs' } : {}),
      };
      const found = await ask(docker, { docker: json(INFO) }, { env });
      if (hint === undefined) expect(found.status).toBe('ready');
      else
        expect(found).toMatchObject({
          status: 'unconfigured',
          reason: expect.stringContaining('the Docker context theirs is another machine'),
          hint,
        });
    },
  );

  test('another socket of this machine is no other machine', async () => {
    const found = await ask(
      docker,
      { docker: json(INFO) },
      { env: { DOCKER_HOST: 'unix:///run/user/1000/docker.sock' } },
    );
    expect(found.status).toBe('ready');
  });

  /**
   * What Podman 4.3 prints for the same command, shortened; nothing of it need have Podman's name
   * in it.
   */
  const PODMAN = {
    host: { buildahVersion: '1.28.2', ociRuntime: { name: 'crun' }, security: { rootless: true } },
    store: { graphDriverName: 'overlay', graphRoot: '/var/lib/containers/storage' },
    version: { APIVersion: '4.3.1', Version: '4.3.1' },
  };

  test.each([
    ['in its JSON', json(PODMAN)],
    [
      'in its greeting',
      printing({
        stdout: JSON.stringify(PODMAN),
        stderr: 'Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.',
      }),
    ],
    [
      'while it fails',
      printing({ stderr: 'Emulate Docker CLI using podman.\nError: cannot connect', code: 125 }),
    ],
  ])('a docker command that is really Podman says so %s', async (_where, script) => {
    expect(await ask(docker, { docker: script })).toEqual({
      status: 'absent',
      reason: 'the docker command here is really Podman',
      hint: 'cagematch run podman',
    });
  });

  test('a real Docker client that was pointed at a socket of Podman is not Podman', async () => {
    const message =
      'Cannot connect to the Docker daemon at unix:///run/user/1000/podman/podman.sock. Is the docker daemon running?';
    const script = printing({ stdout: JSON.stringify(NO_DAEMON), stderr: message, code: 1 });
    expect(await ask(docker, { docker: script })).toMatchObject({
      status: 'broken',
      reason: expect.stringContaining(message),
    });
  });

  test('something that prints no sense is broken, in its own words', async () => {
    const found = await ask(docker, {
      docker: printing({ stdout: 'segmentation fault', code: 139 }),
    });
    expect(found).toMatchObject({
      status: 'broken',
      reason: expect.stringContaining('segmentation fault'),
    });
    expect(await ask(docker, { docker: 'exit 0' })).toMatchObject({ status: 'broken' });
    expect(await ask(docker, { docker: printing({ stdout: 'null' }) })).toMatchObject({
      status: 'broken',
    });
  });
});

describe('podman', () => {
  const INFO = {
    host: {
      security: { rootless: false },
      serviceIsRemote: false,
      ociRuntime: { name: 'runc' },
      cgroupVersion: 'v1',
      networkBackend: 'netavark',
    },
    store: { graphDriverName: 'overlay' },
    version: { Version: '4.3.1' },
  };

  test('without the command it is absent, with the hint of the platform', async () => {
    expect(await ask(podman, {})).toEqual({
      status: 'absent',
      reason: 'no podman command on PATH',
      hint: 'sudo apt-get install podman',
    });
    expect(await ask(podman, {}, { platform: 'darwin' })).toMatchObject({
      hint: 'brew install podman',
    });
  });

  test('one that fails is broken, in its own words', async () => {
    const script = printing({
      stderr: 'Error: default OCI runtime "crun" not found: invalid argument',
      code: 125,
    });
    expect(await ask(podman, { podman: script })).toMatchObject({
      status: 'broken',
      reason:
        'podman does not answer: Error: default OCI runtime "crun" not found: invalid argument',
    });
    expect(await ask(podman, { podman: script }, { platform: 'darwin' })).toMatchObject({
      hint: 'podman machine start',
    });
  });

  test('one that prints no JSON is broken', async () => {
    expect(await ask(podman, { podman: printing({ stdout: 'host: {}' }) })).toMatchObject({
      status: 'broken',
      reason: 'podman info printed no JSON',
    });
  });

  test('one that answers is ready, and says whether it is rootless', async () => {
    expect(await ask(podman, { podman: json(INFO) })).toMatchObject({
      status: 'ready',
      version: '4.3.1',
      facts: {
        rootless: false,
        remote: false,
        runtime: 'runc',
        storage: 'overlay',
        cgroup: 'v1',
        rootlessNetwork: 'slirp4netns',
      },
      variants: [],
    });
    const rootless = {
      ...INFO,
      host: { ...INFO.host, security: { rootless: true }, rootlessNetworkCmd: 'pasta' },
    };
    expect(await ask(podman, { podman: json(rootless) })).toMatchObject({
      facts: { rootless: true, rootlessNetwork: 'pasta' },
    });
  });

  const OCI = ['crun', 'youki', 'runsc', 'krun', 'kata'] as const;
  const ISOLATION = {
    crun: 'container',
    youki: 'container',
    runsc: 'user-kernel',
    krun: 'microvm',
    kata: 'microvm',
  };
  /** A settings file of the test's own; Podman then reads no other. */
  const settings = (text: string) => {
    const file = join(temporaryFolder(), 'containers.conf');
    writeFileSync(file, text);
    return { env: { CONTAINERS_CONF: file } };
  };
  const versionOf = (name: string) => printing({ stdout: `${name} version 1.7\ncommit: 0.9` });

  test.each(OCI)('%s on PATH is a variant on request, with its version', async (id) => {
    const found = await ask(podman, { podman: json(INFO), [id]: versionOf(id) }, settings(''));
    expect(found).toMatchObject({
      variants: [{ id, isolation: ISOLATION[id], onRequest: true }],
      facts: { [`${id}Version`]: '1.7' },
    });
    const asDefault = { ...INFO, host: { ...INFO.host, ociRuntime: { name: id } } };
    expect(
      await ask(podman, { podman: json(asDefault), [id]: versionOf(id) }, settings('')),
    ).toMatchObject({
      variants: [],
      ...(ISOLATION[id] === 'container' ? {} : { isolation: ISOLATION[id] }),
    });
  });

  test.each(OCI)(
    '%s that Podman’s settings name is a variant that needs not be asked for, where its program is',
    async (id) => {
      const programs = fakeCommands({ [`my-${id}`]: versionOf(id) });
      const text = `[engine]\nruntime = "runc"\n[engine.runtimes] # mine\n${id} = [\n  "/no/such/program", # old\n  "${join(programs, `my-${id}`)}",\n]\n#gone = ["${programs}/my-${id}"]\n[machine]\ncpus=1\nother = ["${programs}/my-${id}"]\n`;
      const found = await ask(podman, { podman: json(INFO) }, settings(text));
      expect(found).toMatchObject({
        variants: [{ id, isolation: ISOLATION[id] }],
        facts: { [`${id}Version`]: '1.7' },
      });
      expect(found).toHaveProperty('variants.length', 1);
      expect(found).not.toHaveProperty('variants.0.onRequest');
      const gone = settings(`[engine.runtimes]\n${id} = ["/no/such/program"]`);
      expect(await ask(podman, { podman: json(INFO) }, gone)).toMatchObject({ variants: [] });
    },
  );

  test('one that the settings give another name is what its program is', async () => {
    const programs = fakeCommands({ krun: versionOf('krun') });
    const found = await ask(
      podman,
      { podman: json(INFO) },
      settings(`[engine.runtimes]\nsmall = ['${join(programs, 'krun')}']`),
    );
    expect(found).toMatchObject({
      variants: [{ id: 'small', isolation: 'microvm', mainProcessOnly: true }],
      facts: { smallVersion: '1.7' },
    });
  });

  test('the settings of a folder of more, and of an ordinary user, are read as Podman reads them', async () => {
    const home = temporaryFolder();
    const programs = fakeCommands({ youki: versionOf('youki'), krun: versionOf('krun') });
    mkdirSync(join(home, '.config/containers/containers.conf.d'), { recursive: true });
    writeFileSync(
      join(home, '.config/containers/containers.conf'),
      `[engine.runtimes]\nyouki = ["${programs}/youki"]`,
    );
    writeFileSync(
      join(home, '.config/containers/containers.conf.d/10.conf'),
      `[engine.runtimes]\nkrun = ["${programs}/krun"]`,
    );
    const ids = async (uid: number) => {
      const found = await ask(podman, { podman: json(INFO) }, { uid, env: { HOME: home } });
      return (
        found.status === 'ready' &&
        found.variants?.map((item) => item.id).filter((item) => item === 'youki' || item === 'krun')
      );
    };
    expect(await ids(1000)).toEqual(['youki', 'krun']);
    expect(await ids(0)).toEqual([]);
  });

  test('a Podman of another machine has that one’s runtimes, which are not looked for here', async () => {
    const remote = { ...INFO, host: { ...INFO.host, serviceIsRemote: true } };
    expect(
      await ask(podman, { podman: json(remote), krun: versionOf('krun') }, settings('')),
    ).toMatchObject({ variants: [] });
  });

  test.each([
    [
      'kata',
      { versions: { kata: '3.2.0' } },
      'kata 3.2.0 has no OCI command line, which Podman needs: since 2.0 Kata is a shim of containerd',
    ],
    [
      'strong',
      { versions: { strong: '2.5.2' }, otherNames: { strong: 'kata' } },
      'strong 2.5.2 has no OCI command line',
    ],
    [
      'kata',
      { versions: { kata: '1.12.1' }, rootless: true },
      'kata makes its virtual machines as root: rootless Podman cannot use it',
    ],
  ])(
    '%s is refused before anything is built, where it cannot work: %j',
    async (variant, state, message) => {
      const ctx = modeContext('podman', { variant, state: podmanState(state) });
      await expect(podman.prepare(ctx)).rejects.toMatchObject({
        code: 'not-ready',
        message: expect.stringContaining(message),
      });
    },
  );

  test('it says what it rests on, and what its rootless user’s Podman keeps its images in', async () => {
    const info = {
      ...INFO,
      host: {
        ...INFO.host,
        ociRuntime: { name: 'crun', version: 'crun version 1.8.1\ncommit: f8a096be\nspec: 1.0.0' },
        conmon: { version: 'conmon version 2.1.6, commit: unknown' },
      },
    };
    const programs = {
      podman: json(info),
      setpriv: printing({
        stderr:
          'time="…" level=debug msg="Using graph driver "\ntime="…" level=debug msg="[graphdriver] using prior storage driver: vfs"',
      }),
      runc: printing({ stdout: 'runc version 1.1.5+ds1' }),
    };
    const found = await ask(podman, programs, {
      uid: 0,
      env: { CAGEMATCH_ROOTLESS_USER: 'nobody' },
    });
    expect(found).toMatchObject({
      facts: {
        crunVersion: '1.8.1',
        conmonVersion: '2.1.6',
        runcVersion: '1.1.5+ds1',
        storage: 'overlay',
        rootlessStorage: 'vfs',
      },
    });
    expect(await ask(podman, { podman: json(INFO) })).not.toHaveProperty('facts.conmonVersion');
  });

  test('root with a rootless user has the variant, where that user’s Podman answers', async () => {
    const given = { uid: 0, env: { CAGEMATCH_ROOTLESS_USER: 'nobody' } };
    const asUser = await ask(
      podman,
      {
        podman: json(INFO),
        setpriv: printing({ stderr: 'level=debug msg="Using graph driver overlay"' }),
      },
      given,
    );
    expect(asUser).toMatchObject({
      facts: { rootlessStorage: 'overlay' },
      variants: [{ id: 'rootless', isolation: 'container' }],
    });
    const silent = await ask(podman, { podman: json(INFO), setpriv: printing({}) }, given);
    expect(silent).toMatchObject({
      facts: { rootlessStorage: 'unknown' },
      variants: [{ id: 'rootless' }],
    });
    const broken = printing({ stderr: 'cannot find newuidmap', code: 125 });
    expect(await ask(podman, { podman: json(INFO), setpriv: broken }, given)).toMatchObject({
      status: 'ready',
      variants: [],
    });
    const unknown = { uid: 0, env: { CAGEMATCH_ROOTLESS_USER: 'no-such-user' } };
    expect(await ask(podman, { podman: json(INFO), setpriv: json(INFO) }, unknown)).toMatchObject({
      status: 'ready',
      variants: [],
    });
  });
});

describe.each([docker, podman])('a runtime of virtual machines, of $id', (mode) => {
  /** Virtual machines of another kernel have their own devices. */
  const ELSEWHERE = { desktop: true, remote: true };

  test('is refused where this machine has no device for them, and goes on to its image where it has, or another has to', async () => {
    const prepared = (overrides: object) =>
      mode
        .prepare(
          modeContext(mode.id, {
            uid: 0,
            variant: 'krun',
            state: { ...dockerState(), ...podmanState(), ...overrides },
          }),
        )
        .catch((error) => error);
    const here = await prepared({});
    const asksForItsImage = { message: expect.stringContaining('cagematch-runner:') };
    if (existsSync('/dev/kvm')) expect(here).toMatchObject(asksForItsImage);
    else
      expect(here).toMatchObject({
        code: 'not-ready',
        message: expect.stringContaining('krun needs /dev/kvm'),
      });
    expect(await prepared(ELSEWHERE)).toMatchObject(asksForItsImage);
  });
});

describe('incus', () => {
  const SERVER = {
    auth: 'trusted',
    environment: {
      server_version: '6.0.4',
      driver: 'lxc',
      storage: 'dir',
      kernel_features: { idmapped_mounts: 'true' },
    },
  };

  test('without the command it is absent', async () => {
    expect(await ask(incus, {})).toMatchObject({
      status: 'absent',
      reason: 'no incus command on PATH',
    });
  });

  test('a server that does not run is broken, in its own words', async () => {
    const message =
      "Error: The incus daemon doesn't appear to be started (socket path: /var/lib/incus/unix.socket)";
    expect(await ask(incus, { incus: printing({ stderr: message, code: 1 }) })).toMatchObject({
      status: 'broken',
      reason: `the Incus daemon does not answer: ${message}`,
      hint: expect.stringContaining('systemctl start incus'),
    });
  });

  test('a server that does not trust this user is unconfigured', async () => {
    expect(await ask(incus, { incus: json({ auth: 'untrusted' }) })).toEqual({
      status: 'unconfigured',
      reason: 'the Incus daemon does not trust this user',
      hint: 'sudo adduser $USER incus-admin',
    });
  });

  test('one that answers is ready; where its driver knows QEMU, a virtual machine is a variant', async () => {
    expect(await ask(incus, { incus: json(SERVER) })).toEqual({
      status: 'ready',
      version: '6.0.4',
      facts: { driver: 'lxc', storage: 'dir', idmappedMounts: true },
      variants: [],
    });
    const environment = {
      ...SERVER.environment,
      driver_version: '5.0.2',
      storage: 'zfs',
      storage_version: '2.1.11',
    };
    expect(await ask(incus, { incus: json({ ...SERVER, environment }) })).toMatchObject({
      facts: { driverVersion: '5.0.2', storage: 'zfs', storageVersion: '2.1.11' },
    });
    const both = { ...SERVER, environment: { ...SERVER.environment, driver: 'lxc | qemu' } };
    expect(await ask(incus, { incus: json(both) })).toMatchObject({
      variants: [{ id: 'vm', isolation: 'microvm' }],
    });
  });

  const MEMBERS = [
    { server_name: 'm1', status: 'Online', message: 'Fully operational' },
    { server_name: 'm2', status: 'Offline', message: 'No heartbeat for 24 s' },
  ];
  const clustered = {
    ...SERVER,
    auth_user_method: 'tls',
    environment: { ...SERVER.environment, server_name: 'm1', server_clustered: true },
  };
  /** An incus that answers by what is asked for. */
  const answering = (members: unknown) =>
    `case "$2" in */members*) printf %s ${quoted(JSON.stringify(members))} ;; *) printf %s ${quoted(JSON.stringify(clustered))} ;; esac`;

  test('a cluster is ready with its members, and which of them are offline; it has no files of this host', async () => {
    expect(await ask(incus, { incus: answering(MEMBERS) })).toMatchObject({
      status: 'ready',
      facts: { members: 'm1 m2 (offline)', far: true, server: 'm1' },
      elsewhere: true,
    });
  });

  test('a cluster of one, at its own socket, is a server like any other', async () => {
    const local = { ...clustered, auth_user_method: 'unix' };
    const body = `case "$2" in */members*) printf %s ${quoted(JSON.stringify(MEMBERS.slice(0, 1)))} ;; *) printf %s ${quoted(JSON.stringify(local))} ;; esac`;
    const found = await ask(incus, { incus: body });
    expect(found).not.toHaveProperty('elsewhere');
    expect(found).toMatchObject({
      status: 'ready',
      facts: expect.not.objectContaining({ members: expect.anything() }),
    });
  });

  test('a server that was reached over TLS is elsewhere, clustered or not', async () => {
    const remote = {
      ...SERVER,
      auth_user_method: 'tls',
      environment: { ...SERVER.environment, server_name: 'far' },
    };
    expect(await ask(incus, { incus: json(remote) })).toMatchObject({
      elsewhere: true,
      facts: { far: true, server: 'far' },
    });
  });

  test('so is every server for a Mac, at whichever socket: it runs in a Linux of its own', async () => {
    const programs = { incus: json({ ...SERVER, auth_user_method: 'unix' }) };
    const env = { CAGEMATCH_INCUS_IMAGE: 'ghcr:me/cagematch-runner:1' };
    expect(await ask(incus, programs, { platform: 'darwin', env })).toMatchObject({
      status: 'ready',
      elsewhere: true,
    });
    expect(await ask(incus, programs, { platform: 'darwin' })).toMatchObject({
      status: 'unconfigured',
      reason: expect.stringContaining('do not run on Linux'),
      hint: expect.stringContaining('CAGEMATCH_INCUS_IMAGE='),
    });
  });

  test('on a Mac without the command, and with it but no server, the hint is the virtual machine that Incus needs there', async () => {
    expect(await ask(incus, {}, { platform: 'darwin' })).toMatchObject({
      status: 'absent',
      hint: expect.stringContaining('colima start --runtime incus'),
    });
    const silent = printing({
      stderr: "Error: The incus daemon doesn't appear to be started",
      code: 1,
    });
    expect(await ask(incus, { incus: silent }, { platform: 'darwin' })).toMatchObject({
      status: 'broken',
      hint: expect.stringMatching(/colima start.*limactl start/),
    });
  });

  test('a remote that is not there, does not answer, or does not trust this client: each with what to type', async () => {
    const env = { INCUS_REMOTE: 'far' };
    const unknown = printing({ stderr: 'Error: The remote "far" doesn\'t exist', code: 1 });
    expect(await ask(incus, { incus: unknown }, { env })).toMatchObject({
      status: 'broken',
      reason: 'the Incus client has no remote far',
      hint: 'incus remote list',
    });
    const refused = printing({
      stderr: 'Error: Get "https://10.0.0.1:8443/1.0": connect: connection refused',
      code: 1,
    });
    expect(await ask(incus, { incus: refused }, { env })).toMatchObject({
      status: 'broken',
      hint: 'incus remote list; incus query far:/1.0',
    });
    expect(
      await ask(incus, { incus: json({ auth: 'untrusted', auth_user_method: 'tls' }) }, { env }),
    ).toMatchObject({
      status: 'unconfigured',
      reason: 'the Incus daemon does not trust this client',
      hint: expect.stringContaining('incus config trust add'),
    });
  });
});

describe('native', () => {
  const TOOLS = { bwrap: 'exit 0', socat: 'exit 0', rg: 'exit 0' };
  const WORKS = printing({ stdout: '0.0.78' });
  const given = { agentBinary: '/somewhere/claude' };

  test('without bubblewrap and its like it is absent on Linux, with one line that installs what is missing', async () => {
    expect(await ask(native, { srt: WORKS, rg: 'exit 0' }, given)).toEqual({
      status: 'absent',
      reason: 'srt needs bwrap, socat, not on PATH',
      hint: 'sudo apt-get install bubblewrap socat',
    });
    expect(
      await ask(native, { srt: WORKS, bwrap: 'exit 0', socat: 'exit 0' }, given),
    ).toMatchObject({
      hint: 'sudo apt-get install ripgrep',
    });
  });

  test('it says which bubblewrap it rests on', async () => {
    const bwrap = printing({ stdout: 'bubblewrap 0.8.0' });
    expect(await ask(native, { ...TOOLS, bwrap, srt: WORKS }, given)).toMatchObject({
      facts: { bubblewrapVersion: '0.8.0' },
    });
  });

  test('macOS needs none of them', async () => {
    expect(await ask(native, { srt: WORKS }, { ...given, platform: 'darwin' })).toMatchObject({
      status: 'ready',
      version: '0.0.78',
    });
  });

  test('without srt, or without the agent, it is unconfigured', async () => {
    const nowhere = { ...given, packageRoot: temporaryFolder() };
    expect(await ask(native, TOOLS, nowhere)).toMatchObject({
      status: 'unconfigured',
      reason: 'the srt command is not installed',
    });
    const noAgent = await ask(native, { ...TOOLS, srt: WORKS }, { agentBinary: undefined });
    expect(noAgent).toMatchObject({
      status: 'unconfigured',
      reason: expect.stringContaining('agent CLI'),
      hint: expect.stringContaining('npm'),
    });
  });

  test('an srt that cannot put up its walls is broken, in its own words', async () => {
    const message = 'bwrap: setting up uid map: Permission denied';
    const srt = `case $1 in --version) echo 0.0.78;; *) echo '${message}' >&2; exit 1;; esac`;
    expect(await ask(native, { ...TOOLS, srt }, given)).toMatchObject({
      status: 'broken',
      reason: `srt cannot run a command: ${message}`,
      hint: expect.stringContaining('apparmor_restrict_unprivileged_userns'),
    });
  });

  test.skipIf(process.getuid?.() !== 0)(
    'for root it is another user, where he can run the agent and put up the walls',
    async () => {
      const root = { ...given, agentBinary: '/bin/sh', uid: 0 };
      const works = 'case $1 in --version) echo 0.0.78;; *) eval "$2";; esac';
      // Whether this very Node can be reached by him is the machine's business.
      expect(await ask(native, { ...TOOLS, srt: WORKS }, root)).toMatchObject({
        status: 'ready',
        facts: { uid: nobodysUser().uid },
      });
      const onlyRoot = await ask(
        native,
        { ...TOOLS, srt: works },
        { ...root, agentBinary: '/root/no-such-claude' },
      );
      expect(onlyRoot).toMatchObject({
        status: 'ready',
        facts: expect.not.objectContaining({ uid: nobodysUser().uid }),
      });
      const refused = await ask(
        native,
        { ...TOOLS, srt: `[ "$(/usr/bin/id -u)" = 0 ] || exit 1; ${works}` },
        root,
      );
      expect(refused).toMatchObject({
        status: 'ready',
        facts: expect.not.objectContaining({ uid: nobodysUser().uid }),
      });
      expect(await ask(native, { ...TOOLS, srt: WORKS }, { ...root, uid: 1001 })).toMatchObject({
        facts: expect.not.objectContaining({ uid: nobodysUser().uid }),
      });
    },
  );

  test('is tried out with a home of its own: settings of the user have no say', async () => {
    const srt =
      'case $1 in --version) echo 0.0.78;; *) [ "$HOME" != /home/of-the-user ] && [ -d "$HOME" ];; esac';
    expect(
      await ask(native, { ...TOOLS, srt }, { ...given, env: { HOME: '/home/of-the-user' } }),
    ).toMatchObject({ status: 'ready' });
  });
});

describe('host', () => {
  test('is ready where the agent is installed, and says how to install it where not', async () => {
    expect(await ask(host, {}, { agentBinary: '/somewhere/claude' })).toMatchObject({
      status: 'ready',
      version: process.version,
    });
    expect(await ask(host, {}, { agentBinary: undefined })).toEqual({
      status: 'unconfigured',
      reason: 'the agent CLI is not installed for this platform',
      hint: 'npm install --include=optional',
    });
  });
});

describe('all modes together', () => {
  test('a mode that is not for this platform is absent, and is not asked', async () => {
    const detect = vi.fn(incus.detect);
    const [found] = await detectAll([{ ...incus, platforms: ['linux'], detect }], () =>
      modeContext('incus', { platform: 'darwin' }),
    );
    expect(found?.detection).toEqual({
      status: 'absent',
      reason: 'Incus does not run on darwin',
      hint: 'use a machine with linux',
    });
    expect(detect).not.toHaveBeenCalled();
  });

  test.each([
    ['throws', () => Promise.reject(new Error('first line\nsecond line'))],
    [
      'throws at once',
      () => {
        throw new Error('first line\nsecond line');
      },
    ],
  ])(
    'a mode whose detect %s is broken, in one line, and the others are answered',
    async (_how, detect) => {
      const found = await detectAll([{ ...host, id: 'faulty', detect }, host], (mode) =>
        modeContext(mode.id, { agentBinary: '/somewhere' }),
      );
      expect(found.map(({ mode, detection }) => [mode.id, detection.status])).toEqual([
        ['faulty', 'broken'],
        ['host', 'ready'],
      ]);
      expect(found[0]?.detection).toMatchObject({ reason: 'first line' });
    },
  );

  test('they are asked at once: each may wait for the others', async () => {
    const meeting = temporaryFolder();
    const all = ['docker', 'podman', 'incus'];
    const arrive = (name: string, answer: string) =>
      [
        `: > ${join(meeting, name)}`,
        ...all.map((other) => `until [ -e ${join(meeting, other)} ]; do /bin/sleep 0.02; done`),
        answer,
      ].join('\n');
    const PATH = fakeCommands({
      docker: arrive('docker', json({ ServerVersion: '1' })),
      podman: arrive('podman', json({ version: { Version: '1' } })),
      incus: arrive('incus', json({ auth: 'trusted' })),
    });
    const found = await detectAll([docker, podman, incus], (mode) =>
      modeContext(mode.id, { env: { PATH } }),
    );
    expect(found.map(({ detection }) => detection.status)).toEqual(['ready', 'ready', 'ready']);
  });

  test('one that hangs is given up at the bound, with the others answered, and what it started is ended', async () => {
    const pids = temporaryFolder();
    const hang = (name: string) => `echo $$ > ${join(pids, name)}\nexec /bin/sleep 60`;
    const PATH = fakeCommands({
      docker: hang('docker'),
      podman: hang('podman'),
      incus: hang('incus'),
      srt: hang('srt'),
      bwrap: '',
      socat: '',
      rg: '',
    });
    const BOUND_MS = 1000;
    const startedMs = performance.now();
    const found = await detectAll(
      [docker, podman, incus, native, host],
      (mode) => modeContext(mode.id, { env: { PATH }, agentBinary: '/somewhere/claude' }),
      BOUND_MS,
    );
    expect(performance.now() - startedMs).toBeLessThan(2 * BOUND_MS);
    expect(found.map(({ mode, detection }) => [mode.id, detection.status])).toEqual([
      ['docker', 'broken'],
      ['podman', 'broken'],
      ['incus', 'broken'],
      ['native', 'broken'],
      ['host', 'ready'],
    ]);
    expect(found[0]?.detection).toEqual({
      status: 'broken',
      reason: 'no answer within 1 s',
      hint: 'restart its daemon',
    });
    for (const name of ['docker', 'podman', 'incus', 'srt'])
      await vi.waitFor(() =>
        expect(isRunning(pidIn(join(pids, name))), `${name} still runs`).toBe(false),
      );
  });

  test('a stand-in says so in its version', () => {
    expect(isStandIn({ status: 'ready', version: '28.0 (stand-in)', facts: {} })).toBe(true);
    expect(isStandIn({ status: 'ready', version: '28.0', facts: {} })).toBe(false);
    expect(isStandIn({ status: 'absent', reason: 'a stand-in', hint: '' })).toBe(false);
  });
});
