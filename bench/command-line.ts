// Speed of the command line: `--help` compared with Node's own start, and a full `detect` compared
// with its slowest single mode.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { median } from 'simple-statistics';
import { packageRoot } from '../lib/package.js';
import { loadModes } from '../lib/sandbox/registry.js';
import { fieldEnv, temporaryFolder } from './field.js';
import { type Benchmark, medianOf, type Options, samples, short, type Verdict } from './verdict.js';

const CLI = join(packageRoot, 'dist/cli.js');
const BOUND_MS = 60_000;

export const benchmark: Benchmark = {
  about:
    '`cagematch --help` ≤ 3× `node -e 0`; `detect` ≤ 1.2× its slowest single probe (whole commands, interleaved)',
  async run(options) {
    // An empty working directory, so that nothing in the caller's folder (its .env) is read.
    const folder = temporaryFolder();
    try {
      return [await help(options, folder), await detect(options, folder)];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

async function help(options: Options, cwd: string): Promise<Verdict> {
  const n = samples(options, 25, 5);
  const bare: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round <= n; round += 1) {
    const a = timed(['-e', '0'], cwd);
    const b = timed([CLI, '--help'], cwd);
    // The first pair reads the files from disk; the others read them from the page cache.
    if (round > 0) {
      bare.push(a);
      ours.push(b);
    }
  }
  const { median: ratio, ci95 } = medianOf(
    ours.map((value, index) => value / (bare[index] as number)),
  );
  return {
    name: 'cagematch --help / node -e 0',
    value: ratio,
    ci95,
    n,
    limit: 3,
    unit: '×',
    note: `medians ${short(median(ours))} and ${short(median(bare))} ms, Node ${process.versions.node}`,
    samples: { helpMs: ours, nodeMs: bare },
  };
}

async function detect(options: Options, cwd: string): Promise<Verdict> {
  const n = samples(options, 15);
  const modes = [...(await loadModes()).keys()];
  const all: number[] = [];
  const alone = new Map<string, number[]>(modes.map((mode) => [mode, []]));
  for (let round = 0; round <= n; round += 1) {
    options.say(`detect: round ${round} of ${n}`);
    const whole = timed([CLI, 'detect'], cwd);
    if (round > 0) all.push(whole);
    for (const [mode, times] of alone) {
      const run = timed([CLI, 'detect', mode], cwd);
      if (round > 0) times.push(run);
    }
  }
  const [slowest, times] = [...alone].reduce((a, b) => (median(b[1]) > median(a[1]) ? b : a));
  const { median: ratio, ci95 } = medianOf(
    all.map((value, index) => value / (times[index] as number)),
  );
  const each = [...alone].map(([mode, ms]) => `${mode} ${short(median(ms))}`).join(', ');
  return {
    name: `cagematch detect / detect ${slowest}`,
    value: ratio,
    ci95,
    n,
    limit: 1.2,
    unit: '×',
    note: `medians: all ${short(median(all))} ms; alone ${each}`,
    samples: { all, ...Object.fromEntries(alone) },
  };
}

/** Duration of one Node process from start to end, in ms. */
function timed(args: string[], cwd: string): number {
  const from = performance.now();
  const run = spawnSync(process.execPath, args, {
    cwd,
    env: fieldEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BOUND_MS,
  });
  const ms = performance.now() - from;
  if (run.status !== 0) throw new Error(`node ${args.join(' ')}: ${run.stderr}`);
  return ms;
}
