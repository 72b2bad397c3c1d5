// `cagematch probe`: tries from inside every sandbox which files come back, what can be reached and
// what work costs.
import { join, resolve } from 'node:path';
import { readCommit, takeFingerprint } from '../lib/match/fingerprint.js';
import { checkAnything, checkRequired, planMatch, recordRows } from '../lib/match/plan.js';
import { replayAnswer } from '../lib/model/answers.js';
import { readCassette } from '../lib/model/cassette.js';
import { agentVersion, packageRoot, version } from '../lib/package.js';
import { runProbe } from '../lib/probes/probe.js';
import { PROBE_SCHEMA_VERSION, type ProbeEvent, type UnstampedProbe } from '../lib/record/probe.js';
import { openEvents } from '../lib/record/write.js';
import type { ProbeDocument } from '../lib/report/probe/document.js';
import { createProbeFold } from '../lib/report/probe/fold.js';
import { PROBE_REGION } from '../lib/report/probe/markdown.js';
import { createProbeProgress } from '../lib/report/probe/progress.js';
import { withHarness } from '../lib/sandbox/harness.js';
import { loadModes, parseWanted } from '../lib/sandbox/registry.js';
import { bundledTask } from '../lib/task/bundled.js';
import { describeProbe } from './dry-run.js';
import { EXIT, type Io } from './io.js';
import { options, readProbeSettings } from './probe-settings.js';
import { checkWritable, publishProbe } from './publish.js';
import { checkPublishable } from './results-page.js';

export { options };

/** Events that have to survive a crash of the machine, not only of cagematch. */
const DURABLE: ReadonlySet<string> = new Set<ProbeEvent['type']>([
  'probe-started',
  'probing',
  'broke-off',
  'probe-ended',
]);

export async function handler(args: unknown, io: Io): Promise<number> {
  const registry = await loadModes();
  const settings = readProbeSettings(args, registry);
  const seed = settings.seed ?? Math.floor(Math.random() * 2 ** 31);
  const named = [...settings.modes, ...settings.required].map(
    (name) => parseWanted(registry, name).mode,
  );
  const asked = settings.modes.length > 0 ? new Set(named) : registry.values();

  const progress = createProbeProgress(io.err, io.errIsTty, io.errColumns);
  const task = bundledTask('hello');
  const answer = replayAnswer(readCassette(task.cassette));
  return withHarness(
    io,
    progress,
    answer,
    async ({ id: probeId, signal, gateway, interrupted, ...harness }) => {
      progress.waiting('looking for runtimes');
      const detected = await harness.detect(asked);
      if (signal.aborted) return EXIT.interrupted;
      const rows = settings.modes.map((name) => ({ name }));
      const plan = planMatch(registry, detected, rows, settings.required);
      checkRequired(plan);
      checkAnything(plan);
      if (settings.dryRun) {
        io.out(describeProbe(plan, seed, settings));
        return EXIT.done;
      }
      if (settings.json !== undefined && settings.json !== '-')
        checkWritable(resolve(io.cwd, settings.json));
      if (settings.publish) checkPublishable({ out: settings.out }, PROBE_REGION, io.cwd);
      const folder = join(resolve(io.cwd, settings.out), probeId);
      const fold = createProbeFold();
      const record = openEvents<UnstampedProbe, ProbeEvent>(
        folder,
        { name: 'probe.jsonl', durable: DURABLE },
        {
          onEvent(event) {
            fold.push(event);
            progress.onEvent(event);
          },
          onFailure: harness.stop,
        },
      );
      record.emit({
        type: 'probe-started',
        schemaVersion: PROBE_SCHEMA_VERSION,
        probe: probeId,
        startedAt: new Date().toISOString(),
        only: settings.only,
        seed,
        rounds: settings.rounds,
        versions: {
          cagematch: version,
          agent: agentVersion,
          node: process.version,
          commit: readCommit(packageRoot),
        },
        host: takeFingerprint(io.platform),
      });
      recordRows(record, plan, detected);
      const { only, rounds, reach, timeoutMs } = settings;
      await runProbe({
        entries: plan.entries,
        contextOf: harness.contextOf,
        env: harness.env,
        ...{ record, gateway, task, folder, probeId, only, rounds, seed, reach, timeoutMs, signal },
      });
      const how = interrupted() ? 'interrupted' : record.failure() ? 'failed' : 'done';
      record.emit({ type: 'probe-ended', endedAt: new Date().toISOString(), how });
      progress.end();
      record.close();
      harness.sandboxesGone();
      const document = fold.finish();
      publishProbe(document, folder, settings, io);
      const failure = record.failure();
      if (failure) throw failure;
      return interrupted() ? EXIT.interrupted : exitCode(document);
    },
  );
}

/**
 * Required rows have to be probed completely; without required rows, at least one row has to be.
 * Findings are not failures.
 */
function exitCode({ modes, brokeOff }: ProbeDocument): number {
  const isWhole = ({ entry }: { entry: string }) =>
    brokeOff.every((failure) => failure.entry !== entry);
  const required = modes.filter((mode) => mode.required);
  return (required.length > 0 ? required.every(isWhole) : modes.some(isWhole))
    ? EXIT.done
    : EXIT.failed;
}
