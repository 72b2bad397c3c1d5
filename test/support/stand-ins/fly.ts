// The environment in which the fly mode finds its stand-in: the Machines API on the loopback, and a
// `fly` command.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agentVersion } from '../../../lib/package.js';
import { startFlyApi } from './fly-api.mjs';

export async function standIn(options: Parameters<typeof startFlyApi>[0] = {}): Promise<{
  env: Record<string, string>;
  api: Awaited<ReturnType<typeof startFlyApi>>;
  close(): Promise<void>;
}> {
  // Images of other agents were never pushed.
  const api = await startFlyApi({
    images: (image) => image.includes(`:${agentVersion}-`),
    ...options,
  });
  const state = mkdtempSync(join(tmpdir(), 'cagematch-stand-in-'));
  writeFileSync(join(state, 'argv.jsonl'), '');
  return {
    api,
    env: {
      ...(process.env as Record<string, string>),
      PATH: [fileURLToPath(new URL('bin', import.meta.url)), process.env.PATH ?? ''].join(
        delimiter,
      ),
      CAGEMATCH_STAND_IN_STATE: state,
      CAGEMATCH_FLY_APP: api.app,
      FLY_API_TOKEN: api.token,
      FLY_FLAPS_BASE_URL: api.url,
    },
    async close() {
      await api.close();
      rmSync(state, { recursive: true, force: true });
    },
  };
}
