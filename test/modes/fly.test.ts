// The fly mode against a stand-in for the Machines API.
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { agentVersion } from '../../lib/package.js';
import type { Report } from '../../lib/report/document.js';
import fly from '../../modes/fly.js';
import { contextOf, readAll, specOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/fly.js';
import type { Call, Fate } from '../support/stand-ins/fly-api.mjs';

type StandIn = Awaited<ReturnType<typeof standIn>>;

function nthExec(nth: number, fate: Fate) {
  return (call: Call) =>
    call.operation === 'Machines_exec' && call.nth === nth ? fate : undefined;
}

describe('a match', () => {
  const place = standSomewhere();
  let stand: StandIn;
  afterAll(() => place.close());

  async function run(): Promise<{ row: Report['modes'][number]; exitCode: number | undefined }> {
    const args = [
      'run',
      'fly',
      '--model',
      'replay',
      '--runs',
      '1',
      '--timeout',
      '40',
      '--out',
      join(place.cwd, 'out'),
      '--json',
      '-',
    ];
    const { stdout, exitCode } = await cagematch(ownHouse, args, {
      cwd: place.cwd,
      env: stand.env,
    });
    const row = (JSON.parse(stdout) as Report).modes[0];
    if (!row) throw new Error('the report has no row');
    return { row, exitCode };
  }

  describe('that nothing befalls', () => {
    let ran: Awaited<ReturnType<typeof run>>;
    beforeAll(async () => {
      stand = await standIn();
      ran = await run();
    });
    afterAll(() => stand.close());

    it('passes the whole task with the real agent, brings the workspace back, and leaves nothing', () => {
      const { row, exitCode } = ran;
      expect(row).toMatchObject({
        standIn: true,
        n: 1,
        passed: 1,
        leftovers: [],
        planted: [],
        sync: { in: 'yes', out: 'yes', live: 'no' },
      });
      expect(row.detection).toMatchObject({
        status: 'ready',
        version: 'Machines API v1 (Fly/stand-in)',
        facts: { app: stand.api.app },
      });
      expect(row.auth).toEqual({ path: 'remote-secret', delivered: { gap: 'not-exercised' } });
      expect(exitCode).toBe(0);
      expect(stand.api.machines()).toEqual([]);
      // Our pace is the API's: it never had to say no.
      expect(stand.api.requests.filter(({ status }) => status >= 400)).toEqual([]);
    });

    it('gives the credential on stdin alone: no argument and no configuration holds it', () => {
      const bodies = stand.api.requests
        .filter(({ body }) => body !== '')
        .map(({ body }) => JSON.parse(body));
      const secrets = bodies.flatMap(({ command, stdin }) =>
        String(command).includes('CLAUDE_CODE_OAUTH_TOKEN') ? [String(stdin).trim()] : [],
      );
      expect(secrets).toHaveLength(1);
      expect(secrets[0]?.length).toBeGreaterThan(20);
      for (const { stdin, ...rest } of bodies)
        expect(JSON.stringify(rest)).not.toContain(secrets[0]);
    });
  });

  describe('that something befalls', () => {
    afterEach(() => stand.close());

    it('blames the sandbox when the machine dies under the agent', async () => {
      stand = await standIn({ befalls: nthExec(3, { dies: true }) });
      const { row, exitCode } = await run();
      expect(row.failures).toMatchObject([
        {
          outcome: {
            cause: 'sandbox',
            message: expect.stringMatching(/machine is (gone|destroyed)/),
          },
        },
      ]);
      expect(row).toMatchObject({ passed: 0, leftovers: [] });
      expect(exitCode).toBe(1);
    });

    it('goes on when the API cuts one look at the output short', async () => {
      stand = await standIn({
        befalls: nthExec(3, {
          refuse: { status: 408, error: 'deadline_exceeded: context deadline exceeded' },
        }),
      });
      const { row } = await run();
      expect(row).toMatchObject({ passed: 1 });
    });

    it('names the image when it is not in the registry, and how to build it', async () => {
      stand = await standIn({ images: () => false });
      const { row } = await run();
      expect(row.failures).toMatchObject([
        {
          outcome: {
            cause: 'image',
            message: expect.stringContaining('manifest unknown'),
            hint: 'npm run fly:build',
          },
        },
      ]);
    });
  });
});

describe('a machine', () => {
  let stand: StandIn;
  let ctx: ReturnType<typeof contextOf>;
  let spec: ReturnType<typeof specOf>;
  beforeEach(async () => {
    stand = await standIn();
    ctx = contextOf('fly', stand.env);
    spec = specOf('cagematch-20260102-030405-abcd-fly-1');
  });
  afterEach(async () => {
    await ctx.close();
    await stand.close();
    spec.close();
  });

  it('tells lines, errors and the exit code of a command apart, with its environment and folder', async () => {
    const { handle } = await fly.launch(ctx, spec);
    const script =
      'echo "$PLAIN $SECRET"; case $PWD in */workspace) echo here ;; esac; printf "é%s" ü; echo complaint >&2; exit 7';
    const command = {
      argv: ['sh', '-c', script] as [string, ...string[]],
      env: { PLAIN: 'a b' },
      secretEnv: { SECRET: 's3cret' },
    };
    const ran = await readAll(fly.exec(ctx, handle, { ...command, cwd: '/workspace' }));
    expect(ran).toEqual({
      stdout: ['a b s3cret', 'here', 'éü'],
      stderr: ['complaint'],
      end: { type: 'exit', code: 7 },
    });
  });

  it('brings the workspace there and back in parts, byte for byte, deletions included', async () => {
    const noise = randomBytes(1_300_000);
    writeFileSync(join(spec.host.workspace, 'noise.bin'), noise);
    writeFileSync(join(spec.host.workspace, 'doomed.txt'), '');
    mkdirSync(join(spec.host.workspace, 'empty'));
    const { handle } = await fly.launch(ctx, spec);
    const inside = stand.api.folderOf(stand.api.machines()[0]?.id ?? '', '/workspace');
    expect(readFileSync(join(inside, 'noise.bin')).equals(noise)).toBe(true);
    const argv: [string, ...string[]] = [
      'sh',
      '-c',
      'rm doomed.txt; cp noise.bin more.bin; ln -s noise.bin link',
    ];
    await readAll(fly.exec(ctx, handle, { argv, env: {}, secretEnv: {}, cwd: '/workspace' }));
    await fly.collect(ctx, handle, spec.host.workspace);
    expect(readdirSync(spec.host.workspace).sort()).toEqual([
      'empty',
      'link',
      'more.bin',
      'noise.bin',
    ]);
    expect(readFileSync(join(spec.host.workspace, 'more.bin')).equals(noise)).toBe(true);
    expect(stand.api.requests.some(({ body }) => body.length > 1_000_000)).toBe(false);
  });

  it('cannot bring back a link to this host', async () => {
    writeFileSync(join(spec.host.workspace, 'before.txt'), '');
    const { handle } = await fly.launch(ctx, spec);
    symlinkSync(
      '/etc/passwd',
      join(stand.api.folderOf(stand.api.machines()[0]?.id ?? '', '/workspace'), 'link'),
    );
    const refused = {
      code: 'collect-failed',
      message: expect.stringContaining('"./link" is a link that leaves the workspace'),
    };
    await expect(fly.collect(ctx, handle, spec.host.workspace)).rejects.toMatchObject(refused);
    expect(readdirSync(spec.host.workspace)).toEqual(['before.txt']);
  });

  it('is listed with its labels until it is destroyed, which may be said twice', async () => {
    const { handle } = await fly.launch(ctx, spec);
    const [machine] = stand.api.machines();
    expect(await fly.list(ctx)).toMatchObject([
      { id: `${spec.name} ${machine?.id}`, kind: 'machine', labels: ctx.labels, state: 'running' },
    ]);
    await fly.destroy(ctx, handle);
    await fly.destroy(ctx, handle);
    expect(await fly.list(ctx)).toEqual([]);
  });

  it('is found by its name when the launch broke off, and reaped by what lists it', async () => {
    await fly.launch(ctx, spec);
    await fly.destroy(ctx, { name: spec.name });
    expect(stand.api.machines()).toEqual([]);
    await fly.launch(ctx, spec);
    for (const listed of await fly.list(ctx)) await fly.reap(ctx, listed);
    expect(stand.api.machines()).toEqual([]);
  });

  it.each([
    ['somebody else', { purpose: 'production' }],
    [
      'cagematch on another machine, whose life cannot be told from here',
      { cagematch_mode: 'fly', cagematch_match: 'm', cagematch_host: 'elsewhere' },
    ],
  ])('of %s in the same app is left alone', async (_whose, metadata) => {
    const config = {
      image: `registry.fly.io/${stand.api.app}:${agentVersion}-x`,
      init: { exec: ['/bin/sleep', '60'] },
      metadata,
    };
    const headers = { authorization: `Bearer ${stand.api.token}` };
    await fetch(`${stand.api.url}/v1/apps/${stand.api.app}/machines`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ config }),
    });
    expect(stand.api.machines()).toHaveLength(1);
    expect(await fly.list(ctx)).toEqual([]);
    await fly.destroy(ctx, { name: stand.api.machines()[0]?.name ?? '' });
    expect(stand.api.machines()).toHaveLength(1);
  });

  it('ends with what ran in it', async () => {
    const { handle } = await fly.launch(ctx, spec);
    const argv: [string, ...string[]] = ['sh', '-c', 'echo begun; exec sleep 600'];
    for await (const event of fly.exec(ctx, handle, {
      argv,
      env: {},
      secretEnv: {},
      cwd: '/workspace',
    })) {
      if (event.type === 'line') await fly.destroy(ctx, handle);
      else
        expect(event).toMatchObject({
          type: 'lost',
          reason: expect.stringMatching(/machine is (gone|destroyed)/),
        });
    }
  });

  it('costs nothing for ever: it ends by itself, and is removed when it does', async () => {
    await fly.launch(ctx, spec);
    const [machine] = stand.api.machines();
    expect(machine?.config).toMatchObject({
      auto_destroy: true,
      restart: { policy: 'no' },
      init: { exec: ['/bin/sleep', expect.stringMatching(/^\d+$/)] },
    });
    stand.api.die(machine?.id ?? '', 0);
    expect(stand.api.machines()).toEqual([]);
  });

  it('ends after the time that its launch gives, in whole seconds', async () => {
    await fly.launch(ctx, { ...spec, maxLifeMs: 90_500 });
    expect(stand.api.machines()[0]?.config).toMatchObject({
      init: { exec: ['/bin/sleep', '91'] },
    });
  });
});

