// Is a warm sandbox nearly free? Compares the startup of a warm docker with that of the host, in a
// real match.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { packageRoot } from '../lib/package.js';
import { reportSchema } from '../lib/report/document.js';
import { fieldEnv, temporaryFolder } from './field.js';
import { type Benchmark, samples, short } from './verdict.js';

const ROW = 'docker';
const BASE = 'host';
const BOUND_MS = 10 * 60_000;

export const benchmark: Benchmark = {
  about: '`--state warm`: startup of docker ≤ 1.25× that of host, in one match',
  async run(options) {
    const n = samples(options, 20, 3);
    const cwd = temporaryFolder();
    try {
      const args = [
        'run',
        BASE,
        ROW,
        '--state',
        'warm',
        '--warmup',
        '1',
        '--runs',
        `${n}`,
        '--model',
        'replay',
        '--json',
        '-',
      ];
      const child = spawn(process.execPath, [join(packageRoot, 'dist/cli.js'), ...args], {
        cwd,
        env: fieldEnv(),
        timeout: BOUND_MS,
      });
      const [out, words] = await Promise.all([text(child.stdout), text(child.stderr)]);
      if (out.trim() === '') throw new Error(words.trim().split('\n').slice(-2).join(' '));
      const { comparisons, modes } = reportSchema.parse(JSON.parse(out));
      const rowOf = (entry: string) => modes.find((mode) => mode.entry === entry);
      const [row, base] = [rowOf(ROW), rowOf(BASE)];
      const compared = comparisons.find(({ a, b }) => a === BASE && b === ROW);
      if (!row || !base || !compared || 'gap' in row.startupMs || 'gap' in base.startupMs)
        throw new Error('the match has no such pair');
      // The match reports host / docker; inverting the ratio swaps the ends of the interval.
      const ci95 =
        'gap' in compared.ci95
          ? undefined
          : ([1 / compared.ci95[1], 1 / compared.ci95[0]] as [number, number]);
      return [
        {
          name: 'startup of a warm docker / of host',
          value: 1 / compared.ratio,
          ci95,
          n: compared.n,
          limit: 1.25,
          unit: '×',
          note: `medians ${short(row.startupMs.median)} and ${short(base.startupMs.median)} ms`,
        },
      ];
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  },
};
