// `cagematch compare`: has a runtime, or cagematch itself, become slower?
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { CagematchError, messageOf } from '../lib/errors.js';
import { jsonDocument } from '../lib/json.js';
import { readPlainFile } from '../lib/os/plain-files.js';
import { compare, type Side } from '../lib/report/compare/compare.js';
import type { ComparisonDocument } from '../lib/report/compare/comparison.js';
import { sideOfReport } from '../lib/report/compare/reread.js';
import { renderComparisonMarkdown } from '../lib/report/export/compare-markdown.js';
import { renderComparison } from '../lib/report/terminal/compare-table.js';
import { coloured, plain } from '../lib/report/terminal/table.js';
import { interleave } from './interleave.js';
import { EXIT, type Io, wantsColour } from './io.js';
import {
  argument,
  choice,
  flag,
  readSettings,
  required,
  type SettingsOf,
  text,
  withDefault,
} from './options.js';
import { checkWritable } from './publish.js';
import { findRecord, finishedFold } from './records.js';

const PERCENT = '--fail-over takes a percentage such as 5 or 2.5';

export const options = {
  base: required(
    argument(
      "a match's id, its folder, its events.jsonl, or its report as .json; with --run a match file",
    ),
  ),
  new: required(argument('the newer version')),
  run: flag(
    'run the rows that two match files share, both versions in the same rounds, and compare them pair by pair',
  ),
  runs: text('with --run: rounds; default: what the files say, at least 12'),
  seed: text('with --run: seed of the order within the rounds'),
  allowHost: flag('with --run and a live model: allow unsandboxed runs on the host'),
  dryRun: flag('with --run: print what would run, and stop'),
  failOver: {
    ...text(
      'exit 1 when a row is significantly slower, against the baseline, by more than this many percent, or passes less often; 4 when that cannot be said',
    ),
    schema: z
      .string(PERCENT)
      .regex(/^\d{1,6}(\.\d+)?%?$/, PERCENT)
      .transform((text) => Number.parseFloat(text))
      .optional(),
  },
  format: withDefault(choice('output format', ['table', 'markdown']), 'table'),
  json: {
    ...text('the comparison as JSON to FILE, or - for stdout'),
    schema: z.string('--json takes one FILE, or -').optional(),
  },
  out: { ...text('folder with the match records', { default: 'results' }), schema: z.string() },
};

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const file =
    settings.json === undefined || settings.json === '-'
      ? undefined
      : resolve(io.cwd, settings.json);
  if (file !== undefined) checkWritable(file);
  const finish = (document: ComparisonDocument) => print(document, settings, file, io);
  if (settings.run) return interleave(settings, settings.failOver, io, finish);
  const typed = (['runs', 'seed'] as const).find((name) => settings[name] !== undefined);
  if (typed)
    throw new CagematchError(
      'bad-input',
      `--${typed} is for matches that are run here`,
      'cagematch compare --run A.yaml B.yaml',
    );
  const base = await sideOf(settings.base, settings.out, io.cwd);
  const next = await sideOf(settings.new, settings.out, io.cwd);
  return finish(compare(base, next, settings.failOver));
}

function print(
  document: ComparisonDocument,
  settings: SettingsOf<typeof options>,
  file: string | undefined,
  io: Io,
): number {
  const json = jsonDocument(document);
  if (file !== undefined) writeFileSync(file, json);
  if (settings.json === '-') io.document(json);
  const shown = (tty: boolean) =>
    settings.format === 'markdown'
      ? renderComparisonMarkdown(document)
      : renderComparison(document, wantsColour(io, tty) ? coloured : plain);
  if (settings.json === '-') io.err(shown(io.errIsTty));
  else if (settings.format === 'markdown') io.document(shown(false));
  else io.out(shown(io.outIsTty));
  if (settings.failOver === undefined) return EXIT.done;
  return { regression: EXIT.failed, none: EXIT.done, 'cannot-say': EXIT.cannotSay }[
    document.verdict
  ];
}

/**
 * Maximum size of a JSON report in bytes: about a hundred times the report of a match with every
 * runtime.
 */
const MOST_REPORT = 256 * 1024 ** 2;

async function sideOf(named: string, out: string, cwd: string): Promise<Side> {
  const found = findRecord(named, out, cwd);
  if (!found.path.endsWith('.json')) {
    const { report, fold } = await finishedFold(found);
    return { report, tallyOf: fold.tallyOf };
  }
  try {
    return sideOfReport(
      readPlainFile(found.path, { links: 'follow', most: MOST_REPORT }).toString('utf8'),
    );
  } catch (error) {
    throw new CagematchError('bad-input', `${found.name} cannot be read: ${messageOf(error)}`);
  }
}