it('without a token nobody is asked', async () => {
  const stand = await standIn();
  const ctx = contextOf('fly', { ...stand.env, FLY_API_TOKEN: '' });
  const spec = specOf('cagematch-20260102-030405-abcd-fly-3');
  const refused = {
    code: 'launch-failed',
    message: 'FLY_API_TOKEN is not set',
    hint: expect.stringContaining('fly tokens create deploy'),
  };
  await expect(fly.launch(ctx, spec)).rejects.toMatchObject(refused);
  await expect(fly.list(ctx)).rejects.toMatchObject({ code: 'not-ready' });
  expect(stand.api.requests).toEqual([]);
  spec.close();
  await stand.close();
});

describe('detection', () => {
  let stand: StandIn;
  beforeAll(async () => {
    stand = await standIn();
  });
  afterAll(() => stand.close());

  async function detect(
    change: Record<string, string>,
    overrides: Parameters<typeof contextOf>[2] = {},
  ) {
    const ctx = contextOf('fly', { ...stand.env, ...change }, overrides);
    try {
      return await fly.detect(ctx);
    } finally {
      await ctx.close();
    }
  }

  it.each([
    [
      'no token',
      { FLY_API_TOKEN: '' },
      'unconfigured',
      /FLY_API_TOKEN is not set/,
      /^fly tokens create deploy -a cagematch-stand-in/,
    ],
    [
      'a token that is refused',
      { FLY_API_TOKEN: 'fo1_other' },
      'unconfigured',
      /refuses the token/,
      /^fly tokens create deploy/,
    ],
    [
      'an app that is not there',
      { CAGEMATCH_FLY_APP: 'nowhere' },
      'unconfigured',
      /sees no Fly.io app nowhere/,
      /^fly apps create nowhere$/,
    ],
    [
      'no region',
      { FLY_REGION: 'fra,Frankfurt' },
      'unconfigured',
      /FLY_REGION names Frankfurt/,
      /^fly platform regions$/,
    ],
    ['no API', { FLY_FLAPS_BASE_URL: 'http://127.0.0.1:9' }, 'broken', /does not answer/, /./],
  ])('with %s says so', async (_, change, status, reason, hint) => {
    const found = await detect(change);
    expect(found).toEqual({
      status,
      reason: expect.stringMatching(reason),
      hint: expect.stringMatching(hint),
    });
    expect(JSON.stringify(found)).not.toContain('fo1_');
  });

  it('tells how far the clocks are apart, and what a minute costs by which prices', async () => {
    expect(await detect({})).toMatchObject({
      facts: {
        clock: "as this machine's, to the second",
        price: expect.stringMatching(/^about \$0\.00049 a minute of 2 CPUs .*estimate.*\d{4}-\d\d/),
      },
    });
    for (const [skewMs, expected] of [
      [-3_600_000, "3600 s behind this machine's"],
      [90_000, "90 s ahead of this machine's"],
    ] as const) {
      const other = await standIn({ skewMs });
      expect(await detect(other.env)).toMatchObject({ facts: { clock: expected } });
      await other.close();
    }
  });

  it('takes the app from fly.toml where the environment names none', async () => {
    const found = await detect({ CAGEMATCH_FLY_APP: '' });
    expect(found).toMatchObject({
      status: 'unconfigured',
      reason: expect.stringContaining('no Fly.io app cagematch-runner'),
    });
    expect(await detect({ CAGEMATCH_FLY_APP: '' }, { packageRoot: '/nonexistent' })).toMatchObject({
      reason: 'no Fly.io app is named',
    });
  });
});

