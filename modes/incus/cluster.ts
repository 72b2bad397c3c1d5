// The machines behind a remote server: the members of a cluster, or that one server.
import { CagematchError } from '../../lib/errors.js';
import { parseJson } from '../../lib/json.js';
import { whyFailed } from '../../lib/os/capture.js';
import { type IncusContext, incus, isClustered, isFar, QUICK_MS, type Server } from './client.js';
import { type Member, type Members, watchMembers } from './members.js';

/** @throws `not-ready` if the daemon does not list the members */
export async function askMembers(ctx: IncusContext, timeoutMs: number): Promise<Member[]> {
  const result = await incus(ctx, ['query', '/1.0/cluster/members?recursion=1'], timeoutMs);
  const members = parseJson<{ server_name: string; status: string; message: string }[]>(
    result.stdout,
  );
  if (!Array.isArray(members))
    throw new CagematchError(
      'not-ready',
      `the cluster does not list its members: ${whyFailed(result)}`,
    );
  return members.map(({ server_name: name, status, message }) => ({
    name,
    online: status === 'Online',
    status: `${status}: ${message}`,
  }));
}

/** A server without a cluster is its own only member. */
async function askServer(ctx: IncusContext): Promise<Member[]> {
  const result = await incus(ctx, ['query', '/1.0'], QUICK_MS);
  const server = parseJson<Server>(result.stdout);
  if (!server)
    throw new CagematchError(
      'not-ready',
      `the Incus server does not answer any more: ${whyFailed(result)}`,
    );
  return [{ name: server.environment?.server_name ?? '', online: true, status: '' }];
}

/** Undefined if sandboxes run on this machine. */
export async function membersOf(ctx: IncusContext): Promise<Members | undefined> {
  if (!isFar(ctx)) return undefined;
  return ctx.keep('members', () =>
    watchMembers(() => (isClustered(ctx) ? askMembers(ctx, QUICK_MS) : askServer(ctx))),
  );
}

/** The members that may host sandboxes of this row. */
export async function takers(ctx: IncusContext): Promise<string[]> {
  const { target } = ctx.options;
  const members = await askMembers(ctx, QUICK_MS);
  return members.flatMap(({ name, online }) => (online && (target ?? name) === name ? [name] : []));
}

/**
 * Total free memory in bytes. Sandboxes are spread evenly, so the member with the least free memory
 * limits all of them.
 */
export async function room(ctx: IncusContext): Promise<number | undefined> {
  if (!isClustered(ctx)) return undefined;
  const free = await Promise.all(
    (await takers(ctx)).map(async (name) => {
      const state = await incus(ctx, ['query', `/1.0/cluster/members/${name}/state`], QUICK_MS);
      const { free_ram = 0, buffered_ram = 0 } =
        parseJson<{ sysinfo?: Record<string, number> }>(state.stdout)?.sysinfo ?? {};
      return free_ram + buffered_ram;
    }),
  );
  return Math.min(...free) * free.length;
}
