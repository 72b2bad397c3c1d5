// `cagematch report`: a past match again, from nothing but its record.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { z } from 'zod';
import { CagematchError, messageOf } from '../lib/errors.js';
import { renderMarkdown } from '../lib/report/markdown.js';
import { buildReport, parseEvents } from '../lib/report/report.js';
import { coloured, plain, renderTable } from '../lib/report/table.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { readSettings } from './settings.js';

const FORMATS = ['table', 'markdown', 'json'] as const;

export const builder = (argv: Argv) =>
  argv
    .positional('match', { describe: "a match's id or folder; none: the newest", type: 'string' })
    .option('format', { describe: 'how to show it', choices: FORMATS, default: 'table' as const })
    .option('out', { describe: 'where match folders are', default: 'results', requiresArg: true, string: true });

const settingsSchema = z.object({ match: z.string().optional(), format: z.enum(FORMATS), out: z.string() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const folder = resolve(io.cwd, settings.out);
  const match = settings.match ?? newest(folder);
  const text = read(match, folder, io.cwd);
  const report = await buildReport(parse(text, match));
  if (settings.format === 'json') io.out(`${JSON.stringify(report, null, 2)}\n`);
  else if (settings.format === 'markdown') io.out(`${renderMarkdown(report)}\n`);
  else io.out(renderTable(report, wantsColour(io, io.outIsTty) ? coloured : plain));
  return EXIT.done;
}

function newest(folder: string): string {
  const matches = list(folder);
  const last = matches.at(-1);
  if (last === undefined) throw new CagematchError('bad-input', `no match found in ${folder}`, 'cagematch run');
  return last;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d{8}-\d{6}-/.test(name))
      .sort();
  } catch {
    return [];
  }
}

function read(match: string, folder: string, cwd: string): string {
  for (const place of [join(folder, match), resolve(cwd, match)]) {
    try {
      return readFileSync(join(place, 'events.jsonl'), 'utf8');
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw new CagematchError('bad-input', messageOf(error));
    }
  }
  const known = list(folder);
  throw new CagematchError(
    'bad-input',
    `no record of a match ${match}`,
    known.length > 0 ? `the newest are ${known.slice(-3).join(' ')}` : 'cagematch run',
  );
}

function parse(text: string, match: string) {
  try {
    return parseEvents(text);
  } catch (error) {
    throw new CagematchError('bad-input', `the record of ${match} cannot be read: ${messageOf(error)}`);
  }
}
