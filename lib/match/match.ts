// The flow of a match: prepare every row, run the rounds, sweep up. Emits events; prints nothing.
import { createHash, randomBytes } from 'node:crypto';
import type { Context } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { Auth, EventOf } from '../record.js';
import type { Task } from '../task/task.js';
import { appraise } from './appraise.js';
import type { Recorder } from './events.js';
import { type PlannedEntry, rounds } from './plan.js';
import { makeReady, type Ready } from './ready.js';
import { runOnce } from './run.js';

export interface MatchSettings {
  entries: PlannedEntry[];
  contextOf(entry: PlannedEntry): Context;
  record: Recorder;
  gateway: Gateway;
  task: Task;
  model: 'replay' | 'live';
  matchId: string;
  seed: number;
  /** The most rounds that count. */
  runs: number;
  /** `precise`: fewer rounds, when every row's startup is known well enough before. */
  until: 'count' | 'precise';
  warmup: number;
  /** The highest level of a burst: how many runs of one row are started at once; 1: no burst. */
  concurrency: number;
  timeoutMs: number;
  signal: AbortSignal;
}

/** `20261121-031502-4f2a`: sorts by time, and tells two of one second apart. */
export function newMatchId(now: Date = new Date()): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${randomBytes(2).toString('hex')}`;
}

/** Runs all rounds of all rows that can be prepared. Ends early, with what is finished kept, when the signal says so. */
export async function runMatch(settings: MatchSettings): Promise<void> {
  const { record, signal } = settings;
  const ready: Ready[] = [];
  const begun: { entry: PlannedEntry; ctx: Context }[] = [];
  for (const entry of settings.entries) {
    if (signal.aborted) break;
    const ctx = settings.contextOf(entry);
    begun.push({ entry, ctx });
    const one = await makeReady(entry, ctx, { record, gateway: settings.gateway, model: settings.model, signal });
    if (one) ready.push(one);
  }
  const byName = new Map(ready.map((one) => [one.entry.entry, one]));
  const count = settings.warmup + settings.runs;
  let round = 0;
  for (const order of rounds(settings.seed, count, [...byName.keys()])) {
    round += 1;
    if (signal.aborted || order.length === 0) break;
    record.emit({ type: 'round-started', round, order });
    for (const name of order) {
      const one = byName.get(name);
      if (signal.aborted || !one) break;
      await recordRun(settings, one, round, round <= settings.warmup);
    }
  }
  await appraiseAll(settings, ready);
  await sweep(settings, begun);
}

/** What the rows take on disk. Rows that differ in their label alone are asked once. */
async function appraiseAll(settings: MatchSettings, ready: Ready[]): Promise<void> {
  const known = new Map<string, ReturnType<typeof appraise>>();
  for (const one of ready) {
    const { entry } = one;
    const { record, matchId, signal, task } = settings;
    if (signal.aborted) return;
    const same = JSON.stringify([entry.mode, entry.variant, entry.options]);
    const asked = known.get(same) ?? appraise({ ...one, mode: entry.adapter }, { task, signal, name: sandboxName(matchId, entry, 0) });
    known.set(same, asked);
    const { disk, problem } = await asked;
    if (signal.aborted) return;
    if (problem !== undefined) record.emit({ type: 'warning', code: 'not-appraised', message: `${entry.entry}: ${problem}` });
    record.emit({ type: 'appraised', entry: entry.entry, disk });
  }
}

async function recordRun(settings: MatchSettings, one: Ready, round: number, warmup: boolean): Promise<void> {
  const { record } = settings;
  const { entry } = one;
  const run = `${entry.entry}#${round}`;
  record.emit({ type: 'run-started', run, entry: entry.entry, round, warmup, level: 1 });
  const result = await runOnce({
    mode: entry.adapter,
    ctx: one.ctx,
    reach: one.reach,
    gatewayPort: one.gatewayPort,
    gateway: settings.gateway,
    task: settings.task,
    authPath: authPath(settings.model, entry),
    timeoutMs: settings.timeoutMs,
    name: sandboxName(settings.matchId, entry, round),
    signal: settings.signal,
    onPhase: (phase) => record.emit({ type: 'phase', run, phase }),
  });
  const ended: Omit<EventOf<'run-ended'>, 'atMs'> = {
    type: 'run-ended',
    run,
    entry: entry.entry,
    round,
    warmup,
    level: 1,
    ...result,
  };
  record.emit(ended);
}

/** Live, the credential itself stays with the gateway; in replay the run's token goes the way that the mode prefers. */
function authPath(model: 'replay' | 'live', entry: PlannedEntry): Auth['path'] {
  return model === 'live' ? 'gateway' : entry.adapter.auth[0];
}

/** A name that every runtime accepts: letters, digits and dashes, at most 63 long, a letter first. */
function sandboxName(matchId: string, entry: PlannedEntry, round: number): string {
  const clean = entry.entry.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  const room = 63 - `cagematch-${matchId}--${round}`.length;
  // What was replaced or is cut off is what tells names apart: docker@a is not docker-a.
  const whole = clean === entry.entry && clean.length <= room;
  const short = () => `${clean.slice(0, room - 7)}-${createHash('sha256').update(entry.entry).digest('hex').slice(0, 6)}`;
  return `cagematch-${matchId}-${whole ? clean : short()}-${round}`;
}

/** What an interrupted launch may have left after all: everything that bears this match's label goes. */
async function sweep(settings: MatchSettings, begun: { entry: PlannedEntry; ctx: Context }[]): Promise<void> {
  for (const { entry, ctx } of begun) {
    const calm: Context = { ...ctx, signal: new AbortController().signal };
    try {
      for (const listed of await entry.adapter.list(calm)) {
        if (listed.labels.match !== settings.matchId) continue;
        settings.record.emit({
          type: 'warning',
          code: 'swept',
          message: `${entry.entry}: removed ${listed.kind} ${listed.id}, which its run had left`,
        });
        await entry.adapter.reap(calm, listed);
      }
    } catch (error) {
      settings.record.emit({ type: 'warning', code: 'unswept', message: `${entry.entry}: ${messageOf(error)}` });
    }
  }
}
