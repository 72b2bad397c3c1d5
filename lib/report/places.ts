// On which of a runtime's machines the runs were, and their results there: a cluster's members, a
// runtime's regions.
import { middle, nameOf } from './cells.js';
import type { Report } from './document.js';
import { ofWaves, type Tally } from './tally.js';

type Place = Report['places'][number];

/**
 * The row's runs by level and machine.
 * @param seed of the bootstrap that estimates the intervals
 */
export function placesOf(entry: string, tally: Tally, seed: number): Place[] {
  return [...tally.places.values()]
    .toSorted((a, b) => a.level - b.level || a.place.localeCompare(b.place))
    .map(({ place, level, n, passed, startup, wave }) => ({
      ...{ entry, level, place, n, passed },
      startupMs: ofWaves(startup, wave, seed),
    }));
}

/** One line per row, level and place; undefined if no row has runs in more than one place. */
export function placesTable(report: Report): { head: string[]; rows: string[][] } | undefined {
  const spread = report.modes.filter(({ entry }) => placesAt(report, entry).size > 1);
  if (spread.length === 0) return undefined;
  const burst = report.match.concurrency > 1;
  const rows = spread.flatMap((mode) =>
    report.places
      .filter(({ entry }) => entry === mode.entry)
      .map(({ level, place, n, passed, startupMs }) => [
        nameOf(mode),
        ...(burst ? [String(level)] : []),
        place,
        `${passed}/${n}`,
        middle(startupMs),
      ]),
  );
  return { head: ['mode', ...(burst ? ['at once'] : []), 'on', 'passed', 'startup ms'], rows };
}

/** For each row that had all of its runs in one place: that place. */
export function placeLines(report: Report): string[] {
  return report.modes.flatMap((mode) => {
    const [only, ...more] = placesAt(report, mode.entry);
    return only === undefined || more.length > 0 ? [] : [`${nameOf(mode)}: all on ${only}`];
  });
}

function placesAt({ places }: Report, entry: string): Set<string> {
  return new Set(places.filter((candidate) => candidate.entry === entry).map(({ place }) => place));
}
