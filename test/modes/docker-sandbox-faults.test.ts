// Wherever a client of Docker's sandboxes hangs or refuses: the run ends typed and in time, the
// sandbox is blamed, and nothing is left.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import type { Report } from '../../lib/report/document.js';
import dockerSandbox from '../../modes/docker-sandbox.js';
import { withShellAgent } from '../support/agent-scripts.js';
import { contextOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/docker-sandbox.js';

type Cli = NonNullable<Parameters<typeof standIn>[0]>;

/**
 * A match of one run with that fault in every call of the client.
 * @param timeoutS the bound of the run; long where the run has to get to somewhere before it,
 *   however busy this machine is
 */
async function match(cli: Cli, fault: string, timeoutS = 8, entry = 'docker-sandbox') {
  const stand = await standIn(cli);
  const place = standSomewhere();
  const env = { ...withShellAgent(stand.env), CAGEMATCH_STAND_IN_FAULT: fault };
  // Its template is here: what is tried is the run.
  if (cli === 'sbx')
    await dockerSandbox.prepare(contextOf('docker-sandbox', stand.env, { state: { cli } }));
  const bound = ['--runs', '1', '--timeout', `${timeoutS}`];
  const run = [
    'run',
    entry,
    '--model',
    'replay',
    ...bound,
    '--out',
    join(place.cwd, 'out'),
    '--json',
    '-',
  ];
  const { stdout, stderr, exitCode } = await cagematch(ownHouse, run, { cwd: place.cwd, env });
  const [program = '', ...args] = cli.split(' ');
  const left = (
    await execa(program, [...args, 'ls', '--quiet'], { env: stand.env, extendEnv: false })
  ).stdout;
  const folder = join(stand.env.XDG_STATE_HOME ?? '', 'cagematch/sandboxes/docker-sandbox');
  // On a busy machine the time may be over before a sandbox was asked for.
  const labels = existsSync(folder) ? readdirSync(folder) : [];
  place.close();
  await stand.close();
  return {
    report: JSON.parse(stdout) as Report,
    stderr,
    exitCode,
    left: left.replace(/^(Starting|Daemon).*\n?/gm, ''),
    labels,
  };
}

const blames = (cause: string, message: RegExp) => [
  { outcome: { cause, message: expect.stringMatching(message) } },
];

describe.concurrent('a client that hangs', () => {
  // First, since it takes longest: the runtime's own patience, twice.
  it('at every `rm` is the sandbox to blame, with the command that mends it, and what stays is told', async () => {
    const { report, left } = await match('sbx', 'hang:rm', 60);
    const outcome = {
      cause: 'sandbox',
      message: expect.stringMatching(/may still be there: sbx gives no answer$/),
      hint: expect.stringMatching(/^sbx rm /),
    };
    expect(report.modes[0]?.failures).toMatchObject([{ outcome }]);
    expect(report.modes[0]?.leftovers).not.toEqual([]);
    expect(left).toMatch(/^cagematch-/);
  }, 120_000);

  it.each<[Cli, string, string, RegExp]>([
    ['sbx', 'hang:create', 'sandbox', /no end within 8 s: the runtime had not launched it/],
    ['sbx', 'hang-after:create', 'sandbox', /no end within 8 s: the runtime had not launched it/],
    ['sbx', 'hang:exec', 'sandbox', /no end within 8 s: the runtime had not launched it/],
    [
      'docker sandbox',
      'hang-after:create',
      'sandbox',
      /no end within 8 s: the runtime had not launched it/,
    ],
    [
      'docker sandbox',
      'hang:exec',
      'sandbox',
      /no end within 8 s: the runtime had not launched it/,
    ],
  ])(
    '%s, at %s: the run ends at its bound, blames the %s, and nothing is left',
    async (cli, fault, cause, message) => {
      const { report, exitCode, left, labels } = await match(cli, fault);
      expect(report.modes[0]?.failures).toMatchObject(blames(cause, message));
      expect({ exitCode, left, labels, leftovers: report.modes[0]?.leftovers }).toEqual({
        exitCode: 1,
        left: '',
        labels: [],
        leftovers: [],
      });
    },
    120_000,
  );

  it('under the agent ends at the bound of the run, and nothing is left', async () => {
    const { report, left } = await match('sbx', 'hang:exec@2', 25);
    expect(report.modes[0]?.failures).toMatchObject(blames('timeout', /no end within 25 s/));
    expect(left).toBe('');
  }, 120_000);

  it('while the clone is copied out blames the sync', async () => {
    const { report, left } = await match('sbx', 'hang:exec@3', 25, 'docker-sandbox:clone');
    expect(report.modes[0]?.failures).toMatchObject(
      blames('sync', /no end within 25 s: the workspace was not back/),
    );
    expect(left).toBe('');
  }, 120_000);

  it('at the first `rm` is asked again, and the run has passed', async () => {
    const stand = await standIn();
    const ctx = contextOf('docker-sandbox', stand.env, { state: { cli: 'sbx' } });
    await dockerSandbox.prepare(ctx);
    await stand.close();
    const { report, left } = await match('sbx', 'hang:rm@2', 60);
    expect(report.modes[0]).toMatchObject({ n: 1, passed: 1, leftovers: [] });
    expect(left).toBe('');
  }, 120_000);
});

it('a template that is not here in time is an image that cannot be had, and no sandbox stays', async () => {
  const stand = await standIn();
  const env = {
    ...stand.env,
    CAGEMATCH_SANDBOX_WAIT: '1',
    CAGEMATCH_STAND_IN_FAULT: 'hang-after:create',
  };
  const ctx = contextOf('docker-sandbox', env, { state: { cli: 'sbx' } });
  const failed = {
    code: 'image-unavailable',
    message: 'sbx create: sbx gives no answer',
    hint: 'sbx daemon restart',
  };
  await expect(dockerSandbox.prepare(ctx)).rejects.toMatchObject(failed);
  expect(await dockerSandbox.list({ ...ctx, env: stand.env })).toEqual([]);
  await stand.close();
});

it('a time to wait that is none is refused before anything is made', async () => {
  const stand = await standIn();
  const ctx = contextOf(
    'docker-sandbox',
    { ...stand.env, CAGEMATCH_SANDBOX_WAIT: 'long' },
    { state: { cli: 'sbx' } },
  );
  await expect(dockerSandbox.prepare(ctx)).rejects.toMatchObject({
    code: 'not-ready',
    hint: 'CAGEMATCH_SANDBOX_WAIT=600',
  });
  await stand.close();
});

it('a key that sbx keeps, and a template whose settings name one, do not come between the agent and its replay', async () => {
  const stand = await standIn();
  await execa('sbx', ['secret', 'set', 'anthropic'], {
    env: stand.env,
    extendEnv: false,
    input: 'sk-ant-of-the-user',
  });
  const place = standSomewhere();
  const run = [
    'run',
    'docker-sandbox',
    '--model',
    'replay',
    '--runs',
    '1',
    '--out',
    join(place.cwd, 'out'),
    '--json',
    '-',
  ];
  const { stdout } = await cagematch(ownHouse, run, { cwd: place.cwd, env: stand.env });
  expect((JSON.parse(stdout) as Report).modes[0]).toMatchObject({ n: 1, passed: 1 });
  expect(stdout).not.toContain('sk-ant-of-the-user');
  place.close();
  await stand.close();
});

it('a live match that says no way for the credential is refused before anything is made', async () => {
  const stand = await standIn();
  const place = standSomewhere();
  const env = {
    ...stand.env,
    ANTHROPIC_API_KEY: 'sk-ant-api03-never-used',
    CAGEMATCH_UPSTREAM: 'http://127.0.0.1:9',
  };
  const run = [
    'run',
    'docker-sandbox',
    '--model',
    'live',
    '--auth',
    'api-key',
    '--runs',
    '1',
    '--out',
    join(place.cwd, 'out'),
  ];
  const { stdout, stderr, exitCode } = await cagematch(ownHouse, run, { cwd: place.cwd, env });
  expect(`${stdout}${stderr}`).toContain(
    'its guests cannot reach the gateway: a credential of yours would have to go into them',
  );
  expect(exitCode).toBe(1);
  const { stdout: left } = await execa('sbx', ['template', 'ls'], {
    env: stand.env,
    extendEnv: false,
  });
  expect(left).not.toContain('claude-code');
  place.close();
  await stand.close();
});
