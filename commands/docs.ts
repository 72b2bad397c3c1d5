// `cagematch docs`: regenerates the parts of documents about modes, schemas and committed records;
// --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../lib/package.js';
import { envExample, RUNTIMES_PAGE, RUNTIMES_REGION, runtimesTable } from '../lib/report/docs.js';
import { replaceRegion } from '../lib/report/export/markdown.js';
import { loadModes } from '../lib/sandbox/registry.js';
import { OWN_INPUTS } from '../lib/sandbox/settings.js';
import { EXIT, type Io } from './io.js';
import { flag, readSettings } from './options.js';
import { resultDocuments } from './result-documents.js';
import { schemaFiles } from './schemas.js';

export const options = {
  check: flag('write nothing; fail when a document has drifted'),
  results: flag('the documents with numbers, from their records'),
};

export async function handler(args: unknown, io: Io): Promise<number> {
  const { check, results } = readSettings(options, args);
  const documents = results ? await resultDocuments(packageRoot) : await codeDocuments();
  const script = results ? 'docs:results' : 'docs';
  let drifted = 0;
  for (const [name, text] of Object.entries(documents)) {
    const path = join(packageRoot, name);
    if (readOr(path) === text) continue;
    drifted += 1;
    if (!check) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    io.out(`${name} ${check ? `has drifted: npm run ${script}` : 'written'}\n`);
  }
  return check && drifted > 0 ? EXIT.failed : EXIT.done;
}

async function codeDocuments(): Promise<Record<string, string>> {
  const modes = [...(await loadModes()).values()];
  const runtimes = readFileSync(join(packageRoot, RUNTIMES_PAGE), 'utf8');
  return {
    '.env.example': envExample(OWN_INPUTS, modes),
    [RUNTIMES_PAGE]: replaceRegion(runtimes, runtimesTable(modes), RUNTIMES_REGION) ?? runtimes,
    ...schemaFiles(),
  };
}

function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
