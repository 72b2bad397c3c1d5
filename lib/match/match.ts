// The flow of a match: prepare every row, run the rounds, sweep up. Emits events and prints
// nothing.
import type { Credential } from '../auth/credential.js';
import { canary } from '../auth/deliver.js';
import { type Audit, openAudit } from '../census/census.js';
import { monotonic } from '../clock.js';
import type { Context } from '../contract.js';
import type { Gateway } from '../model/gateway.js';
import { baselineFor } from '../record/baseline.js';
import { isGap } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import { folderBytes } from '../sandbox/drop-folder.js';
import { warnOfOrphans } from '../sandbox/orphans.js';
import { makeReady, type PreparedRow } from '../sandbox/prepare.js';
import { rounds } from '../sandbox/rounds.js';
import { type PlannedRow, sandboxName } from '../sandbox/row.js';
import { sweep } from '../sandbox/sweep.js';
import { stopper } from '../sandbox/time-limits.js';
import type { Task } from '../task/task.js';
import { appraise } from './appraise.js';
import { type Cell, cellsOf, type InStep, runWave, tailOf } from './burst.js';
import { type Room, roomHere } from './capacity.js';
import { createLevels, type Levels } from './levels.js';
import { runOnce } from './run.js';
import type { RunRequest, RunResult } from './run-settings.js';
import { FEWEST_ROUNDS, type Startups, tooWide } from './settle.js';
import { createPool, type Pool, runWarm } from './warm.js';

export interface MatchSettings {
  entries: PlannedRow[];
  contextOf(entry: PlannedRow): Context;
  record: Recorder;
  gateway: Gateway;
  taskOf(entry: PlannedRow): Task;
  model: 'replay' | 'live';
  /** Base URL of the live API, for guests that call it directly. */
  upstream?: string;
  /** The user's own credential in live mode. If absent, a canary replaces it. */
  credential?: Credential;
  matchId: string;
  seed: number;
  /** Maximum number of counted rounds (without warm-up). */
  runs: number;
  /** `precise`: stop earlier, once every row's startup is known precisely enough. */
  until: 'count' | 'precise';
  warmup: number;
  /** Highest level of a burst: how many runs of one row start at once. 1 means no burst. */
  concurrency: number;
  timeoutMs: number;
  signal: AbortSignal;
  /** Also inspect one idle sandbox of each row: its programs, its user and its limits. */
  lookInside?: boolean;
  /** Stores a run's git bundle, and returns its path. */
  keepBundle?(run: string, bundle: Buffer): string;
  /** Returns what is free on this machine; called before a burst level is first run. */
  room?(): Room;
  /** Detects what runs have left behind. If absent, an audit of this machine is opened. */
  audit?: Audit;
}

type Settled = MatchSettings & Required<Pick<MatchSettings, 'audit' | 'credential'>>;

/** A row that is ready, and what is learned about it during the match. */
interface Row extends PreparedRow {
  /** Its idle sandboxes between runs; undefined unless the row is warm. */
  pool: Pool | undefined;
  levels: Levels;
  imageTold: boolean;
  otherAgentTold: boolean;
}

/**
 * Runs all rounds of all rows that can be prepared. If the signal aborts, it ends early and keeps
 * the finished runs.
 */
export async function runMatch(given: MatchSettings): Promise<void> {
  // All rows share one audit: the census after a run is also the census before the next.
  const settings: Settled = {
    ...given,
    audit: given.audit ?? openAudit(),
    credential: given.credential ?? canary(),
  };
  const { signal } = settings;
  const begun: { entry: PlannedRow; ctx: Context }[] = [];
  const rows = new Map<string, Row>();
  const contexts = new Map(settings.entries.map((entry) => [entry, settings.contextOf(entry)]));
  await warnOfOrphans(
    [...contexts].map(([{ adapter }, ctx]) => ({ mode: adapter, ctx })),
    settings.record,
  );
  for (const [entry, ctx] of contexts) {
    if (signal.aborted) break;
    begun.push({ entry, ctx });
    const ready = await makeReady(entry, ctx, settings);
    if (ready) rows.set(entry.entry, toRow(settings, ready, await roomFor(settings, ready)));
  }
  // The first runs find their sandboxes already launched. A failed launch is counted as that run's
  // own failure.
  for (const { pool } of rows.values())
    if (pool && !signal.aborted) await launchAhead(settings, pool);
  await runRounds(settings, rows);
  for (const { pool } of rows.values()) await pool?.close();
  await appraiseAll(settings, rows);
  await sweep(begun, settings.matchId, settings.record);
}

