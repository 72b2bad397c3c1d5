// What one look has found: nothing, the credential at some places, or that it could not be looked there.
import type { Sweep } from '../../probe-record.js';
import type { PlaceName } from './list.js';

export type Finding = Sweep['places'][number] & { place: PlaceName };

/** So many are told of one place. */
const MOST_HITS = 20;

/** @param looked what was looked at, in a few words */
export function finding(place: PlaceName, hits: Finding['hits'], looked: string): Finding {
  const more = hits.length - MOST_HITS;
  return {
    place,
    verdict: hits.length === 0 ? 'clean' : 'found',
    hits: hits.slice(0, MOST_HITS),
    detail: more > 0 ? `${looked}; ${more} more hits` : looked,
  };
}

export function unseen(place: PlaceName, why: string): Finding {
  return { place, verdict: 'gap', hits: [], detail: why };
}
