// Where the report of a finished match goes: the screen, a file, the page of results.
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { CagematchError, messageOf } from '../lib/errors.js';
import type { Report } from '../lib/report/document.js';
import { renderMarkdown, replaceRegion } from '../lib/report/export/markdown.js';
import { coloured, plain, renderTable } from '../lib/report/terminal/table.js';
import { type Io, wantsColour } from './io.js';

/** `json`: a file, or `-` for stdout, which then holds nothing else. */
export function publish(report: Report, folder: string, settings: { json?: string | undefined }, io: Io): void {
  const json = `${JSON.stringify(report, null, 2)}\n`;
  const toStdout = settings.json === '-';
  if (toStdout) io.out(json);
  else if (settings.json !== undefined) save(resolve(io.cwd, settings.json), json);
  const table = (tty: boolean) => renderTable(report, wantsColour(io, tty) ? coloured : plain);
  if (toStdout) io.err(table(io.errIsTty));
  else io.out(`\n${table(io.outIsTty)}`);
  io.err(`record: ${near(folder, io.cwd)}; cagematch report ${named(folder, io.cwd)} --format html > page.html\n`);
  const page = join(io.cwd, 'RESULTS.md');
  // A stand-in's number is never a finding, and half a match is none either.
  if (!existsSync(page) || report.match.how !== 'done' || report.modes.some((mode) => mode.standIn)) return;
  const updated = replaceRegion(readFileSync(page, 'utf8'), renderMarkdown(report));
  if (updated !== undefined) save(page, updated);
}

/** From here, where it lies below; else whole. */
function near(folder: string, cwd: string): string {
  const path = relative(cwd, folder);
  return path === '' || path.startsWith('..') || isAbsolute(path) ? folder : path;
}

/** As `report` takes it, and a shell: the id, where the folder is among the default ones. */
function named(folder: string, cwd: string): string {
  const path = near(folder, cwd);
  if (path === join('results', basename(folder))) return basename(folder);
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Said before the first launch, not after the last. */
export function checkWritable(path: string): void {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      `${path} cannot be written (${(error as NodeJS.ErrnoException).code})`,
      'name another with --json FILE',
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
      'the match is kept: cagematch report --format json',
    );
  }
}
