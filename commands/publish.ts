// Output of the report of a finished match or probe: to the screen, to a file and, on request, to
// the page of results.

import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { CagematchError, messageOf } from '../lib/errors.js';
import { jsonDocument } from '../lib/json.js';
import { quoted } from '../lib/os/quoted.js';
import { withProbes } from '../lib/report/advice/recommend.js';
import type { Report } from '../lib/report/document.js';
import type { ProbeDocument } from '../lib/report/probe/document.js';
import { renderProbe } from '../lib/report/probe/terminal.js';
import type { Style } from '../lib/report/terminal/lines.js';
import { coloured, plain, renderTable } from '../lib/report/terminal/table.js';
import { type Io, wantsColour } from './io.js';
import { probesBeside } from './records.js';
import { matchCandidate, probeCandidate, publishResult } from './results-page.js';

interface Where {
  /** A file, or `-` for stdout, which then contains nothing else. */
  json?: string | undefined;
  /** Also write RESULTS.md. */
  publish: boolean;
}

/**
 * @param folder the match's folder; probes of the same machine beside it add to the
 *   recommendations, and the table names them
 */
export async function publish(
  folded: Report,
  folder: string,
  settings: Where,
  io: Io,
): Promise<void> {
  const probes = await probesBeside(dirname(folder), folded.match.host);
  const report = withProbes(folded, probes);
  show(report, (style) => renderTable(report, style, probes), settings, io);
  publishResult(matchCandidate(report), { publish: settings.publish, folder }, io);
  sayWhere(folder, io);
}

/** As `publish`, for a probe. */
export function publishProbe(
  document: ProbeDocument,
  folder: string,
  settings: Where,
  io: Io,
): void {
  show(document, (style) => renderProbe(document, style), settings, io);
  publishResult(probeCandidate(document), { publish: settings.publish, folder }, io);
  sayWhere(folder, io);
}

function show(document: unknown, render: (style: Style) => string, settings: Where, io: Io): void {
  const json = jsonDocument(document);
  const toStdout = settings.json === '-';
  if (toStdout) io.document(json);
  else if (settings.json !== undefined) save(resolve(io.cwd, settings.json), json);
  const table = (tty: boolean) => render(wantsColour(io, tty) ? coloured : plain);
  if (toStdout) io.err(table(io.errIsTty));
  else io.out(`\n${table(io.outIsTty)}`);
}

function sayWhere(folder: string, io: Io): void {
  io.err(
    `record: ${near(folder, io.cwd)}; cagematch report ${named(folder, io.cwd)} --format html > page.html\n`,
  );
}

/** The path relative to the current folder if it is below that folder, otherwise unchanged. */
function near(folder: string, cwd: string): string {
  const path = relative(cwd, folder);
  return path === '' || path.startsWith('..') || isAbsolute(path) ? folder : path;
}

/**
 * The argument for `report`, quoted for a shell: the id if the folder is in the default place,
 * otherwise its path.
 */
function named(folder: string, cwd: string): string {
  const path = near(folder, cwd);
  if (path === join('results', basename(folder))) return basename(folder);
  return /^[\w./-]+$/.test(path) ? path : quoted(path);
}

/**
 * Called before the first launch, so that the error does not appear only after the last.
 * @throws `bad-input`
 */
export function checkWritable(path: string, hint = 'name another with --json FILE'): void {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code})`,
      hint,
    );
  }
}

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      `${path} cannot be written: ${messageOf(error)}`,
      'the record is kept: cagematch report --format json',
    );
  }
}
