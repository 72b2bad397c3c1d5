// `clean` after a match that was killed: it names and removes all that is left of it, and nothing
// of a match that lives.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { identifier, thisPlace } from '../../lib/os/harness-id.js';
import { parseEvents } from '../../lib/report/report.js';
import { contextOf, findTargets } from '../support/conformance/targets.js';
import { fakeCommands } from '../support/fake-commands.js';
import {
  buildHouse,
  cagematch,
  type House,
  standSomewhere,
  startCagematch,
} from '../support/house.js';
import { isRunning } from '../support/processes.js';
import { openStandIn } from '../support/stand-ins/stand-in.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Of a harness that has ended: 2^22 is above every pid. */
const DEAD = identifier(2 ** 22 + 1);
const FOREIGN = identifier(process.pid, { ...thisPlace(), pidNamespace: '4026532000' });

const { targets } = await findTargets();
const wanted = ['docker', 'podman', 'host'];
const real = targets.filter(
  (target) => target.real && target.variant === undefined && wanted.includes(target.mode.id),
);

async function until<T>(seen: () => T | undefined | false): Promise<T> {
  const deadline = Date.now() + 40_000;
  for (;;) {
    const found = seen();
    if (found) return found;
    if (Date.now() > deadline) throw new Error('never happened');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The mode again, with an agent that hangs: the sandbox is up and stays so. */
const HANGING = (mode: string) => `
import mode from './${mode}.js';
import type { Command } from '../lib/contract.js';

const hanging = (command: Command): Command => ({ ...command, argv: ['/bin/sh', '-c', 'echo up; exec sleep 300'] });
export default {
  ...mode,
  id: 'hanging-${mode}',
  launch: (ctx: never, spec: { command?: Command }) =>
    mode.launch(ctx, { ...spec, ...(spec.command ? { command: hanging(spec.command) } : {}) } as never),
};
`;

let house: House;
beforeAll(async () => {
  house = await buildHouse(
    Object.fromEntries(wanted.map((mode) => [`modes/hanging-${mode}.ts`, HANGING(mode)])),
  );
}, 120_000);
afterAll(() => house.close());

/**
 * A match whose agent hangs, up to where it works. It has a folder for temporary files of its own:
 * other matches' are not looked at.
 */
async function begin(mode: string, env: Record<string, string>) {
  const place = standSomewhere();
  const tmp = join(place.cwd, 'tmp');
  mkdirSync(tmp, { mode: 0o777 });
  const child = startCagematch(
    house,
    ['run', `hanging-${mode}`, '--runs', '1', '--model', 'replay'],
    {
      cwd: place.cwd,
      env: { ...env, TMPDIR: tmp },
    },
  );
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child;
    // A test that did not come to its end.
    if (readdirSync(tmp).length > 0)
      await cagematch(house, ['clean', `hanging-${mode}`], {
        cwd: place.cwd,
        env: { ...env, TMPDIR: tmp },
      });
    place.close();
  });
  const results = join(place.cwd, 'results');
  // The folder is there a moment before the record in it.
  const match = await until(
    () =>
      existsSync(results) &&
      readdirSync(results).find((name) => existsSync(join(results, name, 'events.jsonl'))),
  );
  const events = () => parseEvents(readFileSync(join(results, match, 'events.jsonl'), 'utf8'));
  await until(() => events().some((event) => event.type === 'phase' && event.phase === 'work'));
  return {
    match,
    tmp,
    async kill() {
      child.kill('SIGKILL');
      await child;
    },
    clean: (...args: string[]) =>
      cagematch(house, ['clean', ...args], { cwd: place.cwd, env: { ...env, TMPDIR: tmp } }),
  };
}

const PATHS = (env: Record<string, string>) =>
  Object.fromEntries(
    ['DOCKER_HOST', 'CONTAINERS_CONF', 'CAGEMATCH_BASE_IMAGE', 'HOME'].flatMap((name) =>
      env[name] === undefined ? [] : [[name, env[name]]],
    ),
  );

