// Time and memory of the report on very long matches: `cagematch report` in a separate process, on
// records of three sizes.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { median } from 'simple-statistics';
import { packageRoot } from '../lib/package.js';
import { temporaryFolder } from './field.js';
import { writeLongRecord } from './long-record.js';
import { type Benchmark, samples, short } from './verdict.js';

const CLI = join(packageRoot, 'dist/cli.js');
const SIZES = [250_000, 500_000, 1_000_000];
const BOUND_MS = 120_000;

interface Cost {
  seconds: number;
  peakMiB: number;
}

export const benchmark: Benchmark = {
  about: '`cagematch report` of 1,000,000 events ≤ 5 s, ≤ 400 MB, and memory flat as events grow',
  async run(options) {
    const n = samples(options, 5, 1);
    const folder = temporaryFolder();
    try {
      const costs = new Map<number, Cost[]>();
      for (const size of SIZES) {
        options.say(`writing ${size} events`);
        mkdirSync(join(folder, String(size)));
        const file = openSync(join(folder, String(size), 'events.jsonl'), 'w');
        writeLongRecord(size, (text) => void writeSync(file, text));
        closeSync(file);
        costs.set(size, []);
      }
      // Sizes are interleaved, so that a busy moment of the machine does not affect only one of
      // them.
      for (let round = 0; round < n; round += 1)
        for (const [size, measured] of costs) {
          const cost = await reportOn(join(folder, String(size)), folder);
          options.say(`${size} events: ${short(cost.seconds)} s, ${short(cost.peakMiB)} MB`);
          measured.push(cost);
        }
      const medianCost = (size: number, what: keyof Cost) =>
        median((costs.get(size) ?? []).map((cost) => cost[what]));
      const every = (what: keyof Cost) =>
        Object.fromEntries(
          [...costs].map(([size, measured]) => [String(size), measured.map((cost) => cost[what])]),
        );
      const sizes = (what: keyof Cost) =>
        SIZES.map((size) => `${size / 1000}k ${short(medianCost(size, what))}`).join(', ');
      return [
        {
          name: 'report of 1,000,000 events, time',
          value: medianCost(1_000_000, 'seconds'),
          n,
          limit: 5,
          unit: ' s',
          note: sizes('seconds'),
          samples: every('seconds'),
        },
        {
          name: 'report of 1,000,000 events, peak memory',
          value: medianCost(1_000_000, 'peakMiB'),
          n,
          limit: 400,
          unit: ' MB',
          samples: every('peakMiB'),
        },
        {
          name: 'peak memory at 1,000,000 / at 250,000',
          value: medianCost(1_000_000, 'peakMiB') / medianCost(250_000, 'peakMiB'),
          n,
          // Memory should grow only by the samples of four times as many runs.
          limit: 1.5,
          unit: '×',
          note: `${sizes('peakMiB')} MB`,
        },
      ];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Runs `cagematch report FOLDER` once and measures its time and its peak resident memory. */
function reportOn(match: string, cwd: string): Promise<Cost> {
  const from = performance.now();
  const child = spawn(process.execPath, [CLI, 'report', match], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: BOUND_MS,
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  let peakMiB = 0;
  const watch = setInterval(() => {
    peakMiB = Math.max(peakMiB, peakOf(child.pid));
  }, 20);
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      clearInterval(watch);
      if (code === 0) resolve({ seconds: (performance.now() - from) / 1000, peakMiB });
      else reject(new Error(`report ended with ${code}: ${words.slice(0, 300)}`));
    });
  });
}

/** VmHWM never decreases, so the last reading misses at most the final 20 ms. */
function peakOf(pid: number | undefined): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}
