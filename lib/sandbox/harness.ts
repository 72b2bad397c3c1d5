// The lifecycle around a command: interrupts, the runtimes' clients, the gateway. Opened before its
// work and always closed after it.
import type { Context, Env, Mode } from '../contract.js';
import { type Answer, createGateway, type Gateway } from '../model/gateway.js';
import { inScope, killScope } from '../os/children.js';
import { makeClientsFolder, removeFolder } from '../os/owner.js';
import { newMatchId } from '../record/match-id.js';
import { contextFor, createKeeper, type HarnessEnv } from './context.js';
import { type Detected, detectAll } from './detect.js';
import { onInterrupt } from './interrupts.js';
import type { PlannedRow } from './row.js';
import { readOwnInputs } from './settings.js';

export interface Harness {
  /** Id of the match or the probe. */
  id: string;
  /** The caller's full environment. */
  env: Env;
  gateway: Gateway;
  /** Aborted by the user or by `stop`. */
  signal: AbortSignal;
  interrupted(): boolean;
  /** To be called when no sandbox is left: from then on an interrupt ends the process at once. */
  sandboxesGone(): void;
  /** Stops the work in an orderly way, like an interrupt by the user; finished runs are kept. */
  stop(): void;
  detect(modes: Iterable<Mode>): Promise<Detected[]>;
  /** @param more variables to add to the user's environment */
  contextOf(entry: PlannedRow, more?: Env): Context;
}

/** The opener of a harness: a command or a server. */
interface Caller {
  env: Env;
  platform: NodeJS.Platform;
  uid: number | undefined;
  /** Ends the process at once, for a user who does not want to wait. */
  leave(code: number): never;
}

/** Exit code of a command that the user has interrupted. */
const INTERRUPTED = 130;

interface Progress {
  say(line: string): void;
  end(): void;
}

/**
 * @param answer how the gateway answers
 * @throws `bad-input` if the temporary folder cannot be written
 */
export function withHarness(
  caller: Caller,
  progress: Progress,
  answer: Answer,
  work: (harness: Harness) => Promise<number>,
): Promise<number> {
  return inScope(() => open(caller, progress, answer, work));
}

async function open(
  caller: Caller,
  progress: Progress,
  answer: Answer,
  work: (harness: Harness) => Promise<number>,
): Promise<number> {
  const { gatewayPort } = readOwnInputs(caller.env);
  // Whatever can fail comes before the interrupt handler, which keeps Node running.
  const clients = makeClientsFolder();
  const interrupt = onInterrupt(progress.say, () => caller.leave(INTERRUPTED));
  const stop = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, stop.signal]);
  const id = newMatchId();
  const { platform, uid } = caller;
  const harnessEnv: HarnessEnv = {
    env: { ...caller.env, TMPDIR: clients },
    platform,
    uid,
    match: id,
    signal,
    say: progress.say,
  };
  const keeper = createKeeper();
  const gateway = createGateway(answer, { port: gatewayPort });
  try {
    return await work({
      id,
      env: caller.env,
      gateway,
      signal,
      interrupted: () => interrupt.signal.aborted,
      sandboxesGone: () => interrupt.sandboxesGone(),
      stop: () => stop.abort(),
      detect: (modes) => detectAll(modes, (mode) => contextFor(harnessEnv, keeper, mode)),
      contextOf({ adapter, variant, options, runtimeState: state, standIn }, more) {
        // Costs computed from a stand-in's times are not findings either, so the line is marked.
        const say = standIn ? (line: string) => progress.say(`${line} (stand-in)`) : progress.say;
        return contextFor(
          { ...harnessEnv, say, env: { ...harnessEnv.env, ...more } },
          keeper,
          adapter,
          { variant, options, state },
        );
      },
    });
  } finally {
    progress.end();
    await gateway.close();
    await keeper.closeAll();
    killScope();
    removeFolder(clients);
    interrupt.dispose();
  }
}
