// What a mode is given to work with, and the things that live as long as a match.
import type { Closable, Context, EntryOptions, Env, Facts } from '../contract.js';
import { ownerOf } from '../owner.js';
import { agentVersion, packageRoot } from '../package.js';
import { agentBinary } from '../task/agent.js';
import { CREDENTIALS } from './config.js';

export interface Surroundings {
  env: Env;
  platform: NodeJS.Platform;
  uid: number | undefined;
  /** The id of the match; `none` outside one. */
  match: string;
  signal: AbortSignal;
  say(line: string): void;
}

/** Opened once, shared, closed together in reverse order. */
export interface Keeper {
  keep: Context['keep'];
  closeAll(): Promise<void>;
}

/** The agent's credentials are no runtime's business: its clients, and what they leave running, need not hold them. */
function withoutCredentials(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !CREDENTIALS.includes(name)));
}

export function createKeeper(): Keeper {
  const kept = new Map<string, Promise<Closable>>();
  return {
    keep<T extends Closable>(key: string, open: () => Promise<T> | T): Promise<T> {
      const found = kept.get(key) as Promise<T> | undefined;
      if (found) return found;
      const opening = Promise.resolve().then(open);
      kept.set(key, opening);
      opening.catch(() => kept.delete(key));
      return opening;
    },
    async closeAll() {
      for (const opening of [...kept.values()].reverse()) await opening.then((thing) => thing.close()).catch(() => {});
      kept.clear();
    },
  };
}

export function contextFor(
  around: Surroundings,
  keeper: Keeper,
  mode: string,
  options: { variant?: string | undefined; options?: EntryOptions; facts?: Facts } = {},
): Context {
  return {
    env: withoutCredentials(around.env),
    platform: around.platform,
    uid: around.uid,
    packageRoot,
    agentVersion,
    agentBinary: agentBinary(around.platform),
    labels: { match: around.match, mode, owner: ownerOf(process.pid) },
    variant: options.variant,
    options: options.options ?? {},
    facts: options.facts ?? {},
    signal: around.signal,
    say: around.say,
    keep: (key, open) => keeper.keep(`${mode}:${options.variant ?? ''} ${key}`, open),
  };
}
