// docker-sandbox:clone: the agent works on a private git clone in the microVM, and no git of this
// host reads what comes back.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Report } from '../../lib/report/document.js';
import { commitsOf } from '../../lib/sandbox/git-return.js';
import dockerSandbox from '../../modes/docker-sandbox.js';
import { contextOf, readAll, specOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/docker-sandbox.js';

const NAME = 'cagematch-20260102-030405-abcd-docker-sandbox-clone-1';

describe('a match', () => {
  const place = standSomewhere();
  afterAll(() => place.close());

  it('passes the whole task in a clone: nothing is seen live, all of it is copied out, and nothing stays', async () => {
    const stand = await standIn();
    const args = [
      'run',
      'docker-sandbox:clone',
      '--model',
      'replay',
      '--runs',
      '1',
      '--out',
      join(place.cwd, 'out'),
      '--json',
      '-',
    ];
    const { stdout, exitCode } = await cagematch(ownHouse, args, {
      cwd: place.cwd,
      env: stand.env,
    });
    const [row] = (JSON.parse(stdout) as Report).modes;
    expect(row).toMatchObject({
      n: 1,
      passed: 1,
      leftovers: [],
      planted: [],
      sync: { in: 'yes', out: 'yes', live: 'no' },
    });
    expect(row).toMatchObject({
      entry: 'docker-sandbox:clone',
      workspace: 'copy',
      isolation: 'microvm',
    });
    expect(exitCode).toBe(0);
    await stand.close();
  });

  it('cannot be warm there: a workspace that is cloned in is had once', async () => {
    const stand = await standIn();
    const args = [
      'run',
      'docker-sandbox:clone',
      '--model',
      'replay',
      '--state',
      'warm',
      '--out',
      join(place.cwd, 'out'),
    ];
    const { stderr, exitCode } = await cagematch(ownHouse, args, {
      cwd: place.cwd,
      env: stand.env,
    });
    expect(stderr).toContain('none can wait for one');
    expect(exitCode).toBe(3);
    await stand.close();
  });

  it('has no such row over `docker sandbox`, which knows no clones', async () => {
    const stand = await standIn('docker sandbox');
    const args = [
      'run',
      'docker-sandbox:clone',
      '--model',
      'replay',
      '--out',
      join(place.cwd, 'out'),
    ];
    const { stderr } = await cagematch(ownHouse, args, { cwd: place.cwd, env: stand.env });
    expect(stderr).toContain('no variant clone');
    await stand.close();
  });
});

describe('a clone', () => {
  let stand: Awaited<ReturnType<typeof standIn>>;
  let ctx: ReturnType<typeof contextOf>;
  let spec: ReturnType<typeof specOf>;
  beforeEach(async () => {
    stand = await standIn();
    ctx = contextOf('docker-sandbox', stand.env, { state: { cli: 'sbx' }, variant: 'clone' });
    spec = specOf(NAME);
  });
  afterEach(async () => {
    await dockerSandbox.destroy(ctx, { name: spec.name });
    spec.close();
    await stand.close();
  });
  const inside = (script: string) => ({
    argv: ['sh', '-c', script] as [string, ...string[]],
    env: {},
    secretEnv: {},
    cwd: dockerSandbox.layout(ctx, spec.host).workspace,
  });

  it('has the workspace as a commit; what is made in it comes back without its `.git`, what is removed is gone', async () => {
    const { workspace } = spec.host;
    mkdirSync(join(workspace, 'deep/er'), { recursive: true });
    writeFileSync(join(workspace, 'deep/er/seed.txt'), 'seed\n');
    writeFileSync(join(workspace, 'run.sh'), '#!/bin/sh\necho ran\n');
    chmodSync(join(workspace, 'run.sh'), 0o755);
    symlinkSync('run.sh', join(workspace, 'link'));
    const { handle } = await dockerSandbox.launch(ctx, spec);
    const script =
      'git status --porcelain; git log --oneline | wc -l | tr -d " "; ./link; cat deep/er/seed.txt; echo made >made.txt; rm run.sh link; git config core.fsmonitor "touch pwned"';
    const ran = await readAll(dockerSandbox.exec(ctx, handle, inside(script)));
    expect(ran).toEqual({
      stdout: ['1', 'ran', 'seed'],
      stderr: [],
      end: { type: 'exit', code: 0 },
    });
    expect(readdirSync(workspace).sort()).toEqual(['deep', 'link', 'run.sh']);
    await dockerSandbox.collect(ctx, handle, workspace);
    expect(readdirSync(workspace).sort()).toEqual(['deep', 'made.txt']);
    expect(
      await commitsOf(dockerSandbox, ctx, handle, {
        workspace: join(dirname(spec.host.workspace), 'repository'),
      }),
    ).toBeUndefined();
  });

  it('gives back as a bundle what the agent committed in it, since its repository stays behind', async () => {
    writeFileSync(join(spec.host.workspace, 'seed.txt'), 'seed\n');
    const { handle } = await dockerSandbox.launch(ctx, spec);
    await readAll(
      dockerSandbox.exec(
        ctx,
        handle,
        inside('git -c user.name=a -c user.email=a@b commit -q --allow-empty -m "made inside"'),
      ),
    );
    const bundle = join(dirname(spec.host.workspace), 'brought.bundle');
    writeFileSync(
      bundle,
      (await commitsOf(dockerSandbox, ctx, handle, {
        workspace: join(dirname(spec.host.workspace), 'repository'),
      })) ?? '',
    );
    const clone = join(dirname(spec.host.workspace), 'clone');
    await execa('git', ['clone', '--quiet', '--bare', bundle, clone]);
    expect((await execa('git', ['-C', clone, 'log', '-1', '--format=%s'])).stdout).toBe(
      'made inside',
    );
  });

  it('never sees a `.git` of the workspace on the host: its files go over the clone, and come back as they are', async () => {
    const { workspace } = spec.host;
    await execa('git', ['init', '--quiet', '--initial-branch', 'theirs', workspace]);
    writeFileSync(
      join(workspace, '.git/config'),
      '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch pwned\n',
    );
    mkdirSync(join(workspace, 'empty'));
    writeFileSync(join(workspace, 'file'), 'text\n');
    const { handle } = await dockerSandbox.launch(ctx, spec);
    // The runtime's client has this host's git look at it, so it holds objects and settings of ours
    // alone.
    const repository = join(dirname(workspace), 'repository');
    expect(readdirSync(repository)).toEqual(['.git']);
    expect(readFileSync(join(repository, '.git/config'), 'utf8')).not.toContain('fsmonitor');
    const ran = await readAll(
      dockerSandbox.exec(
        ctx,
        handle,
        inside('cat .git/HEAD file; ls -d empty; ls .git/refs/remotes'),
      ),
    );
    expect(ran.stdout).toEqual(['ref: refs/heads/theirs', 'text', 'empty']);
    await dockerSandbox.collect(ctx, handle, workspace);
    expect(existsSync(join(workspace, '.git/HEAD'))).toBe(true);
    expect(existsSync(join(workspace, 'pwned'))).toBe(false);
    expect(lstatSync(join(workspace, 'empty')).isDirectory()).toBe(true);
  });

  it('that names a place outside is refused, and the workspace stays as it was', async () => {
    const { workspace } = spec.host;
    writeFileSync(join(workspace, 'file'), 'text\n');
    const { handle } = await dockerSandbox.launch(ctx, spec);
    await readAll(dockerSandbox.exec(ctx, handle, inside('ln -s /etc/passwd out')));
    await expect(dockerSandbox.collect(ctx, handle, workspace)).rejects.toMatchObject({
      code: 'collect-failed',
    });
    expect(readdirSync(workspace)).toEqual(['file']);
  });
});
