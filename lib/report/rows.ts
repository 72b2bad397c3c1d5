// The common part of the records of matches and probes: rows, why others are absent, warnings,
// versions.
import type { ProbeEvent } from '../record/probe.js';
import type { Entry, EventOf, MatchEvent } from '../record/types.js';
import type { ModeReport, Report } from './document.js';

export function createRows() {
  const detections = new Map<string, ModeReport['detection']>();
  const entries = new Map<string, Entry>();
  const absent: Report['absent'] = [];
  const warnings: Report['warnings'] = [];
  const detectionOf = (mode: string) =>
    detections.get(mode) ?? { status: 'absent', reason: 'not detected', hint: 'cagematch detect' };
  const push = (event: MatchEvent | ProbeEvent) => {
    if (event.type === 'detected') detections.set(event.mode, event.detection);
    if (event.type === 'entered') entries.set(event.entry, without(event));
    if (event.type === 'left-out') absent.push(without(event));
    if (event.type === 'warning') warnings.push({ code: event.code, message: event.message });
  };
  return { entries, absent, warnings, detectionOf, push };
}

/** An event's payload, without `type` and `atMs`. */
export function without<E extends MatchEvent>({
  type,
  atMs,
  ...rest
}: E): Omit<E, 'type' | 'atMs'> {
  return rest;
}

/** The versions that are known: an unknown commit is left out. */
export const versionsOf = (
  versions: EventOf<'match-started'>['versions'],
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(versions).flatMap(([name, version]) =>
      version === undefined ? [] : [[name, version]],
    ),
  );
