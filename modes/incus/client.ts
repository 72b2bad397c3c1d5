// The incus command line, and the facts about its server that all parts of this mode use.

import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { capture, output, succeeded, whyFailed } from '../../lib/os/capture.js';

export interface IncusState {
  /** The server is, or may be, on another machine. */
  far: boolean;
  /** The members of a cluster; absent: the server is none. */
  members?: { name: string; online: boolean }[];
  /** The server runs OCI images. */
  oci: boolean;
}

export type IncusContext = Context<IncusState>;

export const VM = 'vm';

export const LAYOUT = { workspace: '/workspace', home: '/home/agent', memory: '/dev/shm' } as const;

export const AGENT_USER = { uid: 1000, gid: 1000 };

export const QUICK_MS = 15_000;

export interface Server {
  auth?: string;
  auth_user_method?: string;
  api_extensions?: string[];
  environment?: {
    server_version?: string;
    server_name?: string;
    server_clustered?: boolean;
    driver?: string;
    driver_version?: string;
    storage?: string;
    storage_version?: string;
    kernel_features?: Record<string, string>;
  };
}

/**
 * True if the server is, or may be, on another machine: instances then have neither this host's
 * files nor a route to its gateway.
 */
export function isFar(ctx: IncusContext): boolean {
  return ctx.state?.far ?? false;
}

export function isClustered(ctx: IncusContext): boolean {
  return ctx.state?.members !== undefined;
}

/** stdin is never inherited from the caller: `launch` reads settings from it. */
export function incus(
  ctx: IncusContext,
  args: string[],
  timeoutMs: number,
  input = '',
  signal?: AbortSignal,
) {
  return capture(['incus', ...args], {
    env: ctx.env,
    timeoutMs,
    input,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** @throws `options.code` with the daemon's own message */
export function must(
  ctx: IncusContext,
  args: string[],
  timeoutMs: number,
  options: {
    input?: string;
    code?: CagematchError['code'];
    hint?: string;
    signal?: AbortSignal;
  } = {},
): Promise<string> {
  return output(['incus', ...args], {
    env: ctx.env,
    timeoutMs,
    input: '',
    code: 'launch-failed',
    ...options,
  });
}

/** Waits for the agent in a virtual machine: no commands can be run before it is up. */
export async function agentUp(ctx: IncusContext, name: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const tried = await incus(ctx, ['exec', name, '--', 'true'], QUICK_MS);
    if (succeeded(tried)) return;
    if (Date.now() > deadline)
      throw new CagematchError(
        'launch-failed',
        `${name} boots, but takes no commands: ${whyFailed(tried)}`,
      );
    await pause(250);
  }
}

/** Removes an instance and confirms that it is gone. False if it was already gone. */
export async function remove(ctx: IncusContext, name: string): Promise<boolean> {
  const removal = await incus(ctx, ['delete', '--force', name], 60_000);
  const left = await incus(ctx, ['query', `/1.0/instances/${name}`], QUICK_MS);
  if (succeeded(left))
    throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`);
  if (!/not found/i.test(left.stderr))
    throw new CagematchError(
      'destroy-failed',
      `cannot determine whether ${name} is gone: ${whyFailed(left)}`,
    );
  return succeeded(removal);
}

export function vmFlag(ctx: IncusContext): string[] {
  return ctx.variant === VM ? ['--vm'] : [];
}

/** The settings of an instance that record its labels and host. */
export function labelled(ctx: IncusContext): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...ctx.labels, host: hostname() }).map(([key, value]) => [
      `user.cagematch.${key}`,
      value,
    ]),
  );
}
