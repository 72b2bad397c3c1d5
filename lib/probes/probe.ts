// The flow of a probe: prepare every row, run the selected probes in it, sweep up. Emits events;
// prints nothing.
import type { Context, Env } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Gateway } from '../model/gateway.js';
import type { ProbeName, UnstampedProbe } from '../record/probe.js';
import type { Recorder } from '../record/write.js';
import { makeReady } from '../sandbox/prepare.js';
import { type PlannedRow, sandboxName } from '../sandbox/row.js';
import { sweep } from '../sandbox/sweep.js';
import type { Task } from '../task/task.js';
import { probeResidue } from './residue/residue.js';
import type { Subject } from './sandbox.js';
import { probeSync } from './sync/sync.js';
import { probeTax } from './tax/tax.js';
import { probeWalls } from './walls/walls.js';

const INTERRUPTED = 'interrupted';

export interface ProbeSettings {
  entries: PlannedRow[];
  /** @param more added to the user's environment */
  contextOf(entry: PlannedRow, more?: Env): Context;
  /** The caller's complete environment. */
  env: Env;
  record: Recorder<UnstampedProbe>;
  gateway: Gateway;
  probeId: string;
  only: readonly ProbeName[];
  /** The task that the agent runs with a canary in place of the credential. */
  task: Task;
  /** Folder of the record. */
  folder: string;
  /** Number of rounds for `tax`. */
  rounds: number;
  seed: number;
  /** Addresses outside this machine that the user wants tried, as `host:port`. */
  reach: readonly string[];
  /** Timeout for one sandbox, in ms. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** Never throws because of a row: a failed probe is reported as an event. */
export async function runProbe(settings: ProbeSettings): Promise<void> {
  const { record, signal } = settings;
  const begun: { entry: PlannedRow; ctx: Context }[] = [];
  const subjects: Subject[] = [];
  for (const entry of settings.entries) {
    if (signal.aborted) break;
    const ctx = settings.contextOf(entry);
    begun.push({ entry, ctx });
    const ready = await makeReady(entry, ctx, { ...settings, model: 'replay', concurrency: 1 });
    if (!ready) continue;
    subjects.push({
      ...ready,
      nameOf: (tail) => sandboxName(settings.probeId, entry, tail),
      signal,
      timeoutMs: settings.timeoutMs,
    });
  }
  const tried = async (
    what: ProbeName,
    { entry: { entry } }: Subject,
    work: () => Promise<void>,
    round?: number,
  ) => {
    if (signal.aborted) return;
    record.emit({ type: 'probing', entry, what, ...(round === undefined ? {} : { round }) });
    try {
      await work();
    } catch (error) {
      // A probe that was interrupted did not fail on its own.
      record.emit({
        type: 'broke-off',
        entry,
        what,
        reason: signal.aborted ? INTERRUPTED : messageOf(error),
      });
    }
  };
  for (const subject of subjects) {
    const { entry } = subject.entry;
    if (settings.only.includes('sync'))
      await tried('sync', subject, () =>
        probeSync(subject, (cell) => record.emit({ type: 'synced', entry, cell })),
      );
    if (settings.only.includes('walls'))
      await tried('walls', subject, () =>
        probeWalls(subject, settings, (wall) => record.emit({ type: 'walled', entry, wall })),
      );
    if (settings.only.includes('residue'))
      await tried('residue', subject, () =>
        probeResidue(subject, settings, (sweep) => record.emit({ type: 'swept', entry, sweep })),
      );
  }
  if (settings.only.includes('tax')) {
    // Each round covers every row once.
    const begunRounds = new Map<Subject, number>();
    await probeTax(subjects, settings, {
      worked: (subject, round, work) =>
        record.emit({ type: 'worked', entry: subject.entry.entry, round, work }),
      tried: (subject, work) => {
        const round = (begunRounds.get(subject) ?? 0) + 1;
        begunRounds.set(subject, round);
        return tried('tax', subject, work, round);
      },
    });
  }
  await sweep(begun, settings.probeId, record);
}
