// Simulated matches: events with randomly drawn times, folded by the product's own code, so that
// the truth is known in advance.
import type { MatchEvent } from '../lib/record/types.js';
import type { Side } from '../lib/report/compare/compare.js';
import { createFold } from '../lib/report/fold.js';
import { ended, entered, ran, started } from './known-truth.js';
import { randomFrom } from './random.js';

export interface Simulation {
  seed: number;
  match: string;
  rounds: number;
  /** Names of the rows; the first one is the baseline. */
  rows: readonly string[];
  /** Factor on all times of the match, relative to another day. */
  machine: number;
  /** Factor on the times of single rows; 1 for rows that are not listed. */
  factors?: Record<string, number>;
}

/**
 * Standard deviations of the logarithm of a time. In three real matches of seven rows, the noise of
 * a run's startup was 2.8, 4.5 and 5.3 %, that of the rounds 1.4, 2.4 and 5.3 %, and startup, work
 * and end of one run were weakly correlated (from -0.2 to 0.3).
 */
export const NOISE = { run: 0.045, round: 0.03, machine: 0.05, shared: 0.2, failures: 0.01 };

/** Times of the baseline, in ms. */
const USUAL = { startup: 500, work: 190, end: 60 };

export function simulateMatch({
  seed,
  match,
  rounds,
  rows,
  machine,
  factors = {},
}: Simulation): Side {
  const random = randomFrom(seed);
  const fold = createFold();
  const push = (event: MatchEvent) => fold.push(event);
  push(started(rounds, { match }));
  for (const [index, entry] of rows.entries())
    for (const event of entered(entry, { isolation: index === 0 ? 'none' : 'container' }))
      push(event);
  for (let round = 1; round <= rounds; round += 1) {
    const pace = machine * Math.exp(NOISE.round * random.normal());
    for (const [index, entry] of rows.entries()) {
      const usual = pace * (factors[entry] ?? 1) * (index === 0 ? 1 : 1.1 + index / 10);
      const whole = random.normal();
      const drawn = (ms: number) =>
        ms *
        usual *
        Math.exp(
          NOISE.run *
            (Math.sqrt(NOISE.shared) * whole + Math.sqrt(1 - NOISE.shared) * random.normal()),
        );
      const times = {
        startup: drawn(USUAL.startup),
        work: drawn(USUAL.work),
        end: drawn(USUAL.end),
      };
      push(ran(entry, round, times, random.uniform() < NOISE.failures ? FAILED : undefined));
    }
  }
  push(ended(rounds));
  return { report: fold.finish(), tallyOf: fold.tallyOf };
}

const FAILED = { status: 'failed', cause: 'sandbox', message: 'simulated' } as const;
