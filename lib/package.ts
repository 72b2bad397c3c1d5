// Facts about this package: its location, its version, and the agent version that it pins.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder that contains package.json, Dockerfile and the cassettes; the same for the sources and
 * for dist/.
 */
export const packageRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json')) && existsSync(join(from, 'Dockerfile'))) return from;
  const up = dirname(from);
  if (up === from) throw new Error('package.json not found above this file');
  return findRoot(up);
}

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
  optionalDependencies: Record<string, string>;
};

export const version: string = manifest.version;

/**
 * The exact agent version: the modes `host` and `native` run this very binary, and images install
 * the same version.
 */
export const agentVersion: string =
  manifest.optionalDependencies['@anthropic-ai/claude-code'] ?? 'unknown';
