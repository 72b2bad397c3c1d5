// Reliability of the report's comparisons: matches of docker against itself, and against a copy of
// itself that is 10 % slower.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { median } from 'simple-statistics';
import type { Env } from '../lib/contract.js';
import { takeFingerprint } from '../lib/match/fingerprint.js';
import { runMatch } from '../lib/match/match.js';
import { which } from '../lib/os/path-search.js';
import { type MatchEvent, SCHEMA_VERSION } from '../lib/record/types.js';
import { openRecord } from '../lib/record/write.js';
import type { Report } from '../lib/report/document.js';
import { buildReport } from '../lib/report/report.js';
import { fieldEnv, openField } from './field.js';
import { trivialTask } from './trivial-task.js';
import { type Benchmark, type Options, samples, short } from './verdict.js';

const ROWS = ['docker@a', 'docker@b'];
const MATCHES = 40;

/** Bounds on the number of matches, out of 40, that call the rows separable. */
const MOST_APART = 4;
const LEAST_APART = 36;

export const same: Benchmark = {
  about: 'of 40 matches of docker@a docker@b (n=10) at most 4 call them separable; some 15 minutes',
  async run(options) {
    const all = await playMatches(options, 10, fieldEnv());
    return [
      {
        ...verdictOf(all),
        name: 'matches of docker against itself that call it separable',
        limit: (MOST_APART / MATCHES) * all.length,
      },
    ];
  },
};

export const apart: Benchmark = {
  about:
    'of 40 matches with 10 % added to docker@b (n=20) at least 36 call them separable; some 30 minutes',
  async run(options) {
    const field = openField(trivialTask);
    try {
      // Both sides use the wrapper, so that both have its overhead of a few milliseconds.
      const untouched = await playMatch(10, 1, wrapped(join(field.folder, 'even'), 0));
      const startupMs = median(
        untouched.modes.flatMap(({ startupMs: value }) => ('gap' in value ? [] : [value.median])),
      );
      options.say(
        `startup is ${short(startupMs)} ms: ${short(startupMs / 10)} ms are added to ${ROWS[1]}`,
      );
      const all = await playMatches(
        options,
        20,
        wrapped(join(field.folder, 'slower'), startupMs / 10),
      );
      const limit = (LEAST_APART / MATCHES) * all.length;
      return [
        {
          ...verdictOf(all),
          name: 'matches that see 10 % added to one side',
          limit,
          sense: 'least' as const,
        },
      ];
    } finally {
      await field.close();
    }
  },
};

function verdictOf(reports: Report[]) {
  const comparisons = reports.map(({ comparisons: [comparison] }) => comparison);
  const separable = comparisons.filter((comparison) => comparison?.separable === true).length;
  const inTotal = comparisons.filter(
    (comparison) =>
      comparison && 'separable' in comparison.total && comparison.total.separable === true,
  ).length;
  const ratios = comparisons.flatMap((comparison) => (comparison ? [comparison.ratio] : []));
  const note = `startup; by total ${inTotal}; median ratio a/b ${short(median(ratios))}, from ${short(Math.min(...ratios))} to ${short(Math.max(...ratios))}`;
  return { value: separable, n: reports.length, unit: '', note, samples: { ratios } };
}

async function playMatches(options: Options, rounds: number, env: Env): Promise<Report[]> {
  const count = samples(options, MATCHES, 2);
  const reports: Report[] = [];
  for (let match = 1; match <= count; match += 1) {
    const report = await playMatch(rounds, match, env);
    reports.push(report);
    const [comparison] = report.comparisons;
    if (!comparison) throw new Error('a match compares nothing: too few runs passed');
    const interval = 'gap' in comparison.ci95 ? '–' : comparison.ci95.map(short).join('–');
    options.say(
      `match ${match} of ${count}: ratio ${short(comparison.ratio)} [${interval}] n=${comparison.n} ${comparison.separable === true ? 'apart' : 'not apart'}`,
    );
  }
  return reports;
}

/** Executes a complete match in this process and returns its report. */
async function playMatch(runs: number, seed: number, env: Env): Promise<Report> {
  const field = openField(trivialTask, env);
  const { matchId, task, gateway, around } = field;
  const events: MatchEvent[] = [];
  const record = openRecord(field.folder, { onEvent: (event) => void events.push(event) });
  try {
    // Disk usage is not measured: it would need one more run in every match.
    const entries = (await field.plan(ROWS.map((name) => ({ name, task: task.id })))).map(
      (entry) => ({
        ...entry,
        adapter: (({ disk, ...mode }) => mode)(entry.adapter),
      }),
    );
    record.emit({
      type: 'match-started',
      schemaVersion: SCHEMA_VERSION,
      match: matchId,
      startedAt: new Date().toISOString(),
      seed,
      runs,
      until: 'count',
      warmup: 1,
      concurrency: 1,
      model: 'replay',
      modelWhy: 'a benchmark',
      task: task.id,
      state: 'prepared',
      versions: { cagematch: '0', agent: '0', node: process.version },
      host: takeFingerprint(around.platform),
    });
    for (const { adapter, runtimeState, ...entry } of entries)
      record.emit({ type: 'entered', ...entry });
    await runMatch({
      entries,
      contextOf: field.contextOf,
      record,
      gateway,
      taskOf: () => task,
      model: 'replay',
      matchId,
      seed,
      runs,
      until: 'count',
      warmup: 1,
      concurrency: 1,
      timeoutMs: 60_000,
      signal: around.signal,
    });
    if (around.signal.aborted) throw new Error('interrupted');
    record.emit({ type: 'match-ended', endedAt: new Date().toISOString(), how: 'done' });
    const report = buildReport(events);
    const [failed] = report.modes.flatMap((mode) => mode.failures);
    if (failed && failed.outcome.status === 'failed')
      throw new Error(`${failed.run}: ${failed.outcome.message}`);
    return report;
  } finally {
    record.close();
    await field.close();
  }
}

/** An environment in which `docker run` of the second row waits before it execs the real client. */
function wrapped(folder: string, waitMs: number): Env {
  const env = fieldEnv();
  const real = which('docker', env);
  if (real === undefined) throw new Error('no docker on PATH');
  mkdirSync(folder);
  const wrapper = join(folder, 'docker');
  const wait = waitMs > 0 ? `sleep ${(waitMs / 1000).toFixed(4)}` : ':';
  writeFileSync(
    wrapper,
    `#!/bin/sh\ncase "$1 $*" in "run "*" cagematch-"*"-docker-b-"*) ${wait} ;; esac\nexec "${real}" "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  return { ...env, PATH: `${folder}${delimiter}${env.PATH ?? ''}` };
}
