// `cagematch build`: builds the image or template of one mode, or of every mode that is ready.
import { CagematchError } from '../lib/errors.js';
import { EXIT, type Io } from './io.js';
import { argument, flag, readSettings } from './options.js';
import { survey } from './survey.js';

export const options = {
  mode: argument('mode or variant to build; default: all that are ready'),
  force: flag('rebuild without a cache'),
};

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const { detected, wanted, contextOf, keeper } = await survey(
    io,
    settings.mode === undefined ? [] : [settings.mode],
  );
  const variant = wanted[0]?.variant;
  try {
    for (const found of detected) {
      if (found.detection.status !== 'ready') {
        if (settings.mode !== undefined)
          throw new CagematchError(
            'not-ready',
            `${settings.mode}: ${found.detection.reason}`,
            found.detection.hint,
          );
        continue;
      }
      const startedMs = performance.now();
      await found.mode.prepare(contextOf(found, variant), { rebuild: settings.force });
      io.out(
        `${settings.mode ?? found.mode.id}: ready in ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`,
      );
    }
  } finally {
    await keeper.closeAll();
  }
  return EXIT.done;
}
