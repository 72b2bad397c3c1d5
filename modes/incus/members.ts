// The machines that a runtime spreads sandboxes over: which takes the next one, and word of one that is lost while it holds some.
import type { Closable, ExecEvent } from '../../lib/contract.js';
import { CagematchError, messageOf } from '../../lib/errors.js';
import type { LocalStream } from '../../lib/os/exec.js';

export interface Member {
  /** As the runtime names it. */
  name: string;
  online: boolean;
  /** The runtime's own words on it. */
  says: string;
}

export interface Members extends Closable {
  /**
   * Where a sandbox goes: to the member that was asked for, or else to the one online that holds the fewest of ours, in turns.
   * @throws `launch-failed` where that member, or every one, is offline or not there
   */
  place(sandbox: string, target?: string): string;
  /** Where it went; undefined for one that was never placed here. */
  placeOf(sandbox: string): string | undefined;
  /** Why nothing more can be done with a sandbox; undefined while its member is there. */
  whyLost(sandbox: string): string | undefined;
  /** Resolves with that, once it is so. */
  lost(sandbox: string): Promise<string>;
  /** The way to a sandbox broke off, before the runtime has missed its member: for a while no other one goes there, where there is a choice. */
  suspect(sandbox: string): void;
  /** The sandbox is gone. */
  left(sandbox: string): void;
}

/** How often is asked who is there. */
const LOOK_MS = 2000;
/** How often in a row the runtime may fail to answer that. */
const MAX_SILENT = 3;
/** A runtime misses a member that says nothing any more only after some time. */
const SUSPECT_MS = 30_000;

/** @param ask who is there; throws where the runtime does not answer */
export async function watchMembers(ask: () => Promise<Member[]>): Promise<Members> {
  let members = await ask();
  let silent = 0;
  let unheard: string | undefined;
  let closed = false;
  const placed = new Map<string, string>();
  const turns = new Map<string, number>();
  const suspected = new Map<string, number>();
  const waiting = new Set<() => void>();

  const whyGone = (name: string): string | undefined => {
    if (unheard !== undefined) return unheard;
    const member = members.find((one) => one.name === name);
    return member?.online ? undefined : `member ${name} is lost: ${member?.says ?? 'it is no member any more'}`;
  };
  const whyLost = (sandbox: string) => {
    const name = placed.get(sandbox);
    return name === undefined ? undefined : whyGone(name);
  };
  const look = async () => {
    try {
      members = await ask();
      silent = 0;
      unheard = undefined;
    } catch (error) {
      silent += 1;
      if (silent >= MAX_SILENT) unheard = messageOf(error);
    }
    if (closed) return;
    for (const tell of waiting) tell();
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
      const held = (name: string) => [...placed.values()].filter((one) => one === name).length;
      const before = (name: string) => turns.get(name) ?? 0;
      const isSuspect = (name: string) => Number((suspected.get(name) ?? 0) > Date.now());
      const [next] = online.toSorted(
        (a, b) => isSuspect(a) - isSuspect(b) || held(a) - held(b) || before(a) - before(b) || a.localeCompare(b),
      );
      const name = target ?? next;
      if (name === undefined) throw new CagematchError('launch-failed', unheard ?? 'no member is online');
      const why = whyGone(name);
      if (why !== undefined)
        throw new CagematchError('launch-failed', why, online.length > 0 ? `target: ${online.join(' | ')}` : undefined);
      placed.set(sandbox, name);
      turns.set(name, before(name) + 1);
      return name;
    },
    placeOf: (sandbox) => placed.get(sandbox),
    whyLost,
    lost(sandbox) {
      return new Promise((resolve) => {
        const tell = () => {
          const why = whyLost(sandbox);
          if (why !== undefined) resolve(why);
          if (why !== undefined || !placed.has(sandbox)) waiting.delete(tell);
        };
        waiting.add(tell);
        tell();
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

/** What a client prints, until it ends or its sandbox is lost: a connection to one that is lost may be silent for ever. */
export async function* untilLost(client: LocalStream, lost: Promise<string>): AsyncGenerator<ExecEvent> {
  let why: string | undefined;
  void lost.then((reason) => {
    why = reason;
    client.kill();
  });
  for await (const event of client)
    yield event.type === 'line' || why === undefined ? event : { type: 'lost', reason: why, atMs: event.atMs };
}