describe.each(real.length > 0 ? real : [undefined])('a match of $name', (target) => {
  it.skipIf(target === undefined)(
    'that lives keeps all it has; killed, it is cleaned up after, and then nothing is left',
    async () => {
      if (!target) return;
      const given = contextOf(target, 'none').ctx;
      const ctx = { ...given, labels: { ...given.labels, mode: `hanging-${target.mode.id}` } };
      const { match, kill, clean, tmp } = await begin(
        target.mode.id,
        PATHS(target.env) as Record<string, string>,
      );
      const lines = async (...args: string[]) => (await clean(...args)).stdout.split('\n');
      const ours = (all: string[]) =>
        all.filter((line) => line.includes(match) || line.includes(tmp));

      expect(ours(await lines('--dry-run')), 'it lives').toEqual([]);
      expect((await target.mode.list(ctx)).some(({ labels }) => labels.match === match)).toBe(true);
      await kill();
      const shown = ours(await lines('--dry-run'));
      expect(
        shown.some((line) => line.startsWith(`would remove folder ${tmp}/cagematch-run-`)),
        shown.join('\n'),
      ).toBe(true);
      // Whoever else cleans up on this machine may have been quicker: what is there now was there
      // then.
      for (const listed of await target.mode.list(ctx))
        if (listed.labels.match === match)
          expect(
            // Both list it where they share a runtime: the mode, and the one that hangs.
            new Set(
              shown.filter((line) => line.startsWith(`would remove ${listed.kind} ${listed.id} (`)),
            ).size,
            shown.join('\n'),
          ).toBeGreaterThan(0);
      expect(
        readdirSync(tmp).some((name) => name.startsWith('cagematch-run-')),
        'only shown',
      ).toBe(true);

      const removed = ours(await lines());
      expect(
        removed.some((line) => line.startsWith(`removed folder ${tmp}/cagematch-run-`)),
        removed.join('\n'),
      ).toBe(true);
      expect(ours(await lines('--dry-run')), 'the second time').toEqual([]);
      expect((await target.mode.list(ctx)).filter(({ labels }) => labels.match === match)).toEqual(
        [],
      );
      expect(readdirSync(tmp).filter((name) => name.startsWith('cagematch-'))).toEqual([]);
    },
    120_000,
  );
});

describe('with a runtime of its own (stand-in)', () => {
  async function store() {
    const standIn = await openStandIn('docker');
    onTestFinished(() => standIn.close());
    const tmp = temporaryFolder();
    const env = { ...standIn.env, TMPDIR: tmp };
    return {
      tmp,
      env,
      docker: (...args: string[]) => execa('docker', args, { env, extendEnv: false }),
      clean: (...args: string[]) =>
        cagematch(house, ['clean', 'docker', ...args], { cwd: tmp, env }),
    };
  }

  it('volumes and networks go with their dead owner, and those of a live one, or nobody of ours, stay', async () => {
    const { docker, clean } = await store();
    for (const kind of ['volume', 'network'])
      for (const [name, owner] of [
        ['dead', DEAD],
        ['alive', identifier(process.pid)],
      ])
        await docker(
          kind,
          'create',
          '--label',
          'cagematch.match=m1',
          '--label',
          `cagematch.owner=${owner}`,
          `${name}-${kind}`,
        );
    await docker('volume', 'create', 'theirs');
    const expected = (verb: string) =>
      ['volume', 'network'].map((kind) => `${verb} ${kind} dead-${kind} (docker, match m1)`);
    expect((await clean('--dry-run')).stdout.trim().split('\n')).toEqual(expected('would remove'));
    expect((await clean()).stdout.trim().split('\n')).toEqual(expected('removed'));
    expect(await clean()).toMatchObject({ exitCode: 0, stdout: 'nothing of ours is left\n' });
    expect((await docker('volume', 'ls', '--quiet')).stdout.split('\n').toSorted()).toEqual([
      'alive-volume',
      'theirs',
    ]);
  });

  it('what belongs to another PID namespace is named and left, until everything is asked for', async () => {
    const { docker, clean } = await store();
    const label = (owner: string) => [
      '--label',
      'cagematch.match=m1',
      '--label',
      `cagematch.owner=${owner}`,
    ];
    await docker('volume', 'create', ...label(FOREIGN), 'theirs');
    await docker('volume', 'create', ...label(identifier(process.pid)), 'alive');
    const left = 'left alone volume theirs (docker, match m1): ';
    expect((await clean()).stdout).toMatch(
      new RegExp(`^${left.replaceAll(/[()]/g, '\\$&')}.*cagematch clean --all removes it\n$`),
    );
    expect((await docker('volume', 'ls', '--quiet')).stdout.split('\n').toSorted()).toEqual([
      'alive',
      'theirs',
    ]);
    expect((await clean('--all')).stdout).toBe('removed volume theirs (docker, match m1)\n');
    expect((await clean('--all')).stdout).toBe('nothing of ours is left\n');
  });

  it('runner images of other versions go when they are asked for; the one in use now, and others’, stay', async () => {
    const { docker, clean } = await store();
    const build = (tag: string) =>
      docker('build', '--build-arg', 'AGENT_VERSION=1', '--tag', tag, process.cwd());
    const { stdout } = await execa(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `const { imageName } = await import(${JSON.stringify(join(house.root, 'dist/lib/kit/oci/image.js'))});
         const { contextFor, createKeeper } = await import(${JSON.stringify(join(house.root, 'dist/lib/sandbox/context.js'))});
         const around = { env: {}, platform: 'linux', uid: 0, match: 'none', signal: new AbortController().signal, say() {} };
         console.log(imageName(contextFor(around, createKeeper(), { id: 'docker', inputs: {} }), undefined));`,
      ],
      {},
    );
    for (const tag of [stdout, 'cagematch-runner:1.0.0-0badcafe', 'theirs:1']) await build(tag);
    expect((await clean()).stdout).toBe('nothing of ours is left\n');
    expect((await clean('--images')).stdout).toBe(
      'removed image cagematch-runner:1.0.0-0badcafe (docker, of another version)\n',
    );
    expect((await clean('--images')).stdout).toBe('nothing of ours is left\n');
    expect(
      (await docker('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}')).stdout
        .split('\n')
        .toSorted(),
    ).toEqual([stdout, 'theirs:1']);
  });
});

