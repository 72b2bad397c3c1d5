// The shapes of what cagematch writes as JSON Schema (2020-12), for those who read it with other tools.
import { z } from 'zod';
import { probeEventSchema } from '../../probe-record.js';
import { eventSchema } from '../../record.js';
import { taskSchema } from '../../task/schema.js';
import { comparisonDocument } from '../compare/comparison.js';
import { reportSchema } from '../document.js';
import { probeDocumentSchema } from '../probe/document.js';

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
