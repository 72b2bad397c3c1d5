// `cagematch docs`: writes again what documents say about the modes, and the JSON Schemas; with --check, only tells whether they have drifted.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Argv } from 'yargs';
import { z } from 'zod';
import { OWN_INPUTS } from '../lib/match/config.js';
import { loadModes } from '../lib/match/registry.js';
import { packageRoot } from '../lib/package.js';
import { envExample, RUNTIMES_REGION, runtimesTable } from '../lib/report/docs.js';
import { replaceRegion } from '../lib/report/export/markdown.js';
import { schemaFiles } from '../lib/report/export/schemas.js';
import { EXIT, type Io } from './io.js';
import { readSettings } from './settings.js';

export const builder = (argv: Argv) =>
  argv.option('check', { describe: 'write nothing; fail when a document has drifted', boolean: true, default: false });

const settingsSchema = z.object({ check: z.boolean() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const { check } = readSettings(settingsSchema, args);
  const modes = [...(await loadModes()).values()];
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const documents = {
    '.env.example': envExample(OWN_INPUTS, modes),
    'README.md': replaceRegion(readme, runtimesTable(modes), RUNTIMES_REGION) ?? readme,
    ...schemaFiles(),
  };
  let drifted = 0;
  for (const [name, text] of Object.entries(documents)) {
    const path = join(packageRoot, name);
    if (readOr(path) === text) continue;
    drifted += 1;
    if (!check) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    io.out(`${name} ${check ? 'has drifted from the code: npm run docs' : 'written'}\n`);
  }
  return check && drifted > 0 ? EXIT.failed : EXIT.done;
}

function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
