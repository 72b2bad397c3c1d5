// `cagematch probe`: try from inside every sandbox what comes back, what can be reached and what work costs.
import { join, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { z } from 'zod';
import { killAll } from '../lib/exec.js';
import { onInterrupt } from '../lib/match/cleanup.js';
import { readOwnInputs } from '../lib/match/config.js';
import { contextFor, createKeeper, type Surroundings } from '../lib/match/context.js';
import { detectAll } from '../lib/match/detect.js';
import { openEvents } from '../lib/match/events.js';
import { readCommit, takeFingerprint } from '../lib/match/fingerprint.js';
import { newMatchId } from '../lib/match/match.js';
import { checkAnything, checkRequired, leftOut, planMatch } from '../lib/match/plan.js';
import { loadModes, parseWanted } from '../lib/match/registry.js';
import { replayAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { createGateway } from '../lib/model/gateway.js';
import { agentVersion, packageRoot, version } from '../lib/package.js';
import { PROBE_SCHEMA_VERSION, PROBES, type ProbeEvent, type UnstampedProbe } from '../lib/probe-record.js';
import { runProbe } from '../lib/probes/probe.js';
import { helloTask } from '../lib/task/hello.js';
import { EXIT, type Io } from './io.js';
import { readSettings, wholeNumber } from './settings.js';

const text = { requiresArg: true, string: true } as const;

export const builder = (argv: Argv) =>
  argv
    .positional('modes', { describe: 'modes or variants; none: all that are ready', type: 'string', array: true })
    .option('only', { describe: `what to try, comma-separated; default: ${PROBES.join(',')}`, ...text })
    .option('rounds', { describe: 'rounds of tax; default: 6', default: '6', ...text })
    .option('seed', { describe: 'seed of the order within the rounds; default: a fresh one', ...text })
    .option('reach', { describe: 'host:port outside of this machine to try to reach from inside; comma-separated', ...text })
    .option('require', { describe: 'modes that must be ready, comma-separated', ...text })
    .option('timeout', { describe: 'seconds for one sandbox', default: '300', ...text })
    .option('json', { describe: 'the tables as JSON to FILE, or - for stdout', ...text })
    .option('out', { describe: 'where the record goes', default: 'results', ...text });

const list = z.string().transform((names) =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean),
);

const settingsSchema = z.object({
  modes: z.array(z.string()).default([]),
  only: list.pipe(z.array(z.enum(PROBES, `--only takes ${PROBES.join(', ')}`))).default([...PROBES]),
  rounds: wholeNumber('--rounds', 1, 50),
  seed: wholeNumber('--seed', 0, 2 ** 31 - 1).optional(),
  reach: list.default([]),
  require: list.default([]),
  timeout: wholeNumber('--timeout', 1, 3600),
  json: z.string().optional(),
  out: z.string(),
});

export async function handler(args: unknown, io: Io): Promise<number> {
  const registry = await loadModes();
  const settings = readSettings(settingsSchema, args);
  const named = [...settings.modes, ...settings.require].map((name) => parseWanted(registry, name).mode);
  const seed = settings.seed ?? Math.floor(Math.random() * 2 ** 31);
  const interrupt = onInterrupt(
    (line) => io.err(`${line}\n`),
    () => io.leave(EXIT.interrupted),
  );
  const stop = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, stop.signal]);
  const probeId = newMatchId();
  const around: Surroundings = {
    env: io.env,
    platform: io.platform,
    uid: io.uid,
    match: probeId,
    signal,
    say: (line) => io.err(`${line}\n`),
  };
  const keeper = createKeeper();
  const own = readOwnInputs(io.env);
  const gateway = createGateway(replayAnswer(readCassette(helloTask(packageRoot).cassette)), { port: own.gatewayPort });
  try {
    const detected = await detectAll(settings.modes.length > 0 ? new Set(named) : registry.values(), (mode) =>
      contextFor(around, keeper, mode.id),
    );
    if (signal.aborted) return EXIT.interrupted;
    const plan = planMatch(
      registry,
      detected,
      settings.modes.map((name) => ({ name })),
      settings.require,
    );
    checkRequired(plan);
    checkAnything(plan);
    const events: ProbeEvent[] = [];
    const record = openEvents<UnstampedProbe, ProbeEvent>(
      join(resolve(io.cwd, settings.out), probeId),
      { name: 'probe.jsonl', durable: new Set(['probe-started', 'probe-ended']) },
      { onEvent: (event) => void events.push(event), onFailure: () => stop.abort() },
    );
    record.emit({
      type: 'probe-started',
      schemaVersion: PROBE_SCHEMA_VERSION,
      probe: probeId,
      startedAt: new Date().toISOString(),
      only: settings.only,
      seed,
      rounds: settings.rounds,
      versions: { cagematch: version, agent: agentVersion, node: process.version, commit: readCommit(packageRoot) },
      host: takeFingerprint(io.platform),
    });
    for (const { mode, detection } of detected)
      record.emit({ type: 'detected', mode: mode.id, letter: mode.letter, title: mode.title, isolation: mode.isolation, detection });
    for (const { adapter: _adapter, facts: _facts, ...entry } of plan.entries) record.emit({ type: 'entered', ...entry });
    for (const one of leftOut(plan, detected)) record.emit({ type: 'left-out', ...one });
    await runProbe({
      entries: plan.entries,
      contextOf: (entry) => contextFor(around, keeper, entry.mode, { variant: entry.variant, facts: entry.facts }),
      record,
      gateway,
      probeId,
      only: settings.only,
      rounds: settings.rounds,
      seed,
      reach: settings.reach,
      timeoutMs: settings.timeout * 1000,
      signal,
    });
    const how = interrupt.signal.aborted ? 'interrupted' : record.failure() ? 'failed' : 'done';
    record.emit({ type: 'probe-ended', endedAt: new Date().toISOString(), how });
    record.close();
    for (const event of events) io.out(`${JSON.stringify(event)}\n`);
    const failure = record.failure();
    if (failure) throw failure;
    return interrupt.signal.aborted ? EXIT.interrupted : EXIT.done;
  } finally {
    await gateway.close();
    await keeper.closeAll();
    killAll();
    interrupt.dispose();
  }
}
