// Judges whether a match ended correctly after its fault. Each complaint is one line; no complaints
// means that it did.

import { parseJson } from '../../lib/json.js';
import type { Captured } from '../../lib/os/capture.js';
import { succeeded } from '../../lib/os/capture.js';
import type { EventOf, MatchEvent } from '../../lib/record/types.js';
import { type Draw, rightCauses } from './draw.js';

export interface Verdict {
  /** Resources of the match that still exist after `clean`. */
  left: string[];
  /** Runs that had ended but are missing from the record or the report. */
  lost: string[];
  /** Outcomes whose cause does not match the fault. */
  wrong: string[];
}

interface Seen {
  draw: Draw;
  struck: string | undefined;
  during: { run: string; phase: string } | undefined;
  exit: string;
  stderr: string;
  events: MatchEvent[];
  ended: EventOf<'run-ended'>[];
  reported: Captured;
  clean: Captured;
  left: string[];
  hung: boolean;
}

export function judge(seen: Seen): Verdict {
  const { draw, clean, left } = seen;
  const unclean = succeeded(clean) ? [] : [`clean failed: ${clean.stderr.trim().slice(-300)}`];
  // The tail of a record that was truncated by a full disk does not count as part of it.
  return {
    left: [...left, ...unclean],
    lost: lost(seen),
    wrong: [
      ...(seen.hung ? ['the match came to no end'] : []),
      ...wrong(seen),
      ...howEnded(seen, draw),
    ],
  };
}

/** Runs are executed one at a time, so when a run has started, all earlier ones had ended. */
function lost({ events, ended, reported }: Seen): string[] {
  const complaints: string[] = [];
  const started = events.flatMap((event) => (event.type === 'run-started' ? [event.run] : []));
  const over = events.some((event) => event.type === 'match-ended');
  for (const run of over ? started : started.slice(0, -1))
    if (!ended.some((end) => end.run === run))
      complaints.push(`${run} had ended, and is not in the record`);
  if (!events.some((event) => event.type === 'match-started')) return complaints;
  const report = reportedRuns(reported);
  if (!report)
    return [...complaints, `the record cannot be read: ${reported.stderr.trim().slice(0, 300)}`];
  for (const { run } of ended)
    if (!report.runs.includes(run))
      complaints.push(`${run} is in the record, and not in the report`);
  return complaints;
}

/**
 * A fault affects its row from its moment on; faults of the disk, the model or the harness affect
 * all rows.
 */
function wrong({ draw, struck, ended, events }: Seen): string[] {
  const right = rightCauses(draw);
  const strikesAll = /^(interrupted|harness killed|model|disk full|record disk full)/.test(
    draw.kind,
  );
  const complaints: string[] = [];
  for (const { run, entry, outcome } of ended) {
    if (outcome.status === 'passed') continue;
    const expected = struck !== undefined && (strikesAll || entry === draw.entry);
    if (!expected)
      complaints.push(`${run} failed and was not struck: ${outcome.cause}: ${outcome.message}`);
    else if (!right.includes(outcome.cause))
      complaints.push(
        `${run} blames ${outcome.cause}, not ${right.join(' or ')}: ${outcome.message}`,
      );
  }
  for (const event of events) {
    if (event.type !== 'unprepared' || event.outcome.status === 'passed') continue;
    const { cause, message } = event.outcome;
    if (
      struck === undefined ||
      !(strikesAll || event.entry === draw.entry) ||
      !right.includes(cause)
    )
      complaints.push(`${event.entry} could not be prepared, and that blames ${cause}: ${message}`);
  }
  return complaints;
}

/** Checks how the match itself ended, according to the report. */
function howEnded({ struck, events, reported, exit, stderr }: Seen, { kind }: Draw): string[] {
  if (!events.some((event) => event.type === 'match-started')) return [];
  const how = reportedRuns(reported)?.how;
  const done = events.some((event) => event.type === 'match-ended');
  const expected = done ? ['done', 'interrupted'] : ['crashed'];
  const complaints =
    how !== undefined && !expected.includes(how) ? [`the report calls the match ${how}`] : [];
  if (struck === undefined) return complaints;
  if (kind === 'record disk full' && !done && !/events cannot be written/.test(stderr))
    complaints.push(`nothing is said of the record: ${stderr.slice(-200)}`);
  if (kind === 'interrupted' && exit !== '130' && !done)
    complaints.push(`exit ${exit} after an interrupt`);
  if (!['harness killed', 'record disk full', 'interrupted'].includes(kind) && !done)
    complaints.push(`the match did not end by itself: exit ${exit}: ${stderr.slice(-300)}`);
  return complaints;
}

/** Parses the output of `report --format json`. */
export function reportedRuns(reported: Captured): { how: string; runs: string[] } | undefined {
  const report = parseJson<{ match: { how: string }; runs: { run?: string }[] }>(reported.stdout);
  return report && { how: report.match.how, runs: report.runs.map(({ run }) => run ?? '') };
}
