// What a match and a probe have around them: interrupts, the runtimes' clients, the gateway. Opened before, closed after, whatever happens.
import type { Context, Env, Mode } from '../lib/contract.js';
import { killAll } from '../lib/exec.js';
import { onInterrupt } from '../lib/match/cleanup.js';
import { readOwnInputs } from '../lib/match/config.js';
import { contextFor, createKeeper, type Surroundings } from '../lib/match/context.js';
import { type Detected, detectAll } from '../lib/match/detect.js';
import { newMatchId } from '../lib/match/match.js';
import type { PlannedEntry } from '../lib/match/plan.js';
import { type Answer, createGateway, type Gateway } from '../lib/model/gateway.js';
import { makeClientsFolder, removeFolder } from '../lib/owner.js';
import { EXIT, type Io } from './io.js';

export interface Session {
  /** Of the match or the probe. */
  id: string;
  /** The caller's environment, whole. */
  env: Env;
  gateway: Gateway;
  /** Aborted by the user, and by `stop`. */
  signal: AbortSignal;
  interrupted(): boolean;
  /** Called when no sandbox is left: from then on an interrupt ends the process at once. */
  sandboxesGone(): void;
  /** Ends the work in order, as the user would; what is finished is kept. */
  stop(): void;
  detect(modes: Iterable<Mode>): Promise<Detected[]>;
  /** @param more joins the user's environment */
  contextOf(entry: PlannedEntry, more?: Env): Context;
}

interface Progress {
  say(line: string): void;
  end(): void;
}

/**
 * @param answer how the gateway answers
 * @throws `bad-input` where the temporary folder cannot be written
 */
export async function inSession(io: Io, progress: Progress, answer: Answer, work: (session: Session) => Promise<number>): Promise<number> {
  const { gatewayPort } = readOwnInputs(io.env);
  // Whatever can fail comes before the interrupt, which keeps Node running.
  const clients = makeClientsFolder();
  const interrupt = onInterrupt(progress.say, () => io.leave(EXIT.interrupted));
  const stop = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, stop.signal]);
  const id = newMatchId();
  const { platform, uid } = io;
  const around: Surroundings = { env: { ...io.env, TMPDIR: clients }, platform, uid, match: id, signal, say: progress.say };
  const keeper = createKeeper();
  const gateway = createGateway(answer, { port: gatewayPort });
  try {
    return await work({
      id,
      env: io.env,
      gateway,
      signal,
      interrupted: () => interrupt.signal.aborted,
      sandboxesGone: () => interrupt.sandboxesGone(),
      stop: () => stop.abort(),
      detect: (modes) => detectAll(modes, (mode) => contextFor(around, keeper, mode)),
      contextOf({ adapter, variant, options, facts, standIn }, more) {
        // What a stand-in's time would have cost is no finding either.
        const say = standIn ? (line: string) => progress.say(`${line} (stand-in)`) : progress.say;
        return contextFor({ ...around, say, env: { ...around.env, ...more } }, keeper, adapter, { variant, options, facts });
      },
    });
  } finally {
    progress.end();
    await gateway.close();
    await keeper.closeAll();
    killAll();
    removeFolder(clients);
    interrupt.dispose();
  }
}
