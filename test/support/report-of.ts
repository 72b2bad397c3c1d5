// The report of hand-made events, which themselves and which as a document have the shapes that are
// promised.
import { expect } from 'vitest';
import { eventSchema, type MatchEvent } from '../../lib/record/types.js';
import { reportSchema } from '../../lib/report/document.js';
import { buildReport } from '../../lib/report/report.js';

export function reportOf(events: MatchEvent[]) {
  for (const event of events) eventSchema.parse(event);
  const report = buildReport(events);
  expect(reportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  const modeOf = (entry: string) => {
    const mode = report.modes.find((candidate) => candidate.entry === entry);
    if (!mode) throw new Error(`no row ${entry}`);
    return mode;
  };
  return { report, modeOf };
}
