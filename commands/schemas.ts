// JSON Schemas (2020-12) of the files that cagematch reads and writes, for use with other tools.
import { z } from 'zod';
import { probeEventSchema } from '../lib/record/probe.js';
import { eventSchema } from '../lib/record/types.js';
import { comparisonDocument } from '../lib/report/compare/comparison.js';
import { reportSchema } from '../lib/report/document.js';
import { probeDocumentSchema } from '../lib/report/probe/document.js';
import { taskSchema } from '../lib/task/schema.js';

/** Maps paths in the package to the complete text of each file. */
export function schemaFiles(): Record<string, string> {
  const text = (schema: z.ZodType, title: string, io: 'input' | 'output') =>
    `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io }) }, null, 2)}\n`;
  return {
    'docs/schema/report.json': text(
      reportSchema,
      'cagematch report --format json; cagematch run --json',
      'output',
    ),
    // Shape as in a file, where values with a default may be absent.
    'docs/schema/event.json': text(eventSchema, 'A line of events.jsonl', 'input'),
    'docs/schema/probe.json': text(
      probeDocumentSchema,
      'cagematch probe --json; cagematch report --format json of a probe',
      'output',
    ),
    'docs/schema/probe-event.json': text(probeEventSchema, 'A line of probe.jsonl', 'input'),
    'docs/schema/task.json': text(taskSchema, 'task.yaml', 'input'),
    'docs/schema/compare.json': text(comparisonDocument, 'cagematch compare --json', 'output'),
  };
}
