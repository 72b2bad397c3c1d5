// `cagematch report`: shows a past match or probe again, from its record alone.
import { dirname } from 'node:path';
import { z } from 'zod';
import { CagematchError } from '../lib/errors.js';
import { jsonDocument } from '../lib/json.js';
import type { Report } from '../lib/report/document.js';
import { createCsv, type Exporter } from '../lib/report/export/csv.js';
import { renderHyperfine } from '../lib/report/export/hyperfine.js';
import { createJson } from '../lib/report/export/json.js';
import { MATCH_REGION, renderMarkdown } from '../lib/report/export/markdown.js';
import { renderSvg } from '../lib/report/export/svg.js';
import { createTrace } from '../lib/report/export/trace.js';
import type { Fold } from '../lib/report/fold.js';
import { renderHtml } from '../lib/report/html.js';
import { renderProbeCsv } from '../lib/report/probe/csv.js';
import type { ProbeDocument } from '../lib/report/probe/document.js';
import { renderProbeHtml } from '../lib/report/probe/html.js';
import { PROBE_REGION, renderProbeMarkdown } from '../lib/report/probe/markdown.js';
import { renderProbe } from '../lib/report/probe/terminal.js';
import { coloured, plain, renderTable } from '../lib/report/terminal/table.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { argument, flag, readSettings, text } from './options.js';
import { type Found, findRecord, finishedFold, readFound, readProbe } from './records.js';
import { checkPublishable, matchCandidate, probeCandidate, publishResult } from './results-page.js';

/**
 * Made from the whole match, or from its events as they are read, however many there are. `probe`:
 * present if a probe has this format.
 */
type Format = { probe?(document: ProbeDocument, io: Io): string } & (
  | { whole(report: Report, around: Around): string }
  | { stream(write: (text: string) => void, report: () => Promise<Report>): Promise<Exporter> }
);

interface Around {
  fold: Fold;
  io: Io;
  /** For each part, the newest probe of the same machine beside the match. */
  probes: ProbeDocument[];
}

const styleFor = (io: Io) => (wantsColour(io, io.outIsTty) ? coloured : plain);

const FORMATS = {
  table: {
    whole: (report, { io, probes }) => renderTable(report, styleFor(io), probes),
    probe: (document, io) => renderProbe(document, styleFor(io)),
  },
  markdown: {
    whole: (report, { probes }) =>
      `${[renderMarkdown(report), ...probes.map(renderProbeMarkdown)].join('\n\n')}\n`,
    probe: (document) => `${renderProbeMarkdown(document)}\n`,
  },
  html: { whole: (report, { probes }) => renderHtml(report, probes), probe: renderProbeHtml },
  json: {
    stream: async (write, report) => createJson(write, await report()),
    probe: (document) => jsonDocument(document),
  },
  csv: { stream: async (write) => createCsv(write), probe: renderProbeCsv },
  hyperfine: { whole: (report, { fold }) => renderHyperfine(report, fold.tallyOf) },
  svg: { whole: (report) => renderSvg(report) },
  trace: { stream: async (write) => createTrace(write) },
} as const satisfies Record<string, Format>;

const NAMES = Object.keys(FORMATS) as (keyof typeof FORMATS)[];

export const options = {
  match: argument('id, folder or record of a match or probe; default: the newest match'),
  format: {
    yargs: {
      describe:
        'output format; svg: one picture, for a README; hyperfine: for its plotting scripts; trace: for ui.perfetto.dev',
      choices: NAMES,
      default: 'table',
    },
    schema: z.enum(NAMES),
  },
  publish: flag('also write RESULTS.md, if the match or probe qualifies'),
  out: { ...text('folder with the match records', { default: 'results' }), schema: z.string() },
};
export const example = ['$0 report --format csv > runs.csv', 'one line a run'] as const;

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const found = findRecord(settings.match, settings.out, io.cwd);
  if (settings.publish) return publishFound(found, settings.out, io);
  const format: Format = FORMATS[settings.format];
  const write = settings.format === 'table' ? io.out : io.document;
  if (found.kind === 'probe') {
    if (!format.probe) throw notOfAProbe(found.name, settings.format);
    write(format.probe(await readProbe(found), io));
    return EXIT.done;
  }
  if ('whole' in format) {
    const { report, fold, probes } = await finishedFold(found);
    write(format.whole(report, { fold, io, probes }));
    return EXIT.done;
  }
  const pieces = inPieces(write);
  const exporter = await format.stream(
    pieces.write,
    async () => (await finishedFold(found)).report,
  );
  await readFound(found, exporter.push);
  exporter.end();
  pieces.end();
  return EXIT.done;
}

/**
 * @throws `bad-input` if there is no such page, if it cannot be written, or if the record is
 *   elsewhere
 */
async function publishFound(found: Found, out: string, io: Io): Promise<number> {
  checkPublishable({ out }, found.kind === 'probe' ? PROBE_REGION : MATCH_REGION, io.cwd);
  const candidate =
    found.kind === 'probe'
      ? probeCandidate(await readProbe(found))
      : matchCandidate((await finishedFold(found)).report);
  return publishResult(candidate, { publish: true, folder: dirname(found.path) }, io)
    ? EXIT.done
    : EXIT.failed;
}

function notOfAProbe(name: string, format: string): CagematchError {
  const has = NAMES.filter((name) => 'probe' in FORMATS[name]);
  return new CagematchError(
    'bad-input',
    `${name} is a probe: it has no runs, and so no ${format}`,
    `--format ${has.join(' | ')}`,
  );
}

/** Buffers writes, because a system call for every line would take longer than everything else. */
function inPieces(out: (text: string) => void) {
  let buffer = '';
  return {
    write(text: string) {
      buffer += text;
      if (buffer.length < 1 << 16) return;
      out(buffer);
      buffer = '';
    },
    end() {
      if (buffer !== '') out(buffer);
    },
  };
}
