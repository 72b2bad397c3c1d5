// `cagematch run`: detect, plan, run, measure, report.
import { join, resolve } from 'node:path';
import { CagematchError } from '../lib/errors.js';
import { writeBundle } from '../lib/match/bundles.js';
import { lookBefore } from '../lib/match/busy.js';
import { readCommit, readLoad, takeFingerprint } from '../lib/match/fingerprint.js';
import { runMatch } from '../lib/match/match.js';
import {
  checkAnything,
  checkRequired,
  planMatch,
  recordRows,
  withoutOpenHost,
} from '../lib/match/plan.js';
import { liveAnswer, replayAnswer } from '../lib/model/answers.js';
import { type Cassette, readCassette } from '../lib/model/cassette.js';
import { agentVersion, packageRoot, version } from '../lib/package.js';
import { SCHEMA_VERSION } from '../lib/record/types.js';
import { openRecord, type Recorder } from '../lib/record/write.js';
import { busyParts } from '../lib/report/circumstances.js';
import type { Report } from '../lib/report/document.js';
import { MATCH_REGION } from '../lib/report/export/markdown.js';
import { createFold, type Fold } from '../lib/report/fold.js';
import { createProgress, type Progress } from '../lib/report/terminal/progress.js';
import { withHarness } from '../lib/sandbox/harness.js';
import { loadModes, parseWanted, type Registry } from '../lib/sandbox/registry.js';
import type { PlannedRow } from '../lib/sandbox/row.js';
import { readOwnInputs } from '../lib/sandbox/settings.js';
import { isBundled } from '../lib/task/bundled.js';
import type { FolderTask } from '../lib/task/folder.js';
import { managedSettings } from '../lib/task/managed-settings.js';
import type { Task } from '../lib/task/task.js';
import { describePlan } from './dry-run.js';
import { EXIT, type Io } from './io.js';
import { chooseModel } from './model.js';
import { checkWritable, publish } from './publish.js';
import { checkPublishable } from './results-page.js';
import { options, type RunOptions, readRunSettings } from './run-settings.js';

export { options };

export async function handler(args: unknown, io: Io): Promise<number> {
  const registry = await loadModes();
  return runAs(readRunSettings(args, io.cwd, registry), registry, io);
}

/** @param finish called with the match instead of printing its report; returns the exit code */
export async function runAs(
  settings: RunOptions,
  registry: Registry,
  io: Io,
  finish?: (report: Report, fold: Fold, folder: string) => number,
): Promise<number> {
  const seed = settings.seed ?? Math.floor(Math.random() * 2 ** 31);
  const own = readOwnInputs(io.env);
  const { tasks } = settings;
  const model = await chooseModel(settings.model, settings.auth, io);
  const cassettes = model.name === 'replay' ? readCassettes(tasks, model.why) : undefined;
  const answer = model.credential
    ? liveAnswer(own.upstream, model.credential, io.env)
    : replayAnswer((id) => cassettes?.get(id) as Cassette);

  const named = [...settings.asked.map(({ name }) => name), ...settings.required].map(
    (name) => parseWanted(registry, name).mode,
  );
  const asked = settings.asked.length > 0 ? new Set(named) : registry.values();

  const progress = createProgress(io.err, io.errIsTty, io.errColumns);
  return withHarness(
    io,
    progress,
    answer,
    async ({ id: matchId, signal, interrupted, ...harness }) => {
      progress.waiting('looking for runtimes');
      const detected = await harness.detect(asked);
      if (signal.aborted) return EXIT.interrupted;
      const whole = planMatch(registry, detected, settings.asked, settings.required, settings);
      const allowed = withoutOpenHost(whole, {
        model: model.name,
        allowed: settings.allowHost,
        named: settings.asked.length > 0,
        isBundled: (id) => isBundled(tasks.get(id) as FolderTask),
      });
      const plan = {
        ...allowed,
        entries: allowed.entries.map((entry) => ({
          ...entry,
          ...digestOf(tasks.get(entry.task), cassettes),
        })),
      };
      checkRequired(plan);
      checkAnything(plan);
      if (settings.dryRun) {
        io.out(describePlan(plan, seed, settings, model));
        return EXIT.done;
      }
      checkTargets(settings, io);
      const folder = join(resolve(io.cwd, settings.out), matchId);
      const host = takeFingerprint(io.platform);
      const fold = createFold({ runs: true });
      const record = openRecord(folder, {
        onEvent(event) {
          fold.push(event);
          progress.onEvent(event);
        },
        onFailure: harness.stop,
      });
      // A single run is only a test: nothing is compared.
      const quiet =
        settings.runs > 1 && !signal.aborted ? await lookAndWarn(host.cores, progress) : undefined;
      record.emit({
        type: 'match-started',
        schemaVersion: SCHEMA_VERSION,
        match: matchId,
        startedAt: new Date().toISOString(),
        seed,
        runs: settings.runs,
        until: settings.until,
        warmup: settings.warmup,
        concurrency: settings.concurrency,
        model: model.name,
        modelWhy: model.why,
        task: settings.task,
        state: settings.state,
        versions: {
          cagematch: version,
          agent: agentVersion,
          node: process.version,
          commit: readCommit(packageRoot),
        },
        host,
        load: readLoad(io.platform),
        ...(quiet ? { quiet } : {}),
      });
      for (const { text, hint } of model.warnings)
        record.emit({ type: 'warning', code: 'credential', message: `${text}; ${hint}` });
      warnOfManagedSettings(record, plan.entries, io.platform);
      recordRows(record, plan, detected);
      await runMatch({
        entries: plan.entries,
        contextOf: harness.contextOf,
        record,
        gateway: harness.gateway,
        taskOf: ({ task }) => tasks.get(task) as Task,
        model: model.name,
        ...(model.credential ? { credential: model.credential, upstream: own.upstream } : {}),
        matchId,
        seed,
        runs: settings.runs,
        until: settings.until,
        warmup: settings.warmup,
        concurrency: settings.concurrency,
        timeoutMs: settings.timeoutMs,
        signal,
        lookInside: true,
        keepBundle: (run, bundle) => writeBundle(folder, run, bundle),
      });
      const how = interrupted() ? 'interrupted' : record.failure() ? 'failed' : 'done';
      record.emit({
        type: 'match-ended',
        endedAt: new Date().toISOString(),
        how,
        load: readLoad(io.platform),
      });
      progress.end();
      record.close();
      harness.sandboxesGone();
      const report = fold.finish();
      const finished = finish?.(report, fold, folder);
      if (finished === undefined) await publish(report, folder, settings, io);
      const failure = record.failure();
      if (failure) throw failure;
      return interrupted() ? EXIT.interrupted : (finished ?? exitCode(report));
    },
  );
}

