// Around a match in Docker's sandboxes: what ended matches have left there, and the way to a first
// one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifier } from '../../lib/os/harness-id.js';
import { packageRoot } from '../../lib/package.js';
import type { Report } from '../../lib/report/document.js';
import dockerSandbox from '../../modes/docker-sandbox.js';
import { withShellAgent } from '../support/agent-scripts.js';
import { contextOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/docker-sandbox.js';

const place = standSomewhere();
afterAll(() => place.close());

let stand: Awaited<ReturnType<typeof standIn>>;
const folders: string[] = [];
beforeEach(async () => {
  stand = await standIn();
});
afterEach(async () => {
  await stand.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
const sbx = (...args: string[]) =>
  execa('sbx', args, { env: stand.env, extendEnv: false, stdin: 'ignore' });
const call = (...args: string[]) => cagematch(ownHouse, args, { cwd: place.cwd, env: stand.env });

/** A run's folder, as the harness of that pid makes it; `undefined`: gone already. */
function runFolder(pid: number): string {
  const folder = mkdtempSync(join(tmpdir(), `cagematch-run-${pid}-`));
  folders.push(folder);
  writeFileSync(join(folder, '.owner'), identifier(pid));
  mkdirSync(join(folder, 'workspace'));
  return join(folder, 'workspace');
}

describe('of sandboxes that are there already', () => {
  const DEAD = 'cagematch-20260102-030405-dead-docker-sandbox-1';
  const NAMELESS = 'cagematch-20260102-030405-lost-docker-sandbox-1'.replace('lost', '1057');
  const LIVING = 'cagematch-20260102-030405-11fe-docker-sandbox-1';
  beforeEach(async () => {
    const labels = join(stand.env.XDG_STATE_HOME ?? '', 'cagematch/sandboxes/docker-sandbox');
    mkdirSync(labels, { recursive: true });
    // 2^22 is above every pid.
    const dead = {
      match: '20260102-030405-dead',
      mode: 'docker-sandbox',
      owner: identifier(2 ** 22 + 1),
    };
    writeFileSync(join(labels, `${DEAD}.json`), JSON.stringify(dead));
    await sbx('create', '--name', DEAD, 'claude', tmpdir());
    await sbx('create', '--name', 'mine', 'claude', tmpdir());
    await sbx('create', '--name', 'cagematch-notes', 'claude', tmpdir());
    // Their labels are lost, or in another folder: whose they are is told by where their workspace
    // lies.
    await sbx('create', '--name', LIVING, 'claude', runFolder(process.pid));
    await sbx('create', '--name', NAMELESS, 'claude', runFolder(2 ** 22 + 1));
  });

  it("a match names those of ended matches before its first run, and never a living one's or somebody's own", async () => {
    stand.env = withShellAgent(stand.env);
    const { stdout } = await call(
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
    );
    const { warnings, match } = JSON.parse(stdout) as Report;
    expect(warnings.filter(({ code }) => code === 'orphans')).toEqual([
      {
        code: 'orphans',
        message: `docker-sandbox: ended matches have left sandbox ${NAMELESS}, sandbox ${DEAD}; npx cagematch clean docker-sandbox removes what is left`,
      },
    ]);
    const events = readFileSync(join(place.cwd, 'out', match.id, 'events.jsonl'), 'utf8').split(
      '\n',
    );
    const at = (type: string) => events.findIndex((line) => line.includes(type));
    expect(at('"code":"orphans"')).toBeLessThan(at('"type":"prepared"'));
  });

  it('`npm run sandbox:list` lists these alone, and `clean` removes these alone', async () => {
    const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(scripts['sandbox:list']).toBe('node dist/cli.js clean docker-sandbox --dry-run');
    const lines = (what: string) =>
      [
        `${what} sandbox ${NAMELESS} (docker-sandbox, match 20260102-030405-1057)`,
        `${what} sandbox ${DEAD} (docker-sandbox, match 20260102-030405-dead)`,
      ].sort();
    const listed = await call('clean', 'docker-sandbox', '--dry-run');
    expect(listed.stdout.trimEnd().split('\n').sort()).toEqual(lines('would remove'));
    const cleaned = await call('clean', 'docker-sandbox');
    expect(cleaned.stdout.trimEnd().split('\n').sort()).toEqual(lines('removed'));
    expect((await sbx('ls', '--quiet')).stdout.split('\n').sort()).toEqual([
      LIVING,
      'cagematch-notes',
      'mine',
    ]);
    expect((await call('clean', 'docker-sandbox')).stdout).toBe('nothing of ours is left\n');
  });

  it('where they cannot be asked for, `clean` of this mode says why, and not that nothing is left', async () => {
    stand.env.CAGEMATCH_STAND_IN_FAULT = 'not-signed-in';
    const { stdout, stderr, exitCode } = await call('clean', 'docker-sandbox', '--dry-run');
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: '',
      stderr: 'docker-sandbox: not signed in to Docker\nhint: sbx login\n',
      exitCode: 1,
    });
  });
});

describe('doctor', () => {
  async function steps(env: Record<string, string> = {}) {
    const ctx = contextOf('docker-sandbox', { ...stand.env, ...env });
    return Object.fromEntries(
      ((await dockerSandbox.setup?.(ctx)) ?? []).map(({ text, ...step }) => [text, step]),
    );
  }
  const signedIn = 'you are signed in to Docker';
  const policy = 'the network has a policy';
  const template = 'the template is here: docker/sandbox-templates:claude-code';

  it('shows the way from a machine with nothing: what to install, and nothing that cannot be seen yet', async () => {
    const found = await steps({ PATH: '/nonexistent' });
    expect(found['sbx is on PATH']).toMatchObject({
      done: false,
      hint: expect.stringContaining('docker-sbx'),
    });
    for (const step of [signedIn, policy, template]) expect(found[step]?.done).toBeUndefined();
  });

  it.each([
    [
      'not-signed-in',
      { [signedIn]: { done: false, hint: 'sbx login' }, [policy]: { done: undefined } },
    ],
    [
      'no-policy',
      { [signedIn]: { done: true }, [policy]: { done: false, hint: 'sbx policy init balanced' } },
    ],
    [
      '',
      {
        [signedIn]: { done: true },
        [policy]: { done: true },
        [template]: { done: false, hint: 'npx cagematch build docker-sandbox' },
      },
    ],
  ])('with the fault "%s" marks that step, and what is done', async (fault, expected) => {
    expect(await steps({ CAGEMATCH_STAND_IN_FAULT: fault })).toMatchObject(expected);
  });

  it('says what can be done there with a key and with a subscription, also when all is ready', async () => {
    await dockerSandbox.prepare(contextOf('docker-sandbox', stand.env, { state: { cli: 'sbx' } }));
    const { stdout } = await call('doctor');
    const text = stdout.replace(/\s+/g, ' ');
    expect(text).toContain('docker-sandbox: Docker Sandbox sbx v0.39.0-stand-in');
    expect(text).toContain('--deliver runtime-proxy');
    expect(text).toContain(
      'a subscription does not go that way: sbx does not support CLAUDE_CODE_OAUTH_TOKEN, and `/login` is by hand in each sandbox',
    );
    expect(text).toContain('→ sbx secret set anthropic');
    expect(text).not.toContain('the template is here');
  });

  it('of the older client says that it is deprecated', async () => {
    const plugin = await standIn('docker sandbox');
    expect(Object.keys(await steps({ PATH: plugin.env.PATH ?? '' }))[0]).toContain(
      '`docker sandbox` is deprecated',
    );
    await plugin.close();
  });
});
