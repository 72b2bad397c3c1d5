// The settings of a probe, from the command line.
import type { Argv } from 'yargs';
import { z } from 'zod';
import { CagematchError, nearest } from '../lib/errors.js';
import { parseTarget } from '../lib/probes/walls/target.js';
import { PROBES, type ProbeName } from '../lib/record/probe.js';
import { parseWanted, type Registry } from '../lib/sandbox/registry.js';
import { namesOf, once, readSettings, text, wanted, wholeNumber } from './settings.js';

const BOUNDS = { rounds: [1, 50], seed: [0, 2 ** 31 - 1], timeout: [1, 3600] } as const;

export const builder = (argv: Argv) =>
  argv
    .positional('modes', wanted)
    .option('only', { describe: `what to probe, comma-separated; default: ${PROBES.join(',')}`, default: PROBES.join(','), ...text })
    .option('rounds', { describe: 'rounds of tax, the overhead of work', default: '6', ...text })
    .option('seed', { describe: 'seed of the order within the rounds; default: a fresh one', ...text })
    .option('reach', { describe: 'external host:port addresses to try from inside, comma-separated; default: none', ...text })
    .option('require', { describe: 'modes that must be available and be probed completely, comma-separated', ...text })
    .option('timeout', { describe: 'seconds for one sandbox', default: '300', ...text })
    .option('json', { describe: 'the tables as JSON to FILE, or - for stdout', ...text })
    .option('publish', { describe: 'also write RESULTS.md, if the probe qualifies', boolean: true, default: false })
    .option('out', { describe: 'folder for the probe record', default: 'results', ...text })
    .option('dry-run', { describe: 'print what would be probed, and stop', boolean: true, default: false });

const bounded = (name: keyof typeof BOUNDS) => wholeNumber(`--${name}`, BOUNDS[name][0], BOUNDS[name][1]);

const typedSchema = z.object({
  modes: z.array(z.string()).default([]),
  only: once('only').transform(namesOf),
  rounds: bounded('rounds'),
  seed: bounded('seed').optional(),
  reach: once('reach').transform(namesOf).default([]),
  require: once('require').transform(namesOf).default([]),
  timeout: bounded('timeout'),
  json: once('json').optional(),
  publish: z.boolean(),
  out: once('out'),
  dryRun: z.boolean(),
});

export interface ProbeRunSettings {
  /** Empty: everything that is ready. */
  modes: string[];
  required: string[];
  /** Without duplicates, in the order in which they are tried. */
  only: ProbeName[];
  /** Number of rounds of tax. */
  rounds: number;
  seed: number | undefined;
  /** Addresses in the form `host:port`. */
  reach: string[];
  /** Timeout for one sandbox, in ms. */
  timeoutMs: number;
  json: string | undefined;
  publish: boolean;
  out: string;
  dryRun: boolean;
}

/**
 * @param args as returned by yargs
 * @throws `bad-input` with the first error
 */
export function readProbeSettings(args: unknown, registry: Registry): ProbeRunSettings {
  const { require: required, only, reach, timeout, seed, json, ...typed } = readSettings(typedSchema, args);
  for (const name of [...typed.modes, ...required]) parseWanted(registry, name);
  for (const target of reach) parseTarget(target);
  return { ...typed, required, seed, json, only: whatToTry(only), reach: [...new Set(reach)], timeoutMs: timeout * 1000 };
}

function whatToTry(names: string[]): ProbeName[] {
  const known: readonly string[] = PROBES;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, known);
    throw new CagematchError(
      'bad-input',
      `--only knows no ${unknown}`,
      meant ? `did you mean ${meant}?` : `what can be tried: ${PROBES.join(',')}`,
    );
  }
  if (names.length === 0) throw new CagematchError('bad-input', '--only names nothing to try', `--only ${PROBES.join(',')}`);
  return PROBES.filter((name) => names.includes(name));
}
