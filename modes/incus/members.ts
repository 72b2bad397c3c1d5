// The machines that a runtime spreads sandboxes over: choosing one for the next sandbox, noticing
// when a machine with sandboxes is lost.
import type { Closable, ExecEvent } from '../../lib/contract.js';
import { CagematchError, messageOf } from '../../lib/errors.js';
import type { LocalStream } from '../../lib/os/stream.js';

export interface Member {
  /** The runtime's name for the member. */
  name: string;
  online: boolean;
  /** The status that the runtime reports for the member. */
  status: string;
}

export interface Members extends Closable {
  /**
   * Chooses where a sandbox goes: to the requested member, otherwise to the online member that
   * holds the fewest of ours, in rotation.
   * @throws `launch-failed` if that member, or every member, is offline or missing
   */
  place(sandbox: string, target?: string): string;
  /**
   * Records where a sandbox is that another process has placed; without effect if the member is not
   * known, or the sandbox is.
   */
  found(sandbox: string, member: string | undefined): void;
  /** The member that holds a sandbox; undefined if the sandbox was never placed here. */
  placeOf(sandbox: string): string | undefined;
  /** Why a sandbox can no longer be reached; undefined while its member is available. */
  whyLost(sandbox: string): string | undefined;
  /** Resolves with the reason of `whyLost`, once there is one. */
  lost(sandbox: string): Promise<string>;
  /**
   * Marks a member as suspect after the connection to a sandbox broke but before the runtime has
   * noticed: for a while no further sandbox is placed there if another member is available.
   */
  suspect(sandbox: string): void;
  /** Records that the sandbox is gone. */
  left(sandbox: string): void;
}

/** Interval between queries for the list of members, in ms. */
const LOOK_MS = 2000;
/** How many of these queries in a row may fail. */
const MAX_SILENT = 3;
/**
 * How long a member stays suspect, in ms: a runtime notices only after some time that a member no
 * longer responds.
 */
const SUSPECT_MS = 30_000;

/** @param ask returns the members; throws if the runtime does not answer */
export async function watchMembers(ask: () => Promise<Member[]>): Promise<Members> {
  let members = await ask();
  let silent = 0;
  let queryFailure: string | undefined;
  let closed = false;
  const placed = new Map<string, string>();
  const turns = new Map<string, number>();
  const suspected = new Map<string, number>();
  const waiting = new Set<() => void>();

  const whyGone = (name: string): string | undefined => {
    if (queryFailure !== undefined) return queryFailure;
    const member = members.find((other) => other.name === name);
    return member?.online
      ? undefined
      : `member ${name} is lost: ${member?.status ?? 'it is no longer a member'}`;
  };
  const whyLost = (sandbox: string) => {
    const name = placed.get(sandbox);
    return name === undefined ? undefined : whyGone(name);
  };
  const look = async () => {
    try {
      members = await ask();
      silent = 0;
      queryFailure = undefined;
    } catch (error) {
      silent += 1;
      if (silent >= MAX_SILENT) queryFailure = messageOf(error);
    }
    if (closed) return;
    for (const notify of waiting) notify();
    next();
  };
  let timer: NodeJS.Timeout | undefined;
  const next = () => {
    timer = setTimeout(look, LOOK_MS).unref();
  };
  next();

  return {
    place(sandbox, target) {
      const online = members.map(({ name }) => name).filter((name) => whyGone(name) === undefined);
      const load = (name: string) =>
        [...placed.values()].filter((member) => member === name).length;
      const before = (name: string) => turns.get(name) ?? 0;
      const isSuspect = (name: string) => Number((suspected.get(name) ?? 0) > Date.now());
      const [next] = online.toSorted(
        (a, b) =>
          isSuspect(a) - isSuspect(b) ||
          load(a) - load(b) ||
          before(a) - before(b) ||
          a.localeCompare(b),
      );
      const name = target ?? next;
      if (name === undefined)
        throw new CagematchError('launch-failed', queryFailure ?? 'no member is online');
      const why = whyGone(name);
      if (why !== undefined)
        throw new CagematchError(
          'launch-failed',
          why,
          online.length > 0 ? `target: ${online.join(' | ')}` : undefined,
        );
      placed.set(sandbox, name);
      turns.set(name, before(name) + 1);
      return name;
    },
    found(sandbox, member) {
      if (member !== undefined && !placed.has(sandbox)) placed.set(sandbox, member);
    },
    placeOf: (sandbox) => placed.get(sandbox),
    whyLost,
    lost(sandbox) {
      return new Promise((resolve) => {
        const notify = () => {
          const why = whyLost(sandbox);
          if (why !== undefined) resolve(why);
          if (why !== undefined || !placed.has(sandbox)) waiting.delete(notify);
        };
        waiting.add(notify);
        notify();
      });
    },
    suspect(sandbox) {
      const name = placed.get(sandbox);
      if (name !== undefined) suspected.set(name, Date.now() + SUSPECT_MS);
    },
    left: (sandbox) => void placed.delete(sandbox),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Yields the client's output until it ends or its sandbox is lost: a connection to a lost sandbox
 * may stay silent forever.
 */
export async function* untilLost(
  client: LocalStream,
  lost: Promise<string>,
): AsyncGenerator<ExecEvent> {
  let why: string | undefined;
  void lost.then((reason) => {
    why = reason;
    client.kill();
  });
  for await (const event of client)
    yield event.type === 'line' || why === undefined
      ? event
      : { type: 'lost', reason: why, atMs: event.atMs };
}
