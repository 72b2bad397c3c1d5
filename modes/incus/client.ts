// The incus command line, and what every part of this mode knows of the server behind it.
import { hostname } from 'node:os';
import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { capture, output, succeeded, whyFailed } from '../../lib/os/exec.js';

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

/** Is it elsewhere, or may it be: then it has neither this host's files nor a way to its gateway. */
export function isFar(ctx: Context): boolean {
  return ctx.facts.far === true;
}

export function isClustered(ctx: Context): boolean {
  return ctx.facts.members !== undefined;
}

/** stdin is never the caller's: `launch` reads settings from it. */
export function incus(ctx: Context, args: string[], timeoutMs: number, input = '', signal?: AbortSignal) {
  return capture(['incus', ...args], { env: ctx.env, timeoutMs, input, ...(signal === undefined ? {} : { signal }) });
}

/** @throws `options.code` with the daemon's own words */
export function must(
  ctx: Context,
  args: string[],
  timeoutMs: number,
  options: { input?: string; code?: CagematchError['code']; hint?: string; signal?: AbortSignal } = {},
): Promise<string> {
  return output(['incus', ...args], { env: ctx.env, timeoutMs, input: '', code: 'launch-failed', ...options });
}

/** A virtual machine takes commands only when the agent in it is up. */
export async function agentUp(ctx: Context, name: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const tried = await incus(ctx, ['exec', name, '--', 'true'], QUICK_MS);
    if (succeeded(tried)) return;
    if (Date.now() > deadline) throw new CagematchError('launch-failed', `${name} boots, but takes no commands: ${whyFailed(tried)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Gone, and confirmed. False when it was gone before. */
export async function remove(ctx: Context, name: string): Promise<boolean> {
  const removal = await incus(ctx, ['delete', '--force', name], 60_000);
  const left = await incus(ctx, ['query', `/1.0/instances/${name}`], QUICK_MS);
  if (succeeded(left)) throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`);
  if (!/not found/i.test(left.stderr))
    throw new CagematchError('destroy-failed', `whether ${name} is gone cannot be told: ${whyFailed(left)}`);
  return succeeded(removal);
}

export function vmFlag(ctx: Context): string[] {
  return ctx.variant === VM ? ['--vm'] : [];
}

/** An instance's settings that say whose it is. */
export function labelled(ctx: Context): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...ctx.labels, host: hostname() }).map(([key, value]) => [`user.cagematch.${key}`, value]));
}
