// `cagematch detect`: lists which runtimes are available, and why the others are not.
import type { Argv } from 'yargs';
import { z } from 'zod';
import { jsonDocument } from '../lib/json.js';
import { renderDetected } from '../lib/report/terminal/detected.js';
import { coloured, plain } from '../lib/report/terminal/lines.js';
import { isolationOf, isStandIn } from '../lib/sandbox/detect.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { readSettings } from './settings.js';
import { survey } from './survey.js';

export const builder = (argv: Argv) =>
  argv
    .positional('modes', { describe: 'modes to detect; default: all', type: 'string', array: true })
    .option('json', { describe: 'as JSON', boolean: true, default: false });

const settingsSchema = z.object({ modes: z.array(z.string()).default([]), json: z.boolean() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const { detected } = await survey(io, settings.modes);
  const rows = detected.map(({ mode, detection }) => ({
    mode: mode.id,
    letter: mode.letter,
    title: mode.title,
    isolation: isolationOf({ mode, detection }),
    standIn: isStandIn(detection),
    detection,
  }));
  if (settings.json) io.document(jsonDocument(rows));
  else io.out(renderDetected(rows, wantsColour(io, io.outIsTty) ? coloured : plain));
  return EXIT.done;
}