it('a client that has outlived its harness goes; what it has left running in a session of its own is the user’s, and stays', async () => {
  const tmp = temporaryFolder();
  const clients = join(tmp, 'cagematch-clients-1-aaaaaa');
  mkdirSync(clients);
  writeFileSync(join(clients, '.owner'), DEAD);
  // As rootless Podman leaves its pause process: forked by the client, then in a session of its
  // own.
  const argv = ['-c', "setsid -f sh -c 'echo $$; exec sleep 301'; exec sleep 300"];
  const orphan = execa('sh', argv, {
    env: { CAGEMATCH_OWNER: DEAD, TMPDIR: clients },
    detached: true,
    reject: false,
  });
  const daemon = Number(await new Promise((resolve) => orphan.stdout?.once('data', resolve)));
  onTestFinished(() => {
    orphan.kill('SIGKILL');
    process.kill(daemon, 'SIGKILL');
  });
  writeFileSync(join(clients, '.sessions'), `${orphan.pid}\n`);
  const env = { PATH: [fakeCommands({}), dirname(process.execPath)].join(':'), TMPDIR: tmp };
  const swept = await cagematch(house, ['clean'], { cwd: tmp, env });
  expect(swept.stdout).not.toContain(`pid ${daemon}\n`);
  expect([isRunning(orphan.pid ?? 0), isRunning(daemon)]).toEqual([false, true]);
  expect(existsSync(clients)).toBe(false);
});

it('a daemon with a clean environment, left by a sandbox of a harness that was killed, goes', async () => {
  if (process.platform !== 'linux') return;
  const tmp = temporaryFolder();
  const script = 'cd / && env -i /usr/bin/setsid -f /bin/sh -c "echo \\$\\$; exec sleep 302"';
  const harness = execa(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { spawn } from 'node:child_process';
       const { marked } = await import(${JSON.stringify(join(house.root, 'dist/lib/os/process-mark.js'))});
       const [file, ...args] = marked(['sh', '-c', ${JSON.stringify(script)}], 's1', process.env);
       spawn(file, args, { stdio: ['ignore', 'inherit', 'ignore'] });
       setInterval(() => {}, 1000);`,
    ],
    { reject: false },
  );
  const daemon = Number(await new Promise((resolve) => harness.stdout?.once('data', resolve)));
  onTestFinished(() => {
    harness.kill('SIGKILL');
    if (isRunning(daemon)) process.kill(daemon, 'SIGKILL');
  });
  const clean = () =>
    cagematch(house, ['clean', 'host'], {
      cwd: tmp,
      env: { PATH: process.env.PATH ?? '', TMPDIR: tmp },
    });
  expect((await clean()).stdout, 'its harness lives').not.toContain(` pid ${daemon} `);
  expect(isRunning(daemon)).toBe(true);
  // Its output does not end: the daemon has it too.
  const ended = new Promise((resolve) => harness.once('exit', resolve));
  harness.kill('SIGKILL');
  await ended;
  expect((await clean()).stdout).toContain(
    `removed process unnamed pid ${daemon} (host, match unknown)\n`,
  );
  expect(isRunning(daemon)).toBe(false);
});

it('a folder that will not go is told with what to type, and the others go on', async () => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return;
  const tmp = temporaryFolder();
  const stale = ['cagematch-run-a', 'cagematch-run-b'].map((name) => join(tmp, name));
  for (const folder of stale) {
    mkdirSync(join(folder, 'point'), { recursive: true });
    writeFileSync(join(folder, '.owner'), DEAD);
  }
  const [busy = '', other = ''] = stale;
  const mounted = await execa('mount', ['--bind', tmp, join(busy, 'point')], { reject: false });
  if (mounted.exitCode !== 0) return;
  onTestFinished(() => void execa('umount', ['--lazy', join(busy, 'point')], { reject: false }));
  // A program that cannot unmount.
  const env = {
    PATH: [
      fakeCommands({ umount: 'echo target is busy >&2; exit 32' }),
      dirname(process.execPath),
    ].join(':'),
    TMPDIR: tmp,
  };
  const refused = await cagematch(house, ['clean'], { cwd: '/', env });
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(`hint: sudo umount ${join(busy, 'point')}`);
  expect(refused.stdout).toContain(`removed folder ${other}`);
  expect([existsSync(busy), existsSync(other)]).toEqual([true, false]);
  const done = await cagematch(house, ['clean'], {
    cwd: '/',
    env: { ...env, PATH: process.env.PATH ?? '' },
  });
  expect(done.stdout).toContain(`removed mount ${join(busy, 'point')}\nremoved folder ${busy}\n`);
});
