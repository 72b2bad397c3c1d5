// The clients that this process is running for each sandbox: what a handle, which is plain data,
// cannot hold.
import type { Context, Listed } from '../contract.js';
import { pidsOf } from '../os/processes.js';
import type { LocalStream } from '../os/stream.js';

/** By the sandbox's name, which is unique on this machine. */
const running = new Map<string, Set<LocalStream>>();

/** Remembers a client until it has ended. @returns the client */
export function noteClient(sandbox: string, client: LocalStream): LocalStream {
  const clients = running.get(sandbox) ?? new Set();
  running.set(sandbox, clients.add(client));
  void client.ended.then(() => {
    clients.delete(client);
    if (clients.size === 0 && running.get(sandbox) === clients) running.delete(sandbox);
  });
  return client;
}

/**
 * The roots of a sandbox that consists of processes: those that this process has started, or else
 * every one that `list` finds.
 */
export async function rootsOf(
  ctx: Context,
  sandbox: string,
  list?: (ctx: Context) => Promise<Listed[]>,
): Promise<number[]> {
  const own = clientsOf(sandbox).flatMap(({ pid }) => pid ?? []);
  return own.length > 0 ? own : pidsOf(ctx, sandbox, list);
}

export function clientsOf(sandbox: string): LocalStream[] {
  return [...(running.get(sandbox) ?? [])];
}
