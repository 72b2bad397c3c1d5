// A real dockerd that dies or stands still in the middle of a run: the sandbox is blamed, the other rows go on, and the next start leaves nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Moment } from '../../bench/faults/draw.js';
import { whatIsLeft } from '../../bench/faults/left.js';
import { watchRecord } from '../../bench/faults/witness.js';
import { fieldEnv } from '../../bench/field.js';
import { capture, which } from '../../lib/exec.js';
import { packageRoot } from '../../lib/package.js';
import docker from '../../modes/docker.js';
import { modeContext } from '../mode-context.js';
import { isRoot, ready } from './draws.js';
import { type OwnDaemon, openOwnDaemon } from './own-daemon.js';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 240_000 });

const CLI = join(packageRoot, 'dist/cli.js');
const env = fieldEnv();
/** Minutes, as every answer that does not come is waited for to its bound: by hand only, when it is asked for. */
const asked = process.env.CAGEMATCH_OWN_DOCKERD === '1';
const able = asked && isRoot && ready.includes('docker') && which('dockerd', env) !== undefined;

describe.skipIf(!able)('a dockerd of its own', () => {
  let daemon: OwnDaemon | undefined;
  let place: string;
  let harness: ChildProcess | undefined;

  beforeAll(async () => {
    const image = docker.runner?.({ ...modeContext('docker'), env }) ?? '';
    daemon = await openOwnDaemon(env, image);
    place = mkdtempSync(join(tmpdir(), 'fault-'));
    chmodSync(place, 0o755);
    // Without a bridge there is the host's network only.
    writeFileSync(join(place, 'match.yaml'), 'modes:\n  - host\n  - {mode: docker, network: host}\n');
  });
  afterAll(async () => {
    harness?.kill('SIGKILL');
    await daemon?.close();
    rmSync(place, { recursive: true, force: true });
  });

  /** A match of two rounds; `strike` is called when Docker's first run is in that phase. */
  async function match(moment: Moment, boundS: number, strike: () => void | Promise<void>) {
    const [tmp, out] = ['tmp', 'out'].map((name) => join(place, `${moment}-${name}`)) as [string, string];
    for (const one of [tmp, out]) mkdirSync(one);
    const given = { ...daemon?.env, TMPDIR: tmp };
    const args = ['run', '-f', 'match.yaml', '--runs', '2', '--seed', '1', '--model', 'replay', '--timeout', `${boundS}`, '--out', out];
    const child = spawn(process.execPath, [CLI, ...args], { cwd: place, env: given, stdio: 'ignore' });
    harness = child;
    const over = new Promise((resolve) => child.once('exit', resolve));
    const witness = watchRecord(out, over);
    expect(await witness.moment(moment, 'docker', 1)).toBe(true);
    await strike();
    await over;
    witness.close();
    const outcomes = witness.events.flatMap((event) => (event.type === 'run-ended' ? [{ entry: event.entry, ...event.outcome }] : []));
    const next = async () => {
      const clean = await capture([process.execPath, CLI, 'clean'], { env: given, cwd: place, timeoutMs: 60_000 });
      expect(clean.end, clean.stderr).toEqual({ type: 'exit', code: 0 });
      return whatIsLeft({ match: witness.match(), pid: child.pid ?? 0, tmp }, given);
    };
    return { ofDocker: outcomes.filter(({ entry }) => entry === 'docker'), others: outcomes.filter(({ entry }) => entry === 'host'), next };
  }

  test('that is killed in work: the sandbox is blamed, the other row passes, and once it is back clean leaves nothing', async () => {
    const { ofDocker, others, next } = await match('work', 20, () => daemon?.kill());
    expect(ofDocker[0]).toMatchObject({ status: 'failed', cause: 'sandbox' });
    expect(others.map(({ status }) => status)).toEqual(['passed', 'passed']);
    await daemon?.start();
    expect(await next()).toEqual([]);
  });

  test('that stands still in launch: the run ends by its bound and blames the sandbox; when it goes on, clean leaves nothing', async () => {
    const { ofDocker, others, next } = await match('launch', 5, () => daemon?.signal('SIGSTOP'));
    expect(ofDocker[0]).toMatchObject({ status: 'failed', cause: 'sandbox' });
    expect(others.map(({ status }) => status)).toEqual(['passed', 'passed']);
    daemon?.signal('SIGCONT');
    expect(await next()).toEqual([]);
  });
});
