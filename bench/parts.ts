// Durations of the harness's individual steps: where to look when `harness-cost` or `report-size`
// has grown.
import { rmSync } from 'node:fs';
import { Bench } from 'tinybench';
import { makeFolder } from '../lib/os/owner.js';
import { childrenOf, readTree } from '../lib/os/process-tree.js';
import { createLineReader } from '../lib/record/read.js';
import { type EventOf, eventSchema, type MatchEvent } from '../lib/record/types.js';
import { openRecord } from '../lib/record/write.js';
import { buildReport } from '../lib/report/report.js';
import { summarize } from '../lib/statistics/summary.js';
import { writeLongRecord } from './long-record.js';
import type { Benchmark } from './verdict.js';

export const benchmark: Benchmark = {
  about:
    "the harness' own steps, one by one; no limit: where to look when another number has grown",
  async run(options) {
    const lines: string[] = [];
    writeLongRecord(10_000, (text) => void lines.push(...text.split('\n').filter(Boolean)));
    const events: MatchEvent[] = lines.map((line) => eventSchema.parse(JSON.parse(line)));
    const ended = events.find((event): event is EventOf<'run-ended'> => event.type === 'run-ended');
    if (!ended) throw new Error('no run has ended in the record');
    const line = `${JSON.stringify(ended)}\n`;
    const ten = Array.from({ length: 10 }, (_, index) => 400 + ((index * 37) % 50));
    const folder = makeFolder('bench');
    const record = openRecord(folder, { onEvent() {} });
    const reader = createLineReader(() => {});
    const steps: Record<string, () => void> = {
      'a run of a record read and checked': () => reader.push(line),
      'a run brought to disk': () => record.emit(ended),
      'a tree of processes read': () => void readTree([process.pid, ...childrenOf([process.pid])]),
      'an interval of ten samples': () => void summarize(ten, 1),
      'a report of ten thousand events': () => void buildReport(events),
    };
    try {
      const bench = new Bench({
        time: options.quick ? 50 : 1000,
        iterations: options.count ?? 10,
        throws: true,
      });
      // Async, because the library calls any other function one extra time.
      for (const [name, step] of Object.entries(steps)) bench.add(name, async () => step());
      return (await bench.run()).map(({ name, result }) => {
        if (result.state !== 'completed') throw new Error(`${name} did not complete`);
        const { p50, p99, samplesCount } = result.latency;
        return {
          name,
          value: p50,
          n: samplesCount,
          unit: ' ms',
          note: `p99 ${p99.toPrecision(2)} ms`,
        };
      });
    } finally {
      record.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