/** @throws `bad-input` if the report could not be written to where it is wanted */
function checkTargets(settings: RunOptions, io: Io): void {
  if (settings.json !== undefined && settings.json !== '-')
    checkWritable(resolve(io.cwd, settings.json));
  if (settings.publish) checkPublishable(settings, MATCH_REGION, io.cwd);
}

/** Measures what this machine does before the match, and warns if it is busy. */
async function lookAndWarn(
  cores: number,
  progress: Pick<Progress, 'say'>,
): ReturnType<typeof lookBefore> {
  const quiet = await lookBefore(cores);
  const busy = quiet ? busyParts(quiet) : [];
  if (busy.length > 0) progress.say(`warning: this machine is busy: ${busy.join(', ')}`);
  return quiet;
}

/**
 * Settings that an administrator made for the agent apply only in rows whose sandbox reads this
 * machine's files.
 */
function warnOfManagedSettings(
  record: Recorder,
  entries: readonly PlannedRow[],
  platform: NodeJS.Platform,
): void {
  const managed = managedSettings(platform);
  const reached = entries
    .filter(({ isolation }) => isolation === 'none' || isolation === 'os-sandbox')
    .map(({ entry }) => entry);
  if (managed !== undefined && reached.length > 0)
    record.emit({
      type: 'warning',
      code: 'managed-settings',
      message: `${managed} in ${reached.join(', ')}, and not in the other rows`,
    });
}

/**
 * Required rows have to pass completely, at every level of a burst; without required rows, every
 * row that was run has to.
 */
function exitCode(report: Report): number {
  const anyRequired = report.modes.some((mode) => mode.required);
  const judged = report.modes.filter((mode) => mode.required || !anyRequired);
  return judged.length > 0 &&
    judged.every((mode) => mode.n > 0 && mode.passed === mode.n && mode.failures.length === 0)
    ? EXIT.done
    : EXIT.failed;
}

/**
 * The cassette of each task. A broken or missing cassette is reported before anything starts.
 * @throws `bad-input` in both cases
 */
function readCassettes(tasks: ReadonlyMap<string, FolderTask>, why: string): Map<string, Cassette> {
  return new Map(
    [...tasks].map(([id, { cassette, folder }]) => {
      if (cassette !== undefined) return [id, readCassette(cassette)];
      const hint = `cagematch record --task ${folder}, or --model live`;
      throw new CagematchError(
        'bad-input',
        `the task ${id} has no cassette to replay, and the model is replay: ${why}`,
        hint,
      );
    }),
  );
}

function digestOf(
  task: FolderTask | undefined,
  cassettes: ReadonlyMap<string, Cassette> | undefined,
): { taskDigest?: string } {
  return task ? { taskDigest: task.digest(cassettes?.get(task.id)) } : {};
}
