// The settings of a probe, from the command line.
import { CagematchError, nearest } from '../lib/errors.js';
import { parseTarget } from '../lib/probes/walls/target.js';
import { PROBES, type ProbeName } from '../lib/record/probe.js';
import { parseWanted, type Registry } from '../lib/sandbox/registry.js';
import {
  flag,
  list,
  readSettings,
  type SettingsOf,
  text,
  wanted,
  wholeNumber,
  withDefault,
} from './options.js';

export const options = {
  modes: wanted,
  only: withDefault(
    list(`what to probe, comma-separated; default: ${PROBES.join(',')}`),
    PROBES.join(','),
  ),
  rounds: withDefault(wholeNumber('rounds of tax, the overhead of work', [1, 50]), '6'),
  seed: wholeNumber('seed of the order within the rounds; default: a fresh one', [0, 2 ** 31 - 1]),
  reach: list('external host:port addresses to try from inside, comma-separated; default: none'),
  require: list('modes that must be available and be probed completely, comma-separated'),
  timeout: withDefault(wholeNumber('seconds for one sandbox', [1, 3600]), '300'),
  json: text('the tables as JSON to FILE, or - for stdout'),
  publish: flag('also write RESULTS.md, if the probe qualifies'),
  out: withDefault(text('folder for the probe record'), 'results'),
  dryRun: flag('print what would be probed, and stop'),
};

export interface ProbeRunSettings
  extends Omit<SettingsOf<typeof options>, 'require' | 'only' | 'reach' | 'timeout'> {
  required: string[];
  /** Without duplicates, in the order in which they are tried. */
  only: ProbeName[];
  /** Addresses in the form `host:port`. */
  reach: string[];
  /** Timeout for one sandbox, in ms. */
  timeoutMs: number;
}

/**
 * @param args as returned by yargs
 * @throws `bad-input` with the first error
 */
export function readProbeSettings(args: unknown, registry: Registry): ProbeRunSettings {
  const {
    require: required = [],
    only,
    reach = [],
    timeout,
    ...typed
  } = readSettings(options, args);
  for (const name of [...typed.modes, ...required]) parseWanted(registry, name);
  for (const target of reach) parseTarget(target);
  return {
    ...typed,
    required,
    only: whatToTry(only),
    reach: [...new Set(reach)],
    timeoutMs: timeout * 1000,
  };
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
  if (names.length === 0)
    throw new CagematchError(
      'bad-input',
      '--only names nothing to try',
      `--only ${PROBES.join(',')}`,
    );
  return PROBES.filter((name) => names.includes(name));
}
