// Stores the commits that agents made in copied workspaces: one git bundle per run, next to the
// record.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @returns the path of the bundle, relative to the match's folder */
export function writeBundle(folder: string, run: string, bundle: Buffer): string {
  const file = `bundles/${run.replace(/[^A-Za-z0-9.-]+/g, '-')}.bundle`;
  mkdirSync(join(folder, 'bundles'), { recursive: true });
  writeFileSync(join(folder, file), bundle);
  return file;
}
