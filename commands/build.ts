// `cagematch build`: builds the image or template of one mode, or of every mode that is ready.
import type { Argv } from 'yargs';
import { z } from 'zod';
import { CagematchError } from '../lib/errors.js';
import { EXIT, type Io } from './io.js';
import { readSettings } from './settings.js';
import { survey } from './survey.js';

export const builder = (argv: Argv) =>
  argv
    .positional('mode', { describe: 'mode or variant to build; default: all that are ready', type: 'string' })
    .option('force', { describe: 'rebuild without a cache', boolean: true, default: false });

const settingsSchema = z.object({ mode: z.string().optional(), force: z.boolean() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const { detected, wanted, contextOf, keeper } = await survey(io, settings.mode === undefined ? [] : [settings.mode]);
  const variant = wanted[0]?.variant;
  try {
    for (const found of detected) {
      if (found.detection.status !== 'ready') {
        if (settings.mode !== undefined)
          throw new CagematchError('not-ready', `${settings.mode}: ${found.detection.reason}`, found.detection.hint);
        continue;
      }
      const startedMs = performance.now();
      await found.mode.prepare(contextOf(found, variant), { rebuild: settings.force });
      io.out(`${settings.mode ?? found.mode.id}: ready in ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
    }
  } finally {
    await keeper.closeAll();
  }
  return EXIT.done;
}
