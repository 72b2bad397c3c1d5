// The environment of benchmarks: real modes prepared in this process, with their own gateway.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canary } from '../lib/auth/deliver.js';
import type { Context, Env, Mode, Reach } from '../lib/contract.js';
import type { Moments } from '../lib/match/measure.js';
import { type Asked, planMatch } from '../lib/match/plan.js';
import { runOnce } from '../lib/match/run.js';
import { replayAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { createGateway, type Gateway } from '../lib/model/gateway.js';
import { killAll } from '../lib/os/children.js';
import { packageRoot } from '../lib/package.js';
import { newMatchId } from '../lib/record/match-id.js';
import type { Clocks, State } from '../lib/record/types.js';
import { contextFor, createKeeper, type HarnessEnv, type Keeper } from '../lib/sandbox/context.js';
import { detectAll } from '../lib/sandbox/detect.js';
import { loadModes, parseWanted } from '../lib/sandbox/registry.js';
import type { PlannedRow } from '../lib/sandbox/row.js';
import { loadInputs } from '../lib/sandbox/settings.js';
import type { Task } from '../lib/task/task.js';

/** One row, ready to run. */
export interface Row {
  entry: string;
  mode: Mode;
  state: State;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
}

export interface Field {
  matchId: string;
  task: Task;
  around: HarnessEnv;
  keeper: Keeper;
  gateway: Gateway;
  /** Folder for files that a benchmark writes; removed when the field is closed. */
  folder: string;
  /** @throws if the runtime is not ready here */
  row(entry: string): Promise<Row>;
  /** Plans rows as for a match. @throws if a runtime is not ready here */
  plan(asked: readonly Asked[]): Promise<PlannedRow[]>;
  contextOf(entry: PlannedRow): Context;
  /**
   * Executes one run as a match does.
   * @param at filled with the run's moments
   * @throws if the run does not pass
   */
  run(row: Row, name: string, at?: Moments): Promise<Clocks>;
  close(): Promise<void>;
}

/**
 * Variables taken from the caller's environment: others may cost one side of a pair more than the
 * other (NODE_EXTRA_CA_CERTS: 33 ms).
 */
const TAKEN = /^(PATH|HOME|LANG|TMPDIR|DOCKER_HOST|CONTAINERS_CONF|INCUS_\w+|CAGEMATCH_\w+)$/;
const taken = Object.fromEntries(Object.entries(process.env).filter(([name]) => TAKEN.test(name)));

/**
 * A clean environment on top of the checkout's .env, in which the rig records how its runtimes are
 * reached.
 */
export const fieldEnv = (): Env => env;
const { env } = await loadInputs(packageRoot, taken);

/** Creates a folder for a benchmark; the caller has to remove it. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'bench-'));
}

export function openField(task: Task & { cassette: string }, env: Env = fieldEnv()): Field {
  const matchId = newMatchId();
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const around: HarnessEnv = {
    env,
    platform: process.platform,
    uid: process.getuid?.(),
    match: matchId,
    signal: stop.signal,
    say: (line) => console.error(line),
  };
  const keeper = createKeeper();
  const gateway = createGateway(replayAnswer(readCassette(task.cassette)));
  const folder = temporaryFolder();
  const contextOf: Field['contextOf'] = ({ adapter, variant, options, runtimeState: state }) =>
    contextFor(around, keeper, adapter, { variant, options, state });
  const plan: Field['plan'] = async (asked) => {
    const registry = await loadModes();
    const modes = new Set(asked.map(({ name }) => parseWanted(registry, name).mode));
    const { entries, missing } = planMatch(
      registry,
      await detectAll(modes, (mode) => contextFor(around, keeper, mode)),
      asked,
      [],
    );
    const [without] = missing;
    if (without) throw new Error(`${without.entry} is not ready: ${without.reason}`);
    return entries;
  };
  return {
    matchId,
    task,
    around,
    keeper,
    gateway,
    folder,
    plan,
    contextOf,
    async row(name) {
      const [entry] = await plan([{ name }]);
      if (!entry) throw new Error(`${name} has no row`);
      const { adapter: mode, state } = entry;
      const ctx = contextOf(entry);
      await mode.prepare(ctx);
      const reach = await mode.reach(ctx);
      if (reach.via === 'inside')
        return { entry: name, mode, state, ctx, reach, gatewayPort: undefined };
      const gatewayPort = await gateway.listen(reach.listen).finally(() => reach.release?.());
      return { entry: name, mode, state, ctx, reach, gatewayPort };
    },
    async run(row, name, at = {}) {
      const { outcome, clocks } = await runOnce({
        ...row,
        gateway,
        task,
        deliver: 'gateway',
        credential: canary(),
        timeoutMs: 60_000,
        name,
        signal: around.signal,
        onPhase() {},
        at,
      });
      if (outcome.status !== 'passed') throw new Error(outcome.message);
      return clocks;
    },
    async close() {
      await gateway.close();
      await keeper.closeAll();
      killAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
