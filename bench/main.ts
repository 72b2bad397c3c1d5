// `npm run bench -- NAME [--quick] [--n N] [--seed S]`: measures one of the promises in docs/benchmarks.md, and says whether it holds.
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.js';
import { type Benchmark, lineOf, type Options } from './verdict.js';

/** Loaded only when it is the one: what another benchmark imports must not weigh on this one's process. */
const BENCHMARKS: Record<string, () => Promise<{ benchmark: Benchmark }>> = {
  'harness-cost': () => import('./harness-cost.js'),
  'harness-cpu': () => import('./harness-cpu.js'),
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
    },
  });
  const [name = ''] = positionals;
  const load = BENCHMARKS[name];
  if (!load) {
    for (const [known, one] of Object.entries(BENCHMARKS)) console.log(`${known.padEnd(14)} ${(await one()).benchmark.about}`);
    if (name !== '') console.error(`✖ no benchmark is named ${name}`);
    return name === '' ? 0 : 2;
  }
  const asked = values.n ?? values.matches ?? values.runs;
  const count = asked === undefined ? undefined : Number(asked);
  if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= 1000)) {
    console.error('✖ --n takes a whole number from 1 to 1000');
    return 2;
  }
  const [seed, from] = [values.seed, values.from].map((value) => (value === undefined ? undefined : Number(value)));
  if ([seed, from].some((value) => value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= 1e6))) {
    console.error('✖ --seed and --from take a whole number from 0 to 1000000');
    return 2;
  }
  const options: Options = { quick: values.quick, count, seed, from, say: (line) => console.error(line) };
  try {
    const { benchmark } = await load();
    for (const verdict of await benchmark.run(options)) console.log(lineOf(verdict));
    return 0;
  } catch (error) {
    console.error(`✖ ${name}: ${messageOf(error)}`);
    return 1;
  }
}
