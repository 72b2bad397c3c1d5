// Where the credential is found: on its way into every runtime that is here, and when it was leaked
// on purpose.
import { execFile, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createSeeker, needlesOf, shapesIn } from '../../lib/census/search.js';
import type { AuthPath, Command, Mode } from '../../lib/contract.js';
import { replayAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { PLACES } from '../../lib/probes/residue/list.js';
import { type Plant, probeResidue } from '../../lib/probes/residue/residue.js';
import { type Sweep, sweepSchema } from '../../lib/record/probe.js';
import { contextFor, createKeeper, type Keeper } from '../../lib/sandbox/context.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import type { PlannedRow } from '../../lib/sandbox/row.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { machineEnv } from '../support/machine-env.js';

const run = promisify(execFile);
const env = machineEnv;
const task = bundledTask('hello');
const gateway = createGateway(replayAnswer(readCassette(task.cassette)));
const keepers: Keeper[] = [];
const folders: string[] = [];
function folderFor(what: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${what}-`));
  folders.push(folder);
  return folder;
}
afterAll(async () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  await gateway.close();
  for (const keeper of keepers) await keeper.closeAll();
});

const signal = new AbortController().signal;
const registry = await loadModes();
const here = await detectAll(registry.values(), (mode) =>
  contextFor(
    { env, platform: process.platform, uid: process.getuid?.(), match: 'none', signal, say() {} },
    createKeeper(),
    mode,
  ),
);

/** Every way of a row, or those that are named. @param change replaces members of the mode */
async function swept(
  id: string,
  plant: Plant & { paths?: readonly AuthPath[]; recorded?: boolean } = {},
  change: (mode: Mode) => Partial<Mode> = () => ({}),
): Promise<Map<AuthPath, Sweep>> {
  const [name = '', variant] = id.split(':');
  const found = here.find(({ mode }) => mode.id === name);
  if (found?.detection.status !== 'ready') throw new Error(`${id} is not ready`);
  const adapter: Mode = { ...found.mode, ...change(found.mode) };
  const keeper = createKeeper();
  keepers.push(keeper);
  const match = `r${process.pid}x${keepers.length}`;
  const { runtimeState: state } = found;
  const contextOf = (_entry: PlannedRow, variables = {}) =>
    contextFor(
      {
        env: { ...env, ...variables },
        platform: process.platform,
        uid: process.getuid?.(),
        match,
        signal,
        say() {},
      },
      keeper,
      adapter,
      {
        variant,
        state,
      },
    );
  const folder = folderFor('residue');
  writeFileSync(join(folder, 'probe.jsonl'), '{"type":"probe-started"}\n');
  const entry = {
    entry: id,
    mode: name,
    variant,
    adapter,
    isolation: adapter.isolation,
  } as unknown as PlannedRow;
  const ctx = contextOf(entry);
  await adapter.prepare(ctx);
  const reach = await adapter.reach(ctx);
  const gatewayPort =
    reach.via === 'address'
      ? await gateway.listen(reach.listen).finally(() => reach.release?.())
      : undefined;
  const subject = {
    entry,
    ctx,
    reach,
    gatewayPort,
    nameOf: (tail: string) => `cagematch-${match}-${tail}`,
    signal,
    timeoutMs: 60_000,
  };
  const sweeps: Sweep[] = [];
  await probeResidue(
    subject,
    { gateway, task, contextOf, folder },
    (sweep) => sweeps.push(sweepSchema.parse(sweep)),
    {
      ...plant,
      ...(plant.recorded
        ? { after: (secret: string) => appendFileSync(join(folder, 'probe.jsonl'), `${secret}\n`) }
        : {}),
    },
  );
  return new Map(sweeps.map((sweep) => [sweep.path, sweep]));
}

const foundIn = (sweep: Sweep | undefined) =>
  sweep?.places.flatMap(({ place, verdict }) => (verdict === 'found' ? [place] : [])) ?? [];
const unseenIn = (sweep: Sweep | undefined) =>
  sweep?.places.flatMap(({ place, verdict, detail }) =>
    verdict === 'gap' ? [`${place}: ${detail}`] : [],
  ) ?? [];
const hitsAt = (sweep: Sweep | undefined, place: string) =>
  sweep?.places.find((candidate) => candidate.place === place)?.hits ?? [];

const OCI = ['docker', 'docker:runsc', 'podman', 'podman:rootless'];
const ROWS = ['host', 'native', ...OCI, 'incus'];
const ready = ROWS.filter((id) => {
  const [name, variant] = id.split(':');
  const found = here.find(({ mode }) => mode.id === name)?.detection;
  return (
    found?.status === 'ready' &&
    (variant === undefined || found.variants?.some((item) => item.id === variant))
  );
});

describe.each(ready)('%s', (id) => {
  let sweeps: Map<AuthPath, Sweep>;
  beforeAll(async () => {
    sweeps = await swept(id);
  }, 180_000);

  test('gets the credential on every way that it knows', () => {
    expect([...sweeps.values()].map(({ path, delivered }) => [path, delivered])).toEqual([
      ['gateway', 'yes'],
      ['env', 'yes'],
      ['file', 'yes'],
    ]);
  });

  test('has it nowhere when the gateway keeps it, and every place was looked at', () => {
    const sweep = sweeps.get('gateway');
    expect(foundIn(sweep)).toEqual([]);
    expect(unseenIn(sweep)).toEqual([]);
    const runtimes = ['inspect', 'logs', 'image', 'layers'];
    const own = OCI.includes(id) ? [] : id === 'incus' ? ['layers'] : runtimes;
    expect(sweep?.places.map(({ place }) => place)).toEqual(
      Object.keys(PLACES).filter((place) => !own.includes(place)),
    );
  });

  test('has a variable where every process inside can read it, and in what the container runtimes tell of the sandbox', () => {
    const rootless = id === 'podman:rootless' ? ['others-environ'] : [];
    expect(foundIn(sweeps.get('env'))).toEqual([
      ...rootless,
      ...(OCI.includes(id) ? ['inspect'] : []),
      'guest-environ',
    ]);
  });

  test('has a file inside and nowhere else: in memory, where the sandbox has files of its own', () => {
    const sweep = sweeps.get('file');
    const shares = id === 'host' || id === 'native';
    expect(foundIn(sweep)).toEqual(shares ? ['guest-files', 'run-folder'] : ['guest-files']);
    expect(hitsAt(sweep, 'guest-files').map(({ where }) => where)).toEqual([
      shares
        ? expect.stringMatching(/\/home\/\.claude\/\.credentials\.json$/)
        : '/dev/shm/cagematch-credentials.json',
    ]);
  });
});

/** The agent, and then this; `$1` is the secret, which stands in the shell's argv all the while. */
const andThen =
  (script: string) =>
  (command: Command, secret: string): Command => ({
    ...command,
    argv: ['/bin/sh', '-c', `leak=$1; shift; "$@"; ${script}`, 'sh', secret, ...command.argv],
  });

describe.skipIf(!ready.includes('host'))('a leak that was planted is found', () => {
  test('in a command line, in what is printed (as base64), in the workspace (as hex), in a history below home (URL-encoded), and on the host', async () => {
    const stray = join(folderFor('stray'), 'crash.log');
    const script = [
      'printf "x%s" "$leak" | base64 -w0; echo',
      'printf "%s" "$leak" | od -An -tx1 | tr -d " \\n" >dump.txt',
      'printf "curl -H \\"x-api-key: %s\\"\\n" "$leak" >>"$HOME/.bash_history"',
    ].join('; ');
    const sweeps = await swept('host', {
      paths: ['gateway'],
      command: andThen(script),
      before: (secret) => writeFileSync(stray, `Error: 401 for ${secret.slice(0, 60)}`),
    });
    const sweep = sweeps.get('gateway');
    expect(foundIn(sweep)).toEqual([
      'argv',
      'output',
      'guest-files',
      'workspace',
      'run-folder',
      'host-files',
    ]);
    expect(hitsAt(sweep, 'output')).toEqual([{ where: 'a line of the sandbox', shape: 'base64' }]);
    expect(hitsAt(sweep, 'workspace')).toEqual([
      { where: expect.stringMatching(/\/workspace\/dump\.txt$/), shape: 'hex' },
    ]);
    expect(hitsAt(sweep, 'run-folder')).toEqual([
      { where: expect.stringMatching(/\/home\/\.bash_history$/), shape: 'raw' },
    ]);
    expect(hitsAt(sweep, 'host-files')).toEqual([{ where: stray, shape: 'in part' }]);
  }, 60_000);

  test('in the record, and in the environment of another user’s process', async () => {
    const others: ReturnType<typeof spawn>[] = [];
    const asRoot = process.getuid?.() === 0;
    const sweeps = await swept('host', {
      paths: ['gateway'],
      recorded: true,
      before(secret) {
        if (asRoot)
          others.push(
            spawn('/bin/sleep', ['60'], { env: { LEFT: secret }, uid: 65534, gid: 65534 }),
          );
      },
    });
    for (const child of others) child.kill('SIGKILL');
    expect(foundIn(sweeps.get('gateway'))).toEqual([
      ...(asRoot ? ['others-environ'] : []),
      'record',
    ]);
  }, 60_000);
});

describe.skipIf(!ready.includes('docker'))('what Docker keeps', () => {
  test('is seen: a container’s settings and logs, an image’s history and layers', async () => {
    const image = `cagematch-leak-${process.pid}`;
    const docker = (...args: string[]) => run('docker', args, { env });
    onTestFinished(async () => void (await docker('image', 'rm', '--force', image)));
    const sweeps = await swept(
      'docker',
      {
        paths: ['gateway'],
        command: (command, secret) => ({
          ...andThen('echo "$leak"')(command, secret),
          env: { ...command.env, LEAK: secret },
        }),
      },
      (docker) => ({
        // The image that is looked at is one with the secret in a layer and in its settings.
        traces: (ctx, handle) =>
          (docker.traces?.(ctx, handle) ?? []).map((trace) =>
            trace.source === 'image' || trace.source === 'layers'
              ? { ...trace, argv: [trace.argv[0], ...trace.argv.slice(1, -1), image] }
              : trace,
          ),
        async launch(ctx, spec) {
          const secret = spec.command?.env.LEAK ?? '';
          const folder = folderFor('layer');
          writeFileSync(join(folder, 'leak.txt'), secret);
          const from = docker.runner?.(ctx) ?? '';
          const { stdout } = await run('docker', ['create', from, 'true'], { env });
          await run('docker', ['cp', join(folder, 'leak.txt'), `${stdout.trim()}:/leak.txt`], {
            env,
          });
          await run(
            'docker',
            ['commit', '--change', `LABEL leak=${secret}`, stdout.trim(), image],
            { env },
          );
          await run('docker', ['rm', stdout.trim()], { env });
          return docker.launch(ctx, spec);
        },
      }),
    );
    const found = foundIn(sweeps.get('gateway'));
    expect(found).toEqual(
      expect.arrayContaining([
        'argv',
        'output',
        'inspect',
        'logs',
        'guest-environ',
        'image',
        'layers',
      ]),
    );
  }, 120_000);
});

describe.skipIf(!ready.includes('incus'))('what Incus keeps', () => {
  test('is seen: an instance’s configuration', async () => {
    let planted = '';
    const before = (secret: string) => {
      planted = secret;
    };
    const sweeps = await swept('incus', { paths: ['gateway'], before }, (incus) => ({
      async launch(ctx, spec) {
        const launched = await incus.launch(ctx, spec);
        await run('incus', ['config', 'set', spec.name, `user.leak=${planted}`], { env });
        return launched;
      },
    }));
    expect(foundIn(sweeps.get('gateway'))).toContain('inspect');
  }, 60_000);
});

describe('a search', () => {
  const SECRET = 'sk-ant-oat01-"quoted"\\/and+more_of-it-0123456789abcdefghijklmnopqrstuvwxyz';
  const needles = needlesOf(SECRET);
  const shapes: [string, string][] = [
    ['raw', SECRET],
    ['URL-encoded', encodeURIComponent(SECRET)],
    ['JSON-escaped', JSON.stringify(SECRET).slice(1, -1)],
    ['hex', Buffer.from(SECRET).toString('hex')],
    ['base64', Buffer.from(`x${SECRET}y`).toString('base64')],
    ['base64', Buffer.from(`{"token":"${SECRET}"}`).toString('base64url')],
  ];

  test.each(shapes)('finds it %s, wherever chunks are cut', (shape, text) => {
    const bytes = Buffer.from(`before ${text} after`);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const seeker = createSeeker(needles);
      seeker.push(bytes.subarray(0, cut));
      seeker.push(bytes.subarray(cut));
      expect(seeker.found()).toContain(shape);
    }
  });

  test('finds it byte by byte', () => {
    const seeker = createSeeker(needles);
    for (const byte of Buffer.from(`before ${SECRET} after`)) seeker.push(Uint8Array.of(byte));
    expect(seeker.found()).toEqual(['raw']);
  });

  test('tells a half of it as a part, and nothing of what is not it', () => {
    expect(shapesIn(SECRET.slice(0, 50), needles)).toEqual(['in part']);
    expect(shapesIn('sk-ant-oat01-somebody-elses', needles)).toEqual([]);
  });
});
