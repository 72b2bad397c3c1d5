// Every test run has a temporary folder of its own, gone with it: whatever a test, or a test that
// broke off, leaves there is nobody's.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Before the workers start, so that they and all that they start have it; asked once for each
 * project, it makes one for all.
 */
export default function setup(): (() => void) | undefined {
  if (process.env.CAGEMATCH_TESTS) return undefined;
  process.env.CAGEMATCH_TESTS = 'have a temporary folder';
  // Short: paths of sockets are made in it, and these have 108 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'cm-'));
  // Other users work in it too: rootless runtimes, the agent's.
  chmodSync(folder, 0o1777);
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
