// Decides when a match that runs until its numbers are precise has run enough rounds. Pure.
import { medianSorted } from 'simple-statistics';
import { isGap } from '../record/types.js';
import { ratioEstimate } from '../statistics/inference.js';
import { summarize } from '../statistics/summary.js';

/** Minimum number of rounds before a result is considered precise. */
export const FEWEST_ROUNDS = 6;
/** Maximum distance of a confidence interval's ends from its centre, as a share of the centre. */
const WIDTH = 0.05;

/** Startups of passed runs by round, in ms; in a burst there are several per round. */
export type Startups = ReadonlyMap<number, readonly number[]>;

/**
 * Returns the names that are not known precisely enough: the 95 % confidence interval of the ratio
 * to the reference, paired by round, extends beyond ±5 %, or there are too few pairs for an
 * interval. Without a reference, the interval of the median is used.
 * @param startups by name; a name without any is neither judged nor waited for
 * @param referenceOf the name that another is compared with; undefined or the name itself means
 *   none
 * @param seed for the bootstrap of medians
 */
export function tooWide(
  startups: ReadonlyMap<string, Startups>,
  referenceOf: (name: string) => string | undefined,
  seed: number,
): string[] {
  const known = [...startups].filter(([, rounds]) => rounds.size > 0);
  return known.flatMap(([name, rounds]) => {
    const reference = startups.get(referenceOf(name) ?? '');
    const paired = reference !== undefined && reference !== rounds && reference.size > 0;
    // A reference needs no interval of its own.
    if (!paired && known.some(([other]) => other !== name && referenceOf(other) === name))
      return [];
    return (paired ? ratioIsNarrow(rounds, reference) : medianIsNarrow(rounds, seed)) ? [] : [name];
  });
}

function ratioIsNarrow(rounds: Startups, reference: Startups): boolean {
  const logRatios = [...rounds].flatMap(([round, own]) => {
    const other = reference.get(round);
    return other === undefined ? [] : [Math.log(middle(own) / middle(other))];
  });
  if (logRatios.length === 0) return false;
  const { estimate, ci95 } = ratioEstimate(logRatios);
  return !isGap(ci95) && within(estimate, ci95);
}

function medianIsNarrow(rounds: Startups, seed: number): boolean {
  const known = summarize([...rounds.values()].map(middle), seed);
  return !isGap(known) && !isGap(known.ci95) && within(known.median, known.ci95);
}

const middle = (values: readonly number[]) => medianSorted([...values].sort((a, b) => a - b));

function within(centre: number, [low, high]: readonly [number, number]): boolean {
  return centre - low <= WIDTH * centre && high - centre <= WIDTH * centre;
}
