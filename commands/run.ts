// `cagematch run`: detect, plan, run, measure, report.
import { join, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { z } from 'zod';
import { killAll } from '../lib/exec.js';
import { onInterrupt } from '../lib/match/cleanup.js';
import { readOwnInputs } from '../lib/match/config.js';
import { contextFor, createKeeper, type Surroundings } from '../lib/match/context.js';
import { detectAll } from '../lib/match/detect.js';
import { openRecord } from '../lib/match/events.js';
import { takeFingerprint } from '../lib/match/fingerprint.js';
import { newMatchId, runMatch } from '../lib/match/match.js';
import { checkAnything, checkRequired, leftOut, type Plan, planMatch, rounds, withoutOpenHost } from '../lib/match/plan.js';
import { loadModes, parseWanted } from '../lib/match/registry.js';
import { liveAnswer, replayAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { createGateway } from '../lib/model/gateway.js';
import { agentVersion, packageRoot, version } from '../lib/package.js';
import { type MatchEvent, SCHEMA_VERSION } from '../lib/record.js';
import type { Report } from '../lib/report/document.js';
import { createProgress } from '../lib/report/progress.js';
import { buildReport } from '../lib/report/report.js';
import { helloTask } from '../lib/task/hello.js';
import { EXIT, type Io } from './io.js';
import { chooseModel } from './model.js';
import { checkWritable, publish } from './publish.js';
import { readSettings, wholeNumber } from './settings.js';

export const builder = (argv: Argv) =>
  argv
    .positional('modes', { describe: 'modes or variants (docker:runsc); none: all that are ready', type: 'string', array: true })
    .option('runs', { describe: 'rounds; each runs every mode once', default: '3', requiresArg: true, string: true })
    .option('warmup', { describe: 'rounds that are not counted, first', default: '0', requiresArg: true, string: true })
    .option('seed', { describe: 'seed of the order within the rounds; default: a fresh one', requiresArg: true, string: true })
    .option('model', { describe: 'who answers the agent', choices: ['auto', 'replay', 'live'] as const, default: 'auto' as const })
    .option('allow-host', { describe: 'with a live model: also run the agent with no walls', boolean: true, default: false })
    .option('timeout', { describe: 'seconds for one run', default: '120', requiresArg: true, string: true })
    .option('task', { describe: 'what the agent does', choices: ['hello'] as const, default: 'hello' as const })
    .option('require', { describe: 'modes that must be ready and pass, comma-separated', requiresArg: true, string: true })
    .option('json', { describe: 'the report as JSON to FILE, or - for stdout', requiresArg: true, string: true })
    .option('out', { describe: 'where match folders go', default: 'results', requiresArg: true, string: true })
    .option('dry-run', { describe: 'say what would be run, and stop', boolean: true, default: false });

const settingsSchema = z.object({
  modes: z.array(z.string()).default([]),
  runs: wholeNumber('--runs', 1, 1000),
  warmup: wholeNumber('--warmup', 0, 100),
  seed: wholeNumber('--seed', 0, 2 ** 31 - 1).optional(),
  model: z.enum(['auto', 'replay', 'live']),
  allowHost: z.boolean(),
  timeout: wholeNumber('--timeout', 1, 24 * 3600),
  require: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    )
    .default([]),
  json: z.string().optional(),
  out: z.string(),
  dryRun: z.boolean(),
});

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const seed = settings.seed ?? Math.floor(Math.random() * 2 ** 31);
  const own = readOwnInputs(io.env);
  const task = helloTask(packageRoot);
  const model = await chooseModel(settings.model, io);
  const answer = model.credential ? liveAnswer(own.upstream, model.credential) : replayAnswer(readCassette(task.cassette));

  const registry = await loadModes();
  const wanted = settings.modes.map((name) => parseWanted(registry, name).mode);
  const required = settings.require.map((name) => parseWanted(registry, name).mode);
  const asked = wanted.length > 0 ? new Set([...wanted, ...required]) : registry.values();

  const progress = createProgress(io.err, io.errIsTty);
  const interrupt = onInterrupt(progress.say, () => io.leave(EXIT.interrupted));
  const stop = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, stop.signal]);
  const matchId = newMatchId();
  const around: Surroundings = { env: io.env, platform: io.platform, uid: io.uid, match: matchId, signal, say: progress.say };
  const keeper = createKeeper();
  const gateway = createGateway(answer, { port: own.gatewayPort });
  try {
    progress.waiting('looking for runtimes');
    const detected = await detectAll(asked, (mode) => contextFor(around, keeper, mode.id));
    if (signal.aborted) return EXIT.interrupted;
    const plan = withoutOpenHost(planMatch(registry, detected, settings.modes, settings.require), model.name, settings.allowHost);
    checkRequired(plan);
    checkAnything(plan);
    if (settings.dryRun) {
      io.out(describePlan(plan, seed, settings.runs));
      return EXIT.done;
    }
    if (settings.json !== undefined && settings.json !== '-') checkWritable(resolve(io.cwd, settings.json));
    const folder = join(resolve(io.cwd, settings.out), matchId);
    const events: MatchEvent[] = [];
    const record = openRecord(folder, {
      onEvent(event) {
        events.push(event);
        progress.onEvent(event);
      },
      onFailure: () => stop.abort(),
    });
    record.emit({
      type: 'match-started',
      schemaVersion: SCHEMA_VERSION,
      match: matchId,
      startedAt: new Date().toISOString(),
      seed,
      runs: settings.runs,
      until: 'count',
      warmup: settings.warmup,
      concurrency: 1,
      model: model.name,
      modelWhy: model.why,
      task: task.id,
      state: 'prepared',
      versions: { cagematch: version, agent: agentVersion, node: process.version },
      host: takeFingerprint(io.platform),
    });
    for (const { mode, detection } of detected)
      record.emit({ type: 'detected', mode: mode.id, letter: mode.letter, title: mode.title, isolation: mode.isolation, detection });
    for (const { adapter: _adapter, facts: _facts, ...entry } of plan.entries) record.emit({ type: 'entered', ...entry });
    for (const one of leftOut(plan, detected)) record.emit({ type: 'left-out', ...one });
    await runMatch({
      entries: plan.entries,
      contextOf: (entry) => contextFor(around, keeper, entry.mode, { variant: entry.variant, facts: entry.facts }),
      record,
      gateway,
      task,
      model: model.name,
      matchId,
      seed,
      runs: settings.runs,
      until: 'count',
      warmup: settings.warmup,
      concurrency: 1,
      timeoutMs: settings.timeout * 1000,
      signal,
    });
    const how = interrupt.signal.aborted ? 'interrupted' : record.failure() ? 'failed' : 'done';
    record.emit({ type: 'match-ended', endedAt: new Date().toISOString(), how });
    progress.end();
    record.close();
    const report = await buildReport(events);
    publish(report, folder, settings, io);
    const failure = record.failure();
    if (failure) throw failure;
    return interrupt.signal.aborted ? EXIT.interrupted : exitCode(report);
  } finally {
    progress.end();
    await gateway.close();
    await keeper.closeAll();
    killAll();
    interrupt.dispose();
  }
}

function describePlan(plan: Plan, seed: number, runs: number): string {
  const names = plan.entries.map((entry) => entry.entry);
  const order = [...rounds(seed, runs, names)].map((round, index) => `round ${index + 1}: ${round.join(' ')}`);
  const missing = plan.missing.map((one) => `left out: ${one.entry}: ${one.reason} → ${one.hint}`);
  return `${[`seed ${seed}`, ...order, ...missing].join('\n')}\n`;
}

/** Required rows must pass whole; without any, every row that was run must. */
function exitCode(report: Report): number {
  const anyRequired = report.modes.some((mode) => mode.required);
  const judged = report.modes.filter((mode) => mode.required || !anyRequired);
  return judged.length > 0 && judged.every((mode) => mode.n > 0 && mode.passed === mode.n) ? EXIT.done : EXIT.failed;
}
