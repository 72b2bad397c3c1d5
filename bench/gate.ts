// Can a build rely on `compare --fail-over`? Simulated pairs of matches, unchanged and with one row
// made slower, are folded and compared by the product's own code.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../lib/package.js';
import { compare } from '../lib/report/compare/compare.js';
import { randomFrom } from './random.js';
import { NOISE, simulateMatch } from './simulated-match.js';
import { type Benchmark, type Options, samples, type Verdict } from './verdict.js';

const ROWS = ['host', 'native', 'docker', 'docker:runsc', 'podman', 'podman:rootless', 'incus'];
const CHANGED = 'docker';
const ROUNDS = 12;
const PAIRS = 500;
export const LIMITS = [0, 5, 10];

/** One pair of matches: the failures by limit, each as `row measure`. */
export interface Sample {
  seed: number;
  failed: Record<string, string[]>;
}

/** @param slower by how many percent one row is slower in the second match */
export function judgePair(seed: number, slower: number, rounds = ROUNDS): Sample {
  const machine = Math.exp(NOISE.machine * randomFrom(seed).normal());
  const base = simulateMatch({ seed: 2 * seed, match: 'base', rounds, rows: ROWS, machine: 1 });
  const next = simulateMatch({
    seed: 2 * seed + 1,
    match: 'new',
    rounds,
    rows: ROWS,
    machine,
    factors: { [CHANGED]: 1 + slower / 100 },
  });
  const failed = LIMITS.map((limit) => {
    const { regressions } = compare(base, next, limit);
    return [String(limit), regressions.map(({ entry, what }) => `${entry} ${what}`)];
  });
  return { seed, failed: Object.fromEntries(failed) };
}

export const benchmark: Benchmark = {
  about:
    'compare --fail-over on simulated pairs of matches: unchanged ones that fail, +20 % of one row that does not; a minute',
  async run(options) {
    const [unchanged, slower] = [judgeAll(options, 0), judgeAll(options, 20)];
    if (!options.quick && options.count === undefined && options.seed === undefined)
      keep({ unchanged, slower });
    return [
      ...LIMITS.map((limit) =>
        shareOf(`unchanged pairs that fail at --fail-over ${limit}`, unchanged, limit, {
          limit: 2,
          sense: 'most',
        }),
      ),
      ...LIMITS.slice(1).map((limit) =>
        shareOf(`pairs with +20 % in ${CHANGED} that fail at --fail-over ${limit}`, slower, limit, {
          limit: 95,
          sense: 'least',
        }),
      ),
    ];
  },
};

function judgeAll(options: Options, slower: number): Sample[] {
  const first = (options.seed ?? 0) * PAIRS + (slower > 0 ? 1_000_000 : 0);
  const pairs = samples(options, PAIRS, 40);
  options.say(`${pairs} pairs of ${ROUNDS} rounds, +${slower} %`);
  return Array.from({ length: pairs }, (_, index) => judgePair(first + index, slower));
}

function shareOf(
  name: string,
  all: readonly Sample[],
  failOver: number,
  bound: Pick<Verdict, 'limit' | 'sense'>,
): Verdict {
  const failing = all.filter(({ failed }) => (failed[failOver]?.length ?? 0) > 0);
  const others = failing.filter(({ failed }) =>
    failed[failOver]?.every((change) => !change.startsWith(`${CHANGED} `)),
  ).length;
  const note = bound.sense === 'least' ? `of these ${others} name another row only` : undefined;
  return {
    name,
    value: (failing.length / all.length) * 100,
    n: all.length,
    unit: ' %',
    ...bound,
    ...(note === undefined ? {} : { note }),
  };
}

/** Saves the pairs, so that readers can verify the counts. */
function keep(all: Record<'unchanged' | 'slower', Sample[]>): void {
  const folder = join(packageRoot, 'bench/samples');
  mkdirSync(folder, { recursive: true });
  const lines = Object.entries(all).map(
    ([name, pairs]) =>
      `  ${JSON.stringify(name)}: [\n${pairs.map((pair) => `    ${JSON.stringify(pair)}`).join(',\n')}\n  ]`,
  );
  const head = `  "rounds": ${ROUNDS},\n  "rows": ${JSON.stringify(ROWS)},\n  "noise": ${JSON.stringify(NOISE)}`;
  writeFileSync(join(folder, 'gate.json'), `{\n${[head, ...lines].join(',\n')}\n}\n`);
}
