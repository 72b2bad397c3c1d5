// `cagematch detect`: lists which runtimes are available, and why the others are not.
import { jsonDocument } from '../lib/json.js';
import { renderDetected } from '../lib/report/terminal/detected.js';
import { coloured, plain } from '../lib/report/terminal/lines.js';
import { isolationOf, isStandIn } from '../lib/sandbox/detect.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { flag, readSettings, remaining } from './options.js';
import { survey } from './survey.js';

export const options = {
  modes: remaining('modes to detect; default: all'),
  json: flag('as JSON'),
};

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
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
