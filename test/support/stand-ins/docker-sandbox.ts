// The environment in which the docker-sandbox mode finds its stand-in: `sbx`, or the older plugin.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @param variant which of the two command lines is on PATH first */
export async function standIn(
  variant: 'sbx' | 'docker sandbox' = 'sbx',
): Promise<{ env: Record<string, string>; close(): Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), 'cagematch-stand-in-'));
  writeFileSync(join(state, 'argv.jsonl'), '');
  // Another user works in its sandboxes.
  chmodSync(state, 0o755);
  const bin = fileURLToPath(new URL(variant === 'sbx' ? 'bin' : 'bin-desktop', import.meta.url));
  return {
    env: {
      ...(process.env as Record<string, string>),
      PATH: [bin, process.env.PATH ?? ''].join(delimiter),
      CAGEMATCH_STAND_IN_STATE: state,
      XDG_STATE_HOME: join(state, 'user'),
    },
    close: async () => rmSync(state, { recursive: true, force: true }),
  };
}