describe('the way there', () => {
  let stand: StandIn;
  beforeAll(async () => {
    stand = await standIn();
  });
  afterAll(() => stand.close());

  async function steps(change: Record<string, string>) {
    const ctx = contextOf('fly', { ...stand.env, ...change });
    const found = (await fly.setup?.(ctx)) ?? [];
    await ctx.close();
    return found;
  }

  it('is told step by step, each with what to type, the first that is missing being that of the detection', async () => {
    const listed = await steps({ FLY_API_TOKEN: '' });
    expect(listed.map(({ done }) => done)).toEqual([
      true,
      undefined,
      true,
      undefined,
      false,
      undefined,
    ]);
    for (const { hint } of listed) expect(hint).toMatch(/^[^\n]+$/);
    expect(listed.find(({ done }) => done === false)?.hint).toContain(
      'fly tokens create deploy -a cagematch-stand-in',
    );
    const missing = async (change: Record<string, string>) =>
      (await steps(change)).filter(({ done }) => done === false).map(({ text }) => text);
    expect(await missing({ FLY_API_TOKEN: 'fo1_other' })).toEqual(['FLY_API_TOKEN: refused']);
    expect(await missing({ CAGEMATCH_FLY_APP: 'nowhere' })).toEqual(['the app is there']);
    expect(await missing({ PATH: '/nonexistent' })).toEqual([
      expect.stringContaining("Fly's command line"),
    ]);
    expect(await missing({ FLY_FLAPS_BASE_URL: 'http://127.0.0.1:9' })).toEqual([]);
  });

  it('holds only what nobody can see from here, when all else is done', async () => {
    const { stdout } = await cagematch(ownHouse, ['doctor'], { cwd: tmpdir(), env: stand.env });
    const lines = stdout.split('\n');
    const at = lines.findIndex((line) => line.startsWith('✓ fly: Fly.io Machines API v1'));
    expect(lines.slice(at + 1, at + 3)).toEqual([
      expect.stringMatching(/^ {4}· the image is in its registry/),
      expect.stringMatching(/^ {8}→ npm run fly:build/),
    ]);
  });
});

