// A dockerd of a test's own, with folders and a socket of its own: it may be killed and stopped while nobody else notices.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { Env } from '../../lib/contract.js';
import { capture } from '../../lib/exec.js';
import { mountsBelow } from '../../lib/mounts.js';

export interface OwnDaemon {
  /** The caller's environment, with this daemon as Docker's. */
  env: Env;
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** @param image what has to be there, taken from the daemon of `env` */
export async function openOwnDaemon(env: Env, image: string): Promise<OwnDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'own-dockerd-'));
  const socket = `unix://${join(folder, 'socket')}`;
  const own: Env = { ...env, DOCKER_HOST: socket };
  const containerd = join(folder, 'exec/containerd/containerd.pid');
  let child: ChildProcess | undefined;
  const run = (script: string, given: Env) => capture(['/bin/sh', '-c', script], { env: given, timeoutMs: 120_000 });
  const daemon: OwnDaemon = {
    env: own,
    async start() {
      const folders = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')];
      // No bridge and no rules: those of the machine's own daemon stay as they are.
      const network = ['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'];
      child = spawn('dockerd', [...folders, ...network, '-H', socket], { env, stdio: 'ignore', detached: true });
      await vi.waitFor(async () => expect((await run('docker version', own)).end).toEqual({ type: 'exit', code: 0 }), {
        timeout: 60_000,
        interval: 200,
      });
    },
    signal: (signal) => void child?.kill(signal),
    async kill() {
      const gone = new Promise((resolve) => child?.once('exit', resolve));
      child?.kill('SIGKILL');
      await gone;
    },
    async close() {
      await run('docker rm -f $(docker ps -aq)', own);
      const gone = new Promise((resolve) => (child?.exitCode === null ? child.once('exit', resolve) : resolve(undefined)));
      child?.kill('SIGCONT');
      child?.kill('SIGTERM');
      await gone;
      // One that was killed has left it behind, and the next one took it over.
      await run(`kill -9 $(cat ${containerd})`, own);
      for (const mount of mountsBelow(folder)) await run(`umount --lazy ${mount}`, own);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  await daemon.start();
  const loaded = await run(`DOCKER_HOST='${env.DOCKER_HOST ?? ''}' docker save ${image} | docker load`, own);
  if (loaded.end.type !== 'exit' || loaded.end.code !== 0) {
    await daemon.close();
    throw new Error(`the image could not be brought along: ${loaded.stderr}`);
  }
  return daemon;
}
