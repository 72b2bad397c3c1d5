// Processes a whole record at once: its text to events, its events to the report.

import { createLineReader } from '../record/read.js';
import type { MatchEvent } from '../record/types.js';
import type { Report } from './document.js';
import { createFold } from './fold.js';

/**
 * Reads events.jsonl. A last line that was cut short by a crash is left out; any other broken line
 * is an error.
 */
export function parseEvents(text: string): MatchEvent[] {
  const events: MatchEvent[] = [];
  const reader = createLineReader((event) => void events.push(event));
  reader.push(text);
  reader.end();
  return events;
}

export function buildReport(events: Iterable<MatchEvent>): Report {
  const fold = createFold({ runs: true });
  for (const event of events) fold.push(event);
  return fold.finish();
}