/** Measures the rows' disk use. Rows that differ only in their label are measured once. */
async function appraiseAll(settings: Settled, rows: ReadonlyMap<string, Row>): Promise<void> {
  const { record, matchId, signal } = settings;
  const known = new Map<string, ReturnType<typeof appraise>>();
  for (const row of rows.values()) {
    const { entry } = row;
    if (signal.aborted) return;
    const same = JSON.stringify([entry.mode, entry.variant, entry.options]);
    const name = sandboxName(matchId, entry, 'disk');
    const asked =
      known.get(same) ??
      appraise(
        { ...row, mode: entry.adapter },
        { task: settings.taskOf(entry), signal, name, lookInside: settings.lookInside ?? false },
      );
    known.set(same, asked);
    const { disk, guest, problem } = await asked;
    if (signal.aborted) return;
    if (problem !== undefined)
      record.emit({
        type: 'warning',
        code: 'not-appraised',
        message: `${entry.entry}: ${problem}`,
      });
    record.emit({ type: 'appraised', entry: entry.entry, disk, guest });
  }
}

/** Returns the check for free room. Sandboxes on other machines use no memory of this one. */
async function roomFor(
  { concurrency, room = roomHere }: Settled,
  { entry, ctx }: PreparedRow,
): Promise<() => Room> {
  const { elsewhere, room: ask, title } = entry.adapter;
  if (!elsewhere || concurrency === 1) return room;
  const memoryBytes = (await ask?.(ctx).catch(() => undefined)) ?? Number.POSITIVE_INFINITY;
  return () => ({ ...room(), memoryBytes, memoryAt: `on ${title}` });
}

function toRow(settings: Settled, ready: PreparedRow, room: () => Room): Row {
  const { entry } = ready;
  const levels = createLevels(settings.concurrency, room, (level, reason) =>
    settings.record.emit({ type: 'level-left-out', entry: entry.entry, level, reason }),
  );
  const row: Row = {
    ...ready,
    pool: undefined,
    levels,
    imageTold: entry.state !== 'cold',
    otherAgentTold: false,
  };
  if (entry.state !== 'warm') return row;
  const nameOf = (tail: string) => sandboxName(settings.matchId, entry, tail);
  row.pool = createPool(
    {
      ...ready,
      mode: entry.adapter,
      task: settings.taskOf(entry),
      onFolder: weigher(settings, row),
    },
    nameOf,
  );
  return row;
}

async function launchAhead(settings: Settled, pool: Pool): Promise<void> {
  const stop = stopper(settings.signal, settings.timeoutMs);
  try {
    await stop.race(pool.take(0));
  } catch {
    await pool.drop(0);
  } finally {
    stop.clear();
  }
}

async function runRounds(settings: Settled, rows: ReadonlyMap<string, Row>): Promise<void> {
  const { record, signal, warmup } = settings;
  const cells = new Map(
    cellsOf([...rows.keys()], settings.concurrency).map((cell) => [cell.name, cell]),
  );
  const startups = new Map(
    [...cells.keys()].map((name): [string, Map<number, number[]>] => [name, new Map()]),
  );
  const referenceOf = referencesOf(settings, rows, cells);
  const last = warmup + settings.runs;
  let round = 0;
  for (const all of rounds(settings.seed, last, [...cells.keys()])) {
    round += 1;
    const order = all.filter((name) => {
      const { entry = '', level = 1 } = cells.get(name) ?? {};
      return rows.get(entry)?.levels.isOpen(level);
    });
    if (signal.aborted || order.length === 0) return;
    record.emit({ type: 'round-started', round, order });
    const queue = [...order];
    for (const name of queue) {
      const cell = cells.get(name);
      const row = rows.get(cell?.entry ?? '');
      if (signal.aborted || !cell || !row) return;
      const judged = row.levels.judge(cell.level);
      // By the end of the round, the row's first run has shown how much one run uses.
      if (judged === 'later') queue.push(name);
      if (judged !== 'run') continue;
      const passed = await runCell(settings, row, cell, { round, warmup: round <= warmup });
      if (round > warmup && passed.length > 0) startups.get(name)?.set(round, passed);
    }
    if (
      settings.until === 'precise' &&
      !signal.aborted &&
      isSettled(settings, startups, referenceOf, round, last)
    )
      return;
  }
}

/**
 * Finds the cell that each cell is compared with when a match runs until it is precise: the
 * baseline (or else the first comparable row) at the same level.
 */
function referencesOf(
  settings: Settled,
  rows: ReadonlyMap<string, Row>,
  cells: ReadonlyMap<string, Cell>,
) {
  const entries = [...rows.values()].map(({ entry }) => entry);
  return (name: string): string | undefined => {
    const cell = cells.get(name);
    const own = rows.get(cell?.entry ?? '')?.entry;
    if (!cell || !own) return undefined;
    const alike = entries.filter(({ task, state }) => task === own.task && state === own.state);
    const base = baselineFor(own, entries, settings.model) ?? alike[0];
    return [...cells.values()].find(
      ({ entry, level }) => entry === base?.entry && level === cell.level,
    )?.name;
  };
}

