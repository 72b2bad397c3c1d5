// The shapes of what cagematch writes as JSON Schema (2020-12), for those who read it with other tools.
import { z } from 'zod';
import { probeEventSchema } from '../lib/record/probe.js';
import { eventSchema } from '../lib/record/types.js';
import { comparisonDocument } from '../lib/report/compare/comparison.js';
import { reportSchema } from '../lib/report/document.js';
import { probeDocumentSchema } from '../lib/report/probe/document.js';
import { taskSchema } from '../lib/task/schema.js';

/** Path in the package to the file's text, whole. */
export function schemaFiles(): Record<string, string> {
  const text = (schema: z.ZodType, title: string, io: 'input' | 'output') =>
    `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io }) }, null, 2)}\n`;
  return {
    'docs/schema/report.json': text(reportSchema, 'cagematch report --format json; cagematch run --json', 'output'),
    // As it stands in a file: what has a default may be absent there.
    'docs/schema/event.json': text(eventSchema, 'A line of events.jsonl', 'input'),
    'docs/schema/probe.json': text(probeDocumentSchema, 'cagematch probe --json; cagematch report --format json of a probe', 'output'),
    'docs/schema/probe-event.json': text(probeEventSchema, 'A line of probe.jsonl', 'input'),
    'docs/schema/task.json': text(taskSchema, 'task.yaml', 'input'),
    'docs/schema/compare.json': text(comparisonDocument, 'cagematch compare --json', 'output'),
  };
}
