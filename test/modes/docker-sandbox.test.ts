// The docker-sandbox mode against stand-ins for both of its command lines.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Report } from '../../lib/report/document.js';
import dockerSandbox from '../../modes/docker-sandbox.js';
import { contextOf, readAll, specOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/docker-sandbox.js';

const VARIANTS = ['sbx', 'docker sandbox'] as const;
type StandIn = Awaited<ReturnType<typeof standIn>>;

/** What the stand-in was called with, one command line a call. */
function calls(stand: StandIn): string[][] {
  const text = readFileSync(join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'argv.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function sandboxesOf(stand: StandIn, variant: (typeof VARIANTS)[number]): Promise<string> {
  const [program = '', ...args] = variant.split(' ');
  return (await execa(program, [...args, 'ls', '--quiet'], { env: stand.env, extendEnv: false }))
    .stdout;
}

describe.each(VARIANTS)('a match over %s', (variant) => {
  let stand: StandIn;
  const place = standSomewhere();
  beforeAll(async () => {
    stand = await standIn(variant);
  });
  afterAll(async () => {
    await stand.close();
    place.close();
  });

  it('passes the whole task with the real agent, live on the host, and leaves nothing', async () => {
    const args = [
      'run',
      'docker-sandbox',
      '--model',
      'replay',
      '--runs',
      '2',
      '--warmup',
      '0',
      '--out',
      join(place.cwd, 'out'),
      '--json',
      '-',
    ];
    const ran = await cagematch(ownHouse, args, { cwd: place.cwd, env: stand.env });
    expect(ran.stderr).toContain('docker-sandbox (stand-in)');
    const [row, clone] = (JSON.parse(ran.stdout) as Report).modes;
    expect(row).toMatchObject({
      standIn: true,
      n: 2,
      passed: 2,
      leftovers: [],
      sync: { in: 'yes', out: 'yes', live: 'yes' },
    });
    expect(clone).toBeUndefined();
    expect(row?.detection).toMatchObject({ status: 'ready', facts: { cli: variant } });
    expect(row?.auth).toEqual({ path: 'runtime-proxy', delivered: { gap: 'not-exercised' } });
    expect(ran.exitCode).toBe(0);
    // Which of the two, and that no live model was asked, is said with the row.
    const shown = await cagematch(
      ownHouse,
      ['report', '--format', 'markdown', '--out', join(place.cwd, 'out')],
      { cwd: place.cwd },
    );
    const circumstances = `through ${variant} v[^ ]*-stand-in( \\(deprecated, replaced by sbx\\))?, the model replayed inside the guest`;
    expect(shown.stdout).toMatch(new RegExp(`docker-sandbox \\(stand-in\\).*${circumstances}`));
    expect(await sandboxesOf(stand, variant)).not.toContain('cagematch');
    expect(
      readdirSync(join(stand.env.XDG_STATE_HOME ?? '', 'cagematch/sandboxes/docker-sandbox')),
    ).toEqual([]);
  });

  it('gave the credential by name alone, and never used `run`', () => {
    const execs = calls(stand).filter((argv) => argv.includes('exec') && argv.includes('claude'));
    expect(execs).toHaveLength(2);
    for (const argv of execs)
      expect(argv.filter((word) => word.includes('CLAUDE_CODE_OAUTH_TOKEN'))).toEqual([
        'CLAUDE_CODE_OAUTH_TOKEN',
      ]);
    expect(calls(stand).filter((argv) => argv[1] === 'run')).toEqual([]);
  });
});

describe.each(VARIANTS)('a sandbox of %s', (variant) => {
  let stand: StandIn;
  let ctx: ReturnType<typeof contextOf>;
  const spec = specOf('cagematch-20260102-030405-abcd-docker-sandbox-1');
  beforeEach(async () => {
    stand = await standIn(variant);
    ctx = contextOf('docker-sandbox', stand.env, { state: { cli: variant } });
  });
  afterEach(() => stand.close());
  afterAll(() => spec.close());

  it('tells lines, errors and the exit code of a command apart, with its environment and folder', async () => {
    const { handle } = await dockerSandbox.launch(ctx, spec);
    const script = 'echo "$PLAIN $SECRET"; pwd; echo complaint >&2; exit 7';
    const command = {
      argv: ['sh', '-c', script] as [string, ...string[]],
      env: { PLAIN: 'a b' },
      secretEnv: { SECRET: 's3cret' },
    };
    const ran = await readAll(
      dockerSandbox.exec(ctx, handle, { ...command, cwd: spec.host.workspace }),
    );
    expect(ran).toEqual({
      stdout: ['a b s3cret', spec.host.workspace],
      stderr: ['complaint'],
      end: { type: 'exit', code: 7 },
    });
    expect(JSON.stringify(calls(stand))).not.toContain('s3cret');
    await dockerSandbox.destroy(ctx, handle);
  });

  it('works where its folder really is: the guest need not know a link on the way there', async () => {
    const link = `${spec.host.workspace}-link`;
    symlinkSync(spec.host.workspace, link);
    const linked = { ...spec, host: { ...spec.host, workspace: link } };
    const { workspace } = dockerSandbox.layout(ctx, linked.host);
    const { handle } = await dockerSandbox.launch(ctx, linked);
    const created = calls(stand).find((argv) => argv.includes('create')) ?? [];
    expect([workspace, created.at(-2)]).toEqual([spec.host.workspace, spec.host.workspace]);
    await dockerSandbox.destroy(ctx, handle);
    rmSync(link);
  });

  it('is listed with its labels until it is destroyed, which may be said twice', async () => {
    const { handle } = await dockerSandbox.launch(ctx, spec);
    expect(await dockerSandbox.list(ctx)).toEqual([
      { id: spec.name, kind: 'sandbox', labels: ctx.labels, state: 'running' },
    ]);
    await dockerSandbox.destroy(ctx, handle);
    await dockerSandbox.destroy(ctx, handle);
    expect(await dockerSandbox.list(ctx)).toEqual([]);
  });

  it('is found by its name when its labels are lost, and one of the user is never listed', async () => {
    await dockerSandbox.launch(ctx, spec);
    rmSync(stand.env.XDG_STATE_HOME ?? '', { recursive: true });
    const [program = '', ...args] = variant.split(' ');
    for (const name of ['mine', 'cagematch-notes'])
      await execa(program, [...args, 'create', '--name', name, 'shell', tmpdir()], {
        env: stand.env,
        extendEnv: false,
      });
    const listed = await dockerSandbox.list(ctx);
    expect(listed).toEqual([
      {
        id: spec.name,
        kind: 'sandbox',
        labels: { match: ctx.labels.match, mode: 'docker-sandbox' },
        state: 'running',
      },
    ]);
    for (const item of listed) await dockerSandbox.reap(ctx, item);
    expect((await sandboxesOf(stand, variant)).split('\n').sort()).toEqual([
      'cagematch-notes',
      'mine',
    ]);
  });

  it('that is removed under a running command ends it', async () => {
    const { handle } = await dockerSandbox.launch(ctx, spec);
    const command = {
      argv: ['sh', '-c', 'echo begun; exec sleep 600'] as [string, ...string[]],
      env: {},
      secretEnv: {},
      cwd: spec.host.workspace,
    };
    for await (const event of dockerSandbox.exec(ctx, handle, command)) {
      if (event.type === 'line') await dockerSandbox.destroy(ctx, handle);
      else
        expect(event).toMatchObject({
          type: 'lost',
          reason: expect.stringMatching(/^the sandbox is gone: /),
        });
    }
  });
});

describe('it is refused', () => {
  it.each([
    ['not-signed-in', 'not signed in to Docker', 'sbx login'],
    ['no-policy', 'the global network policy is not initialised', 'sbx policy init balanced'],
    ['no-daemon', 'the sandbox daemon does not answer', 'sbx daemon restart'],
  ])('by sbx when it is %s, with the words of that trouble', async (fault, reason, hint) => {
    const stand = await standIn();
    const spec = specOf('cagematch-20260102-030405-abcd-docker-sandbox-2');
    const ctx = contextOf('docker-sandbox', { ...stand.env, CAGEMATCH_STAND_IN_FAULT: fault });
    expect(await dockerSandbox.detect(ctx)).toMatchObject({
      status: expect.stringMatching(/unconfigured|broken/),
      hint,
    });
    const failed = { code: 'launch-failed', message: expect.stringContaining(reason), hint };
    await expect(
      dockerSandbox.launch({ ...ctx, state: { cli: 'sbx' } }, spec),
    ).rejects.toMatchObject(failed);
    spec.close();
    await stand.close();
  });
});

describe('detection', () => {
  const bin = mkdtempSync(join(tmpdir(), 'fakes-'));
  afterAll(() => rmSync(bin, { recursive: true, force: true }));

  /** A PATH that holds only these programs: shell scripts, by name. */
  function pathOf(programs: Record<string, string>): string {
    const folder = mkdtempSync(join(bin, 'path-'));
    mkdirSync(folder, { recursive: true });
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    return folder;
  }
  const SBX = 'sbx version: v0.40.1 d7da69cb30eb3000c4d4ef0c848ffe84f32058bf';
  const OLD_SBX =
    'Client Version:  v0.24.1 a67ca22761740c5c3450227ae723f069e92c9257\nServer Version:  v0.24.1 a67ca227617';
  const LIST = '{"sandboxes":[]}';
  const sbx = (version: string, rest: string) => ({
    sbx: `case "$1" in version) echo "${version}" ;; *) ${rest} ;; esac`,
  });
  const detect = (programs: Record<string, string>, platform: NodeJS.Platform = 'linux') =>
    dockerSandbox.detect(contextOf('docker-sandbox', { PATH: pathOf(programs) }, { platform }));

  it.each([
    ['linux', /apt-get install docker-sbx/],
    ['darwin', /brew install docker\/tap\/sbx/],
    ['win32', /winget install/],
  ] as const)('on %s without either says how to install sbx there', async (platform, hint) => {
    const reason = expect.stringMatching(
      /^no sbx command on PATH, and no docker either(; .*sbx.*)?$/,
    );
    expect(await detect({}, platform)).toEqual({
      status: 'absent',
      reason,
      hint: expect.stringMatching(hint),
    });
  });

  it('with a docker that has no such plugin says so', async () => {
    const docker = `echo "docker: 'sandbox' is not a docker command." >&2; exit 1`;
    expect(await detect({ docker })).toMatchObject({
      status: 'absent',
      reason: expect.stringMatching(
        /^no sbx command on PATH, and the docker here has no sandbox plugin/,
      ),
    });
  });

  it('does not believe another tool of the same name', async () => {
    const found = await detect({ sbx: 'echo "sbx version 1.4.0 (firecracker)"' });
    expect(found).toMatchObject({
      status: 'absent',
      reason: expect.stringContaining('another tool of that name'),
    });
  });

  it('falls back to the plugin when sbx is another tool', async () => {
    const docker = `[ "$2" = version ] && echo "github.com/docker/sandboxes/cli-plugin v0.7.1 abc" || echo '{"vms":[]}'`;
    const found = await detect({ sbx: 'echo "sbx version 1.4.0"', docker });
    expect(found).toMatchObject({
      status: 'ready',
      version: 'docker sandbox v0.7.1',
      facts: { cli: 'docker sandbox' },
      variants: [],
    });
  });

  it.each([SBX, OLD_SBX])('knows sbx by either form of its version (%#)', async (version) => {
    expect(await detect(sbx(version, `echo '${LIST}'`))).toMatchObject({
      status: 'ready',
      facts: { cli: 'sbx' },
    });
  });

  it('reads the list behind what a starting daemon says first', async () => {
    expect(
      await detect(sbx(SBX, `echo 'Starting sandboxd daemon...'; echo '${LIST}'`)),
    ).toMatchObject({
      status: 'ready',
      version: 'sbx v0.40.1',
    });
  });

  it.each([
    [
      'list local sandboxes: request failed: 401 Unauthorized: docker session has expired',
      'unconfigured',
      'sbx login',
    ],
    [
      'no valid user session found, please sign in to Docker to proceed',
      'unconfigured',
      'sbx login',
    ],
    [
      'ERROR: global network policy has not been initialized',
      'unconfigured',
      'sbx policy init balanced',
    ],
    [
      'ERROR: ensure daemon: daemon failed to start properly after 10 retries',
      'broken',
      'sbx daemon restart',
    ],
    [
      'ERROR: could not open /dev/kvm: permission denied',
      'unconfigured',
      'sudo usermod -aG kvm $USER, then sign in again',
    ],
    [
      'ERROR: open /dev/kvm: no such file or directory',
      'unconfigured',
      'turn on virtualization in its firmware; in a VM, nested virtualization',
    ],
    [
      'ERROR: Windows Hypervisor Platform is not enabled',
      'unconfigured',
      'Enable-WindowsOptionalFeature -Online -FeatureName HypervisorPlatform -All (as administrator)',
    ],
    ['something new', 'broken', 'sbx ls --json'],
  ])('understands: %s', async (message, status, hint) => {
    expect(await detect(sbx(SBX, `echo "${message}" >&2; exit 1`))).toMatchObject({ status, hint });
  });

  it('does not take a printed page for a list', async () => {
    expect(await detect(sbx(SBX, 'echo hello'))).toMatchObject({
      status: 'broken',
      hint: 'sbx ls --json',
    });
  });

  it('sends no telemetry and asks nothing', async () => {
    const script = `[ "$SBX_NO_TELEMETRY" = 1 ] || exit 9; if read -r line; then exit 8; fi; echo '${LIST}'`;
    expect(await detect(sbx(SBX, script))).toMatchObject({ status: 'ready' });
  });
});

it("promises no wall before the caller's SSH agent, which it hands on by itself", () => {
  const wall = (env: Record<string, string>) =>
    dockerSandbox.walls?.(contextOf('docker-sandbox', env))['ssh-agent'];
  expect([wall({ SSH_AUTH_SOCK: '/run/agent.sock' }), wall({})]).toEqual(['open', 'closed']);
});

describe('a sbx that hangs', () => {
  it.each([
    ['version', 'sbx version gives no answer'],
    ['ls', 'sbx gives no answer'],
    ['policy', 'sbx gives no answer'],
  ])(
    'at %s is broken, within the time that detection has, and nothing else is measured in its place',
    async (command, reason) => {
      const stand = await standIn();
      const plugin = await standIn('docker sandbox');
      const PATH = [stand.env.PATH, plugin.env.PATH].join(delimiter);
      const ctx = contextOf('docker-sandbox', {
        ...stand.env,
        PATH,
        CAGEMATCH_STAND_IN_FAULT: `hang:${command}`,
      });
      const startedMs = performance.now();
      expect(await dockerSandbox.detect(ctx)).toEqual({
        status: 'broken',
        reason,
        hint: 'sbx daemon restart',
      });
      expect(performance.now() - startedMs).toBeLessThan(5000);
      for (const opened of [stand, plugin]) await opened.close();
    },
  );
});

it('the stand-in refuses what the real one does not know', async () => {
  const stand = await standIn();
  const path = [dirname(process.execPath), stand.env.PATH].join(delimiter);
  const call = (args: string[]) =>
    execa('sbx', args, { env: { ...stand.env, PATH: path }, reject: false, stdin: 'ignore' });
  for (const args of [
    ['ls', '--format', 'json'],
    ['create', '--memory-swap', '1g', 'claude', '/tmp'],
    ['start', 'x'],
    ['exec', '--detach', 'x', 'true'],
    ['create', '/tmp', 'claude'],
  ])
    expect((await call(args)).exitCode).toBe(2);
  expect((await call(['exec', 'nobody', 'true'])).stderr).toContain("sandbox 'nobody' not found");
  expect((await call(['create', '--name', 'a_b', 'claude', '/tmp'])).exitCode).toBe(1);
  expect((await call(['create', '--clone', 'claude', tmpdir()])).stderr).toContain(
    '--clone requires a Git repository',
  );
  expect((await call(['rm', 'nobody'])).stderr).toContain('use --force');
  // What a sandbox was made with is never another.
  expect((await call(['create', '--name', 'once', 'claude', '/tmp'])).exitCode).toBe(0);
  expect(
    (await call(['create', '--name', 'once', '--cpus', '2', 'claude', '/tmp'])).stderr,
  ).toContain("'once' already exists");
  await stand.close();
});