/** Emits `settled` when the match can stop. Cells without a passed run are not waited for. */
function isSettled(
  settings: Settled,
  startups: ReadonlyMap<string, Startups>,
  referenceOf: (name: string) => string | undefined,
  round: number,
  last: number,
): boolean {
  if (round < last && round - settings.warmup < FEWEST_ROUNDS) return false;
  const wide = tooWide(startups, referenceOf, settings.seed);
  const enough = round - settings.warmup >= FEWEST_ROUNDS && wide.length === 0;
  if (round < last && !enough) return false;
  const known = [...startups.values()].some((rounds) => rounds.size > 0);
  settings.record.emit({
    type: 'settled',
    round,
    how: enough && known ? 'precise' : 'limit',
    wide,
  });
  return true;
}

/** Runs one row at one level, once. Returns the startups of the runs that passed. */
async function runCell(
  settings: Settled,
  row: Row,
  cell: Cell,
  turn: { round: number; warmup: boolean },
): Promise<number[]> {
  const { record, signal, concurrency } = settings;
  const { entry, level } = cell;
  const startups: number[] = [];
  const wave = await runWave(level, monotonic, async (member, barrier) => {
    const result = await recordRun(settings, row, { ...turn, level, member }, barrier);
    if (result.outcome.status === 'passed' && !isGap(result.clocks.startup))
      startups.push(result.clocks.startup);
    return result;
  });
  // Extra idle sandboxes from the wave would slow the other rows.
  await row.pool?.close(1);
  // An interrupted wave is no evidence of how many runs fit at once.
  if (concurrency > 1 && !signal.aborted)
    record.emit({ type: 'wave-ended', entry, ...turn, level, ...wave });
  return startups;
}

async function recordRun(
  settings: Settled,
  row: Row,
  turn: { round: number; warmup: boolean; level: number; member: number },
  barrier: InStep,
): Promise<RunResult> {
  const { record } = settings;
  const { entry } = row;
  const { round, warmup, level, member } = turn;
  const tail = tailOf(round, level, member);
  const run = `${entry.entry}#${tail}`;
  const common = { run, entry: entry.entry, round, warmup, level };
  record.emit({ type: 'run-started', ...common });
  let bundle: string | undefined;
  const given: RunRequest = {
    mode: entry.adapter,
    state: entry.state,
    ctx: row.ctx,
    reach: row.reach,
    gatewayPort: row.gatewayPort,
    ...(row.upstream === undefined ? {} : { upstream: row.upstream }),
    gateway: settings.gateway,
    task: settings.taskOf(entry),
    deliver: entry.deliver,
    credential: settings.credential,
    timeoutMs: settings.timeoutMs,
    name: sandboxName(settings.matchId, entry, tail),
    signal: settings.signal,
    onPhase: (phase) => record.emit({ type: 'phase', run, phase }),
    onImage: (image) => {
      if (!row.imageTold) record.emit({ type: 'prepared', entry: entry.entry, ...image });
      row.imageTold = true;
    },
    onFolder: weigher(settings, row),
    onOtherAgent: (version) => {
      const message = `${entry.entry}: its agent says it is ${version.slice(0, 40)}, not ${row.ctx.agentVersion} as in the other rows`;
      if (!row.otherAgentTold) record.emit({ type: 'warning', code: 'other-agent', message });
      row.otherAgentTold = true;
    },
    onBundle: (brought) => {
      if (brought instanceof Error)
        record.emit({
          type: 'warning',
          code: 'no-bundle',
          message: `${run}: its commits are in no bundle: ${brought.message}`,
        });
      else bundle = settings.keepBundle?.(run, brought);
    },
    alone: level === 1,
    audit: settings.audit,
    ...barrier,
  };
  const result = row.pool ? await runWarm(given, row.pool, member - 1) : await runOnce(given);
  if (!isGap(result.cost) && !isGap(result.cost.memoryPeakBytes))
    row.levels.taken.memoryBytes = Math.max(
      row.levels.taken.memoryBytes ?? 0,
      result.cost.memoryPeakBytes,
    );
  record.emit({
    type: 'run-ended',
    ...common,
    ...result,
    ...(bundle === undefined ? {} : { bundle }),
  });
  return result;
}

/** In a burst, measures the size of one run's folder, once per row. */
function weigher(settings: Settled, row: Row): (folder: string) => void {
  return (folder) => {
    if (settings.concurrency > 1) row.levels.taken.folderBytes ??= folderBytes(folder);
  };
}
