// What agents have committed in workspaces that were copied: a git bundle a run, beside the record.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @returns its place, relative to the match's folder */
export function writeBundle(folder: string, run: string, bundle: Buffer): string {
  const file = `bundles/${run.replace(/[^A-Za-z0-9.-]+/g, '-')}.bundle`;
  mkdirSync(join(folder, 'bundles'), { recursive: true });
  writeFileSync(join(folder, file), bundle);
  return file;
}
