// A probe as a document: a fold of its events. Findings about a row are kept whether or not all of
// its probes were completed.
import type { ProbeEvent, ProbeName, Work } from '../../record/probe.js';
import { createRows, versionsOf } from '../rows.js';
import type { ProbeDocument } from './document.js';
import { taxOf } from './tax.js';

type Of<T extends ProbeEvent['type']> = Extract<ProbeEvent, { type: T }>;

export interface ProbeFold {
  /** @throws if the record does not begin with probe-started, or if a second probe begins in it */
  push(event: ProbeEvent): void;
  /** The document of the events pushed so far. @throws if none were pushed */
  finish(): ProbeDocument;
}

const NO_BEGINNING = 'the record does not begin with probe-started';

export function createProbeFold(): ProbeFold {
  let started: Of<'probe-started'> | undefined;
  let ended: Of<'probe-ended'> | undefined;
  const { entries, absent, warnings, detectionOf, push: pushRow } = createRows();
  const images = new Map<string, string>();
  const cells = new Map<string, ProbeDocument['sync'][string]>();
  const walls = new Map<string, ProbeDocument['walls'][string]>();
  const sweeps = new Map<string, ProbeDocument['residue'][string]>();
  const worked: { entry: string; round: number; work: Work }[] = [];
  const brokeOff: ProbeDocument['brokeOff'] = [];
  return {
    push(event) {
      if (started === undefined && event.type !== 'probe-started') throw new Error(NO_BEGINNING);
      switch (event.type) {
        case 'probe-started':
          if (started) throw new Error('a second probe begins in this record');
          started = event;
          break;
        case 'prepared':
          if (event.image !== undefined) images.set(event.entry, event.image);
          break;
        case 'unprepared':
          if (event.outcome.status === 'failed')
            brokeOff.push({ entry: event.entry, what: 'prepare', reason: event.outcome.message });
          break;
        case 'synced':
          add(cells, event.entry, event.cell);
          break;
        case 'walled':
          add(walls, event.entry, event.wall);
          break;
        case 'swept':
          add(sweeps, event.entry, event.sweep);
          break;
        case 'worked':
          worked.push({ entry: event.entry, round: event.round, work: event.work });
          break;
        case 'broke-off':
          // A row may be tried in many rounds and break off in the same way in each.
          if (
            !brokeOff.some(
              ({ entry, what, reason }) =>
                entry === event.entry && what === event.what && reason === event.reason,
            )
          )
            brokeOff.push({ entry: event.entry, what: event.what, reason: event.reason });
          break;
        case 'probe-ended':
          ended = event;
          break;
        default:
          pushRow(event);
      }
    },
    finish() {
      if (!started) throw new Error(NO_BEGINNING);
      const { only, seed } = started;
      const rows = [...entries.values()];
      const baseline = rows.find(({ isolation }) => isolation === 'none')?.entry;
      const ofEach = <T>(
        what: ProbeName,
        found: (entry: string) => T[] | undefined,
      ): Record<string, T[]> =>
        only.includes(what)
          ? Object.fromEntries(rows.map(({ entry }) => [entry, found(entry) ?? []]))
          : {};
      const tax = taxOf(worked, baseline, seed);
      return {
        schemaVersion: 1,
        probe: probeOf(started, ended, baseline),
        modes: rows.map((entry) => ({
          ...entry,
          detection: detectionOf(entry.mode),
          ...(images.has(entry.entry) ? { image: images.get(entry.entry) } : {}),
        })),
        absent,
        sync: ofEach('sync', (entry) => cells.get(entry)),
        walls: ofEach('walls', (entry) => walls.get(entry)),
        residue: ofEach('residue', (entry) => sweeps.get(entry)),
        tax: ofEach('tax', (entry) => tax[entry]),
        brokeOff,
        warnings,
      };
    },
  };
}

function add<T>(lists: Map<string, T[]>, entry: string, item: T): void {
  const list = lists.get(entry) ?? [];
  list.push(item);
  lists.set(entry, list);
}

function probeOf(
  started: Of<'probe-started'>,
  ended: Of<'probe-ended'> | undefined,
  baseline: string | undefined,
): ProbeDocument['probe'] {
  const { probe: id, startedAt, only, seed, rounds, host, versions } = started;
  return {
    id,
    startedAt,
    ...(ended ? { endedAt: ended.endedAt } : {}),
    // A crash leaves no probe-ended event.
    how: ended?.how ?? 'crashed',
    only,
    seed,
    rounds,
    ...(baseline === undefined ? {} : { baseline }),
    host,
    versions: versionsOf(versions),
  };
}
