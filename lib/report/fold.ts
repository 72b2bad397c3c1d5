// The match as a document: a fold of its events, one at a time, that keeps only the numbers of each
// run.

import { baselineFor, baselineOf } from '../record/baseline.js';
import { type EventOf, type Gap, isGap, type MatchEvent } from '../record/types.js';
import { createFamily } from '../statistics/inference.js';
import { recommend } from './advice/recommend.js';
import { burstOf } from './burst.js';
import type { Report } from './document.js';
import { testLengths } from './lengths.js';
import { modelWarnings } from './model-time.js';
import { driftOf, resolutionOf } from './pace.js';
import { testPairs } from './pairs.js';
import { placesOf } from './places.js';
import { rowOf } from './row.js';
import { createRows, versionsOf, without } from './rows.js';
import { createTally, type Tally } from './tally.js';

export interface Fold {
  /** @throws if the record does not begin with match-started, or if a second match begins in it */
  push(event: MatchEvent): void;
  /** The document of the events pushed so far. @throws if none were pushed */
  finish(): Report;
  /** The tally behind a row's numbers; undefined if none of its runs has ended. */
  tallyOf(entry: string): Tally | undefined;
}

/** @param options `runs`: also keep every run as recorded, for the document's `runs` */
export function createFold(options: { runs?: boolean } = {}): Fold {
  let started: EventOf<'match-started'> | undefined;
  let ended: EventOf<'match-ended'> | undefined;
  let rounds = 0;
  const { entries, absent, warnings, detectionOf, push: pushRow } = createRows();
  const prepared = new Map<string, EventOf<'prepared'>>();
  const unprepared = new Map<string, EventOf<'unprepared'>>();
  const appraised = new Map<string, EventOf<'appraised'>>();
  const levelsLeftOut = new Map<string, { level: number; reason: string }[]>();
  const tallies = new Map<string, Tally>();
  const runs: Report['runs'] = [];
  const tallyOf = (entry: string) => {
    const tally = tallies.get(entry) ?? createTally(started?.model ?? 'replay');
    tallies.set(entry, tally);
    return tally;
  };

  return {
    tallyOf: (entry) => tallies.get(entry),
    push(event) {
      if (started === undefined && event.type !== 'match-started') throw new Error(NO_BEGINNING);
      switch (event.type) {
        case 'match-started':
          if (started) throw new Error('a second match begins in this record');
          started = event;
          break;
        case 'prepared':
          prepared.set(event.entry, event);
          break;
        case 'unprepared':
          unprepared.set(event.entry, event);
          break;
        case 'round-started':
          rounds += 1;
          break;
        case 'level-left-out':
          levelsLeftOut.set(event.entry, [
            ...(levelsLeftOut.get(event.entry) ?? []),
            { level: event.level, reason: event.reason },
          ]);
          break;
        case 'wave-ended':
          tallyOf(event.entry).addWave(event);
          break;
        case 'appraised':
          appraised.set(event.entry, event);
          break;
        case 'run-ended':
          tallyOf(event.entry).add(event);
          if (options.runs) runs.push(without(event));
          break;
        case 'match-ended':
          ended = event;
          break;
        default:
          pushRow(event);
      }
    },
    finish() {
      if (!started) throw new Error(NO_BEGINNING);
      const { seed, host, model } = started;
      const base = baselineOf([...entries.values()], model);
      const rows = [...entries.values()].map((entered) => ({
        ...entered,
        tally: tallyOf(entered.entry),
      }));
      const modes = rows.map(({ tally, ...entry }) =>
        rowOf(entry, tally, {
          seed,
          baseline: tallies.get(baselineFor(entry, rows, model)?.entry ?? ''),
          detection: detectionOf(entry.mode),
          prepared: prepared.get(entry.entry),
          unprepared: unprepared.get(entry.entry),
          appraised: appraised.get(entry.entry),
          cores: host.cores,
        }),
      );
      const inBurst = rows.filter(
        ({ entry, tally }) =>
          levelsLeftOut.has(entry) || [...tally.levels.keys()].some((level) => level > 1),
      );
      const family = createFamily();
      const [pairs, lines] = [testPairs(rows, family), testLengths(rows, base?.entry, family)];
      const [comparisons, lengths] = [pairs(), lines?.()];
      const report = {
        schemaVersion: 1 as const,
        match: matchOf(started, ended, rounds, base?.entry),
        modes,
        absent,
        runs,
        ...(lengths === undefined ? {} : { lengths }),
        comparisons,
        resolution: resolutionOf(comparisons, family.tests),
        drift: driftOf(rows.filter(({ standIn }) => !standIn).map(({ tally }) => tally)),
        burst: inBurst.map(({ entry, tally }) =>
          burstOf(entry, tally, levelsLeftOut.get(entry) ?? [], seed),
        ),
        places: rows.flatMap(({ entry, tally }) => placesOf(entry, tally, seed)),
        gaps: modes.flatMap(({ entry, detection, options, failures, bundles, ...values }) =>
          gapsIn(values).map(({ value, gap }) => ({ entry, value, gap })),
        ),
        warnings: [...warnings, ...modelWarnings(modes, model)],
      };
      return { ...report, recommendation: recommend(report) };
    },
  };
}

const NO_BEGINNING = 'the record does not begin with match-started';

function matchOf(
  started: EventOf<'match-started'>,
  ended: EventOf<'match-ended'> | undefined,
  rounds: number,
  baseline: string | undefined,
): Report['match'] {
  const { match: id, versions, load, atMs, type, schemaVersion, ...rest } = started;
  return {
    id,
    ...rest,
    ...(ended ? { endedAt: ended.endedAt } : {}),
    // A crash leaves no match-ended event.
    how: ended?.how ?? 'crashed',
    rounds: Math.max(0, rounds - started.warmup),
    ...(baseline === undefined ? {} : { baseline }),
    versions: versionsOf(versions),
    load: { ...(load ? { before: load } : {}), ...(ended?.load ? { after: ended.load } : {}) },
  };
}

/**
 * Every gap below a value, with its path. Of tail percentiles, which few runs cannot have, only the
 * headline's are included.
 */
function gapsIn(value: unknown, path: string[] = []): { value: string; gap: Gap['gap'] }[] {
  const tail = /^p9[59]/.test(path.at(-1) ?? '');
  if (tail && path[0] !== 'startupMs') return [];
  if (isGap(value)) return [{ value: path.join('.'), gap: value.gap }];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, below]) => gapsIn(below, [...path, name]));
}
