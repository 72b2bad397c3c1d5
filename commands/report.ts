// `cagematch report`: a past match again, from nothing but its record.
import type { Argv } from 'yargs';
import { z } from 'zod';
import type { Report } from '../lib/report/document.js';
import { createCsv, type Exporter } from '../lib/report/export/csv.js';
import { renderHyperfine } from '../lib/report/export/hyperfine.js';
import { createJson } from '../lib/report/export/json.js';
import { renderMarkdown } from '../lib/report/export/markdown.js';
import { createTrace } from '../lib/report/export/trace.js';
import type { Fold } from '../lib/report/fold.js';
import { renderHtml } from '../lib/report/html.js';
import { coloured, plain, renderTable } from '../lib/report/terminal/table.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { findRecord, finishedFold, readFound } from './records.js';
import { readSettings } from './settings.js';

/** What is made of the whole match; or of its events as they are read, however many there are. */
type Format =
  | { whole(report: Report, fold: Fold, io: Io): string }
  | { stream(write: (text: string) => void, report: () => Promise<Report>): Promise<Exporter> };

const FORMATS = {
  table: { whole: (report, _, io) => renderTable(report, wantsColour(io, io.outIsTty) ? coloured : plain) },
  markdown: { whole: (report) => `${renderMarkdown(report)}\n` },
  html: { whole: (report) => renderHtml(report) },
  json: { stream: async (write, report) => createJson(write, await report()) },
  csv: { stream: async (write) => createCsv(write) },
  hyperfine: { whole: (report, fold) => renderHyperfine(report, fold.tallyOf) },
  trace: { stream: async (write) => createTrace(write) },
} as const satisfies Record<string, Format>;

const NAMES = Object.keys(FORMATS) as (keyof typeof FORMATS)[];

export const builder = (argv: Argv) =>
  argv
    .positional('match', { describe: "a match's id, its folder or its events.jsonl; none: the newest", type: 'string' })
    .option('format', {
      describe: 'how to show it; hyperfine: for its plotting scripts, trace: for ui.perfetto.dev',
      choices: NAMES,
      default: 'table' as const,
    })
    .option('out', { describe: 'where match folders are', default: 'results', requiresArg: true, string: true })
    .example('$0 report --format csv > runs.csv', 'one line a run');

const settingsSchema = z.object({ match: z.string().optional(), format: z.enum(NAMES), out: z.string() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const found = findRecord(settings.match, settings.out, io.cwd);
  const format: Format = FORMATS[settings.format];
  if ('whole' in format) {
    const { report, fold } = await finishedFold(found);
    io.out(format.whole(report, fold, io));
    return EXIT.done;
  }
  const pieces = inPieces(io.out);
  const exporter = await format.stream(pieces.write, async () => (await finishedFold(found)).report);
  await readFound(found, exporter.push);
  exporter.end();
  pieces.end();
  return EXIT.done;
}

/** A system call for every line would take longer than all else. */
function inPieces(out: (text: string) => void) {
  let held = '';
  return {
    write(text: string) {
      held += text;
      if (held.length < 1 << 16) return;
      out(held);
      held = '';
    },
    end() {
      if (held !== '') out(held);
    },
  };
}