describe("Fly's command line", () => {
  const messages: string[] = [];
  let stand: StandIn;
  beforeAll(async () => {
    stand = await standIn();
  });
  afterAll(() => stand.close());
  const noted = () =>
    readFileSync(join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'fly.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('builds and pushes the image that machines are made from', async () => {
    const ctx = contextOf('fly', stand.env, { say: (line) => messages.push(line) });
    await fly.prepare(ctx, { rebuild: true });
    const { deploy, buildArgs } = noted().at(-1);
    expect(messages.join('\n')).toContain(`image: ${deploy}`);
    expect(buildArgs).toEqual([`AGENT_VERSION=${ctx.agentVersion}`]);
    const spec = specOf('cagematch-20260102-030405-abcd-fly-2');
    await fly.launch(ctx, spec);
    expect(stand.api.machines()[0]?.config.image).toBe(deploy);
    spec.close();
    await ctx.close();
  });

  it('builds nothing for a match', async () => {
    const before = noted().length;
    await fly.prepare(contextOf('fly', stand.env));
    expect(noted()).toHaveLength(before);
  });

  it('gets a secret on stdin, and stages it', async () => {
    const ctx = contextOf('fly', stand.env);
    const message = await fly.pushSecret?.(ctx, 'CLAUDE_CODE_OAUTH_TOKEN', 's3cret');
    expect(message).toBe(`CLAUDE_CODE_OAUTH_TOKEN is staged for ${stand.api.app}`);
    const digest = createHash('sha256').update('s3cret').digest('hex');
    expect(noted().at(-1)).toEqual({
      secret: 'CLAUDE_CODE_OAUTH_TOKEN',
      app: stand.api.app,
      staged: true,
      fromStdin: true,
      digest,
    });
    expect(
      readFileSync(join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'argv.jsonl'), 'utf8'),
    ).not.toContain('s3cret');
  });

  it('is passed over where another program bears its name, and refused where it is there in two versions', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fly-path-'));
    const place = (name: string, version: string) => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'fly'), `#!/bin/sh\necho "${version}"\n`, { mode: 0o755 });
      return join(folder, name);
    };
    const [concourse, older] = [
      place('concourse', '7.9.1'),
      place('older', 'fly v0.3.9 linux/amd64'),
    ];
    const push = (first: string) =>
      fly.pushSecret?.(
        contextOf('fly', { ...stand.env, PATH: `${first}${delimiter}${stand.env.PATH}` }),
        'NAME',
        's3cret',
      );
    expect(await push(concourse)).toBe(`NAME is staged for ${stand.api.app}`);
    await expect(push(older)).rejects.toMatchObject({
      code: 'not-ready',
      message: expect.stringMatching(
        /PATH has fly twice: .*older\/fly \(0\.3\.9\) and .*\(0\.4\.0-stand-in\)/,
      ),
      hint: expect.stringContaining(join(older, 'fly')),
    });
    rmSync(folder, { recursive: true });
  });

  it('is said to be missing where it is', async () => {
    const ctx = contextOf('fly', { ...stand.env, PATH: '/nonexistent' });
    await expect(fly.prepare(ctx, { rebuild: false })).rejects.toMatchObject({
      code: 'image-unavailable',
      message: 'no fly command on PATH',
    });
  });
});

