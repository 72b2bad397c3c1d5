// `npm run bench -- NAME [--quick] [--n N] [--seed S] [--save]`: measures one of the promises in
// docs/benchmarks.md and reports whether it holds.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.js';
import { packageRoot } from '../lib/package.js';
import { type Benchmark, lineOf, type Options, type Verdict } from './verdict.js';

/** Loaded only on demand, so that the imports of other benchmarks do not affect this process. */
const BENCHMARKS: Record<string, () => Promise<{ benchmark: Benchmark }>> = {
  'harness-cost': () => import('./harness-cost.js'),
  same: async () => ({ benchmark: (await import('./same-apart.js')).same }),
  apart: async () => ({ benchmark: (await import('./same-apart.js')).apart }),
  gate: () => import('./gate.js'),
  findings: () => import('./findings.js'),
  clock: () => import('./clock.js'),
  'report-size': () => import('./report-size.js'),
  'command-line': () => import('./command-line.js'),
  warm: () => import('./warm.js'),
  parts: () => import('./parts.js'),
  faults: () => import('./faults.js'),
  phases: async () => ({ benchmark: (await import('./faults.js')).phases }),
};

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      n: { type: 'string' },
      matches: { type: 'string' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      from: { type: 'string' },
      save: { type: 'boolean', default: false },
    },
  });
  const [name = ''] = positionals;
  const load = BENCHMARKS[name];
  if (!load) {
    for (const [known, load] of Object.entries(BENCHMARKS))
      console.log(`${known.padEnd(14)} ${(await load()).benchmark.about}`);
    if (name !== '') console.error(`✖ no benchmark is named ${name}`);
    return name === '' ? 0 : 2;
  }
  const asked = values.n ?? values.matches ?? values.runs;
  const count = asked === undefined ? undefined : Number(asked);
  if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= 1000)) {
    console.error('✖ --n takes a whole number from 1 to 1000');
    return 2;
  }
  const [seed, from] = [values.seed, values.from].map((value) =>
    value === undefined ? undefined : Number(value),
  );
  if (
    [seed, from].some(
      (value) => value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= 1e6),
    )
  ) {
    console.error('✖ --seed and --from take a whole number from 0 to 1000000');
    return 2;
  }
  const options: Options = {
    quick: values.quick,
    count,
    seed,
    from,
    say: (line) => console.error(line),
  };
  try {
    const { benchmark } = await load();
    const verdicts = await benchmark.run(options);
    for (const verdict of verdicts) console.log(lineOf(verdict));
    if (values.save) saveSamples(name, verdicts);
    return 0;
  } catch (error) {
    console.error(`✖ ${name}: ${messageOf(error)}`);
    return 1;
  }
}

/**
 * Saves the samples behind the verdicts, to be committed with their lines: times in ms or s, to the
 * microsecond.
 */
function saveSamples(name: string, verdicts: readonly Verdict[]): void {
  const path = join(packageRoot, `bench/samples/${name}.json`);
  const saved = { date: new Date().toISOString().slice(0, 10), node: process.version, verdicts };
  const text = JSON.stringify(
    saved,
    (_, value) => (typeof value === 'number' ? Math.round(value * 1e3) / 1e3 : value),
    1,
  );
  writeFileSync(
    path,
    `${text.replace(/\n\s+(?=-?[\d.]+,?\n)/g, ' ').replace(/(\d)\n\s+\]/g, '$1 ]')}\n`,
  );
  console.error(`samples: ${path}`);
}
