// The local rows that are ready on this machine.
import type { Env } from '../../lib/contract.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';

export async function detectedEntries(env: Env): Promise<string[]> {
  const keeper = createKeeper();
  const around = {
    env,
    platform: process.platform,
    uid: process.getuid?.(),
    match: 'none',
    signal: new AbortController().signal,
    say: () => {},
  };
  try {
    const detected = await detectAll((await loadModes()).values(), (mode) =>
      contextFor(around, keeper, mode),
    );
    return detected.flatMap(({ mode, detection }) => {
      if (
        detection.status !== 'ready' ||
        mode.isolation === 'remote-vm' ||
        mode.isolation === 'microvm'
      )
        return [];
      const variants = (detection.variants ?? []).filter(
        ({ onRequest, id }) => onRequest !== true && ['runsc', 'rootless'].includes(id),
      );
      return [mode.id, ...variants.map(({ id }) => `${mode.id}:${id}`)];
    });
  } finally {
    await keeper.closeAll();
  }
}
