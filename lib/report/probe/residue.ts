// The credential sweeps, condensed: where the credential was found, by the way it was delivered,
// and what a reader should look at.
import type { Sweep } from '../../record/probe.js';
import { isGap } from '../../record/types.js';
import type { ProbeDocument } from './document.js';
import { alike } from './grouped.js';

export interface ResidueTable {
  entries: string[];
  /** In the order in which they were first recorded. */
  ways: Sweep['path'][];
  at(entry: string, way: Sweep['path']): Sweep | undefined;
}

export function residueTable({ modes, residue }: ProbeDocument): ResidueTable {
  const entries = modes.map(({ entry }) => entry);
  return {
    entries,
    ways: [...new Set(entries.flatMap((entry) => (residue[entry] ?? []).map(({ path }) => path)))],
    at: (entry, way) => residue[entry]?.find(({ path }) => path === way),
  };
}

/** `nowhere`, or the places; `-` if the mode does not have this way. */
export function residueShort(sweep: Sweep | undefined): string {
  if (sweep === undefined) return '-';
  if (isGap(sweep.delivered) && sweep.places.length === 0) return '–';
  const found = sweep.places.filter(({ verdict }) => verdict === 'found').map(({ place }) => place);
  const gaps = sweep.places.filter(({ verdict }) => verdict === 'gap').length;
  const where = found.length > 0 ? found.join(', ') : 'nowhere';
  return `${sweep.delivered === 'yes' ? '' : 'not delivered; '}${where}${gaps === 0 ? '' : ` (${gaps} not seen)`}`;
}

/** A hit with `gateway`, the only way whose purpose is to leave none. */
export const isLeak = (sweep: Sweep | undefined): boolean =>
  sweep?.path === 'gateway' && sweep.places.some(({ verdict }) => verdict === 'found');

/** The largest number of places examined in one sweep. */
function placesOf({ residue }: ProbeDocument): number {
  return Math.max(
    0,
    ...Object.values(residue).flatMap((sweeps) => sweeps.map(({ places }) => places.length)),
  );
}

export interface ResidueNote {
  verdict: 'found' | 'gap';
  way: Sweep['path'];
  place: string;
  entries: string[];
  /**
   * Where exactly and in which shape, or why this is undecided; taken from the first of these rows.
   */
  detail: string;
  /** True if the other rows have exactly the same detail. */
  agreed: boolean;
}

/** Every hit and every gap, hits first, grouped by rows with the same finding. */
export function residueNotes({ modes, residue }: ProbeDocument): ResidueNote[] {
  const single = modes.flatMap(({ entry }) =>
    (residue[entry] ?? []).flatMap(({ path: way, places }) =>
      places.flatMap(({ place, verdict, hits, detail }) =>
        verdict === 'clean'
          ? []
          : [{ verdict, way, place, entry, detail: verdict === 'found' ? hitsText(hits) : detail }],
      ),
    ),
  );
  const notes = alike(single, ({ verdict, way, place, detail }) => [
    verdict,
    way,
    place,
    verdict === 'gap' ? detail : '',
  ]).map((same): ResidueNote => {
    const [{ entry, ...note }] = same;
    return {
      ...note,
      entries: same.map(({ entry }) => entry),
      agreed: same.every(({ detail }) => detail === note.detail),
    };
  });
  return [
    ...notes.filter(({ verdict }) => verdict === 'found'),
    ...notes.filter(({ verdict }) => verdict === 'gap'),
  ];
}

const MOST_NAMED = 2;

function hitsText(hits: Sweep['places'][number]['hits']): string {
  const named = hits
    .slice(0, MOST_NAMED)
    .map(({ where, shape }) => (shape === 'raw' ? where : `${where} (${shape})`));
  return hits.length > MOST_NAMED
    ? `${named.join(', ')} and ${hits.length - MOST_NAMED} more`
    : named.join(', ');
}

export const sayResidue = (
  { way, place, detail, agreed, entries }: ResidueNote,
  name: (entry: string) => string,
): string => `${way}: ${place}: ${agreed ? '' : `in ${name(entries[0] ?? '')} `}${detail}`;

/** A one-sentence description of the table. */
export const residueAbout = (document: ProbeDocument): string =>
  `one run with a canary for a credential for each way; ${placesOf(document)} places looked at; gateway: the guest gets a token that is worth nothing elsewhere`;
