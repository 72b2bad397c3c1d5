// CPU time per run of the harness process itself, without its children, over a match of docker.

import { runMatch } from '../lib/match/match.js';
import { openRecord } from '../lib/record/write.js';
import { bundledTask } from '../lib/task/bundled.js';
import { openField } from './field.js';
import { type Benchmark, medianOf, samples, short } from './verdict.js';

export const benchmark: Benchmark = {
  about: 'CPU of the harness process ≤ 25 ms a run (docker, the gateway in this process, children left out)',
  async run(options) {
    const n = samples(options, 40, 5);
    const field = openField(bundledTask('hello'));
    // Read whenever a run ends, so that a sample covers everything between two such moments: run, record, gateway, leftovers.
    const marks: NodeJS.CpuUsage[] = [];
    const record = openRecord(field.folder, {
      onEvent(event) {
        if (event.type !== 'run-ended') return;
        if (event.outcome.status !== 'passed') options.say(`a run failed: ${event.outcome.message}`);
        marks.push(process.cpuUsage());
      },
    });
    try {
      await runMatch({
        entries: await field.plan([{ name: 'docker' }]),
        contextOf: field.contextOf,
        record,
        gateway: field.gateway,
        taskOf: () => field.task,
        model: 'replay',
        matchId: field.matchId,
        seed: 1,
        // The first run includes loading and compiling code.
        runs: n + 1,
        until: 'count',
        concurrency: 1,
        warmup: 0,
        timeoutMs: 60_000,
        signal: field.around.signal,
      });
    } finally {
      record.close();
      await field.close();
    }
    const each = marks.slice(1).map((mark, index) => {
      const before = marks[index] as NodeJS.CpuUsage;
      return { user: (mark.user - before.user) / 1000, system: (mark.system - before.system) / 1000 };
    });
    const both = each.map(({ user, system }) => user + system);
    const mean = (times: number[]) => times.reduce((sum, time) => sum + time, 0) / times.length;
    const { median, ci95 } = medianOf(both);
    const share = `user ${short(mean(each.map(({ user }) => user)))}, system ${short(mean(each.map(({ system }) => system)))}`;
    return [
      {
        // The mean, because it covers all CPU time of all runs, including garbage collections that happened during one of them.
        name: 'CPU of the harness a run',
        value: mean(both),
        n: both.length,
        limit: 25,
        unit: ' ms',
        samples: { userMs: each.map(({ user }) => user), systemMs: each.map(({ system }) => system) },
        note: `${share}; median ${short(median)} [${ci95?.map(short).join('–') ?? '–'}]`,
      },
    ];
  },
};
