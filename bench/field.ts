// The field that benchmarks play on: real modes made ready in this process, with a gateway of their own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context, Env, Mode, Reach } from '../lib/contract.js';
import { killAll } from '../lib/exec.js';
import { loadEnv } from '../lib/match/config.js';
import { contextFor, createKeeper, type Keeper, type Surroundings } from '../lib/match/context.js';
import { detectAll } from '../lib/match/detect.js';
import { newMatchId } from '../lib/match/match.js';
import type { PlannedEntry } from '../lib/match/plan.js';
import { loadModes, parseWanted } from '../lib/match/registry.js';
import { replayAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { createGateway, type Gateway } from '../lib/model/gateway.js';
import { packageRoot } from '../lib/package.js';
import type { Task } from '../lib/task/task.js';

/** One row, ready to run. */
export interface Row {
  entry: string;
  mode: Mode;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
}

export interface Field {
  matchId: string;
  task: Task;
  around: Surroundings;
  keeper: Keeper;
  gateway: Gateway;
  /** For whatever a benchmark writes; gone with the field. */
  folder: string;
  /** @throws when the runtime is not ready here */
  row(entry: string): Promise<Row>;
  close(): Promise<void>;
}

/** The caller's environment over the checkout's .env, where the rig writes how its runtimes are reached. */
export function fieldEnv(): Env {
  return loadEnv(packageRoot, process.env);
}

/** A folder that only benchmarks know; whoever asks for one removes it. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'bench-'));
}

export function openField(task: Task, env: Env = fieldEnv()): Field {
  const matchId = newMatchId();
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const around: Surroundings = {
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
  return {
    matchId,
    task,
    around,
    keeper,
    gateway,
    folder,
    async row(entry) {
      const { mode, variant } = parseWanted(await loadModes(), entry);
      const [found] = await detectAll([mode], () => contextFor(around, keeper, mode.id));
      if (found?.detection.status !== 'ready') throw new Error(`${entry} is not ready: ${found?.detection.reason}`);
      const ctx = contextFor(around, keeper, mode.id, { variant, facts: found.detection.facts });
      await mode.prepare(ctx);
      const reach = await mode.reach(ctx);
      if (reach.via === 'inside') return { entry, mode, ctx, reach, gatewayPort: undefined };
      const gatewayPort = await gateway.listen(reach.listen).finally(() => reach.release?.());
      return { entry, mode, ctx, reach, gatewayPort };
    },
    async close() {
      await gateway.close();
      await keeper.closeAll();
      killAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A ready row as a match takes it; under a name of its own, where the same mode plays twice. */
export function planned(row: Row, entry: string = row.entry): PlannedEntry {
  const { mode, ctx } = row;
  return {
    entry,
    mode: mode.id,
    ...(ctx.variant === undefined ? {} : { variant: ctx.variant }),
    options: {},
    state: 'prepared',
    task: 'hello',
    letter: mode.letter,
    title: mode.title,
    isolation: mode.isolation,
    workspace: mode.workspace,
    required: true,
    standIn: false,
    adapter: mode,
    facts: ctx.facts,
  };
}
