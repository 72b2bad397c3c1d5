// The result of one search: nothing found, the credential found at some places, or a place that
// could not be searched.
import type { Searched } from '../../census/search-files.js';
import type { Sweep } from '../../record/probe.js';
import type { PlaceName } from './list.js';

export type Finding = Sweep['places'][number] & { place: PlaceName };

/** The maximum number of hits reported per place. */
const MOST_HITS = 20;

/** @param looked what was searched, in a few words */
export function finding(place: PlaceName, hits: Finding['hits'], looked: string): Finding {
  const more = hits.length - MOST_HITS;
  return {
    place,
    verdict: hits.length === 0 ? 'clean' : 'found',
    hits: hits.slice(0, MOST_HITS),
    detail: more > 0 ? `${looked}; ${more} more hits` : looked,
  };
}

/** Result of a folder search. If the search was incomplete, only a hit is conclusive. */
export function searched(place: PlaceName, { files, read, bytes, hits, left }: Searched): Finding {
  const looked = `${read} of ${files} files, ${Math.round(bytes / 1024)} KiB`;
  if (left && hits.length === 0) return unseen(place, `too much to look at it all: ${looked}`);
  return finding(place, hits, left ? `${looked}, and not all that is there` : looked);
}

export function unseen(place: PlaceName, why: string): Finding {
  return { place, verdict: 'gap', hits: [], detail: why };
}
