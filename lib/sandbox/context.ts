// The context that a mode receives, and the resources that live as long as a match.

import type { Closable, Context, EntryOptions, Env, Mode } from '../contract.js';
import { clientEnv } from '../os/client-env.js';
import { thisOwner } from '../os/owner.js';
import { agentVersion, packageRoot } from '../package.js';
import { agentBinary } from '../task/agent.js';

export interface HarnessEnv {
  env: Env;
  platform: NodeJS.Platform;
  uid: number | undefined;
  /** The id of the match; `none` outside a match. */
  match: string;
  signal: AbortSignal;
  say(line: string): void;
}

/** Holds resources that are opened once, shared, and closed together in reverse order. */
export interface Keeper {
  keep: Context['keep'];
  closeAll(): Promise<void>;
}

/**
 * Keeps what is opened under a key until the keeper is closed. What failed to open is opened anew
 * when it is next asked for.
 */
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
      for (const opening of [...kept.values()].reverse())
        await opening.then((thing) => thing.close()).catch(() => {});
      kept.clear();
    },
  };
}

/** What a mode receives with each call; `env` is reduced to what the mode's clients may see. */
export function contextFor(
  harness: HarnessEnv,
  keeper: Keeper,
  mode: Pick<Mode, 'id' | 'inputs' | 'clientVariables'>,
  options: {
    variant?: string | undefined;
    options?: EntryOptions;
    state?: unknown;
    session?: string;
  } = {},
): Context {
  return {
    env: clientEnv(harness.env, mode),
    platform: harness.platform,
    uid: harness.uid,
    packageRoot,
    agentVersion,
    agentBinary: agentBinary(harness.platform),
    labels: {
      ...{ match: harness.match, mode: mode.id, owner: thisOwner() },
      ...(options.session === undefined ? {} : { session: options.session }),
    },
    variant: options.variant,
    options: options.options ?? {},
    state: options.state,
    signal: harness.signal,
    say: harness.say,
    keep: (key, open) => keeper.keep(`${mode.id}:${options.variant ?? ''} ${key}`, open),
  };
}