describe('the stand-in refuses what the real API does not know:', () => {
  let stand: StandIn;
  beforeAll(async () => {
    stand = await standIn();
  });
  afterEach(() => stand.api.takeBreaches());
  afterAll(() => stand.close());

  async function ask(method: string, path: string, body?: unknown, token = stand.api.token) {
    const init = {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const response = await fetch(`${stand.api.url}/v1/apps/${stand.api.app}${path}`, init);
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      headers: response.headers,
    };
  }

  it('another token, another app, fields of its own invention', async () => {
    expect((await ask('GET', '', undefined, 'x')).status).toBe(401);
    expect(
      (
        await fetch(`${stand.api.url}/v1/apps/other`, {
          headers: { authorization: `Bearer ${stand.api.token}` },
        })
      ).status,
    ).toBe(404);
    const refused = await ask('POST', '/machines', {
      config: { image: `registry.fly.io/${stand.api.app}:${agentVersion}-x`, secrets: {} },
    });
    expect(refused).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('config') },
    });
    expect((await ask('GET', '/machines?metadata.a=b&owner=me')).status).toBe(400);
    expect((await ask('POST', '/machines/0/fork')).status).toBe(404);
  });

  it('waits out of range, waits for `stopped` without the instance, and late ones', async () => {
    const config = {
      image: `registry.fly.io/${stand.api.app}:${agentVersion}-x`,
      init: { exec: ['/bin/sleep', '60'] },
    };
    const { id } = (await ask('POST', '/machines', { config })).body;
    expect((await ask('GET', `/machines/${id}/wait?state=started&timeout=90`)).status).toBe(400);
    expect((await ask('GET', `/machines/${id}/wait?state=stopped&timeout=1`)).status).toBe(400);
    expect(
      (await ask('GET', `/machines/${id}/wait?state=stopped&timeout=1&instance_id=i`)).status,
    ).toBe(408);
    expect((await ask('DELETE', `/machines/${id}`)).status).toBe(412);
  });

  it('a fourth call at once, with how long to wait', async () => {
    const answers = [];
    for (let at = 0; at < 4; at += 1) answers.push(await ask('GET', '/machines'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers[3]?.headers.get('retry-after')).toBe('1');
  });

  it('flags that flyctl does not have', async () => {
    const deploy = await execa('fly', ['deploy', '--dry-run'], {
      env: stand.env,
      extendEnv: false,
      reject: false,
    });
    expect(deploy.exitCode).toBe(2);
    expect(existsSync(join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', 'fly.jsonl'))).toBe(false);
  });
});
