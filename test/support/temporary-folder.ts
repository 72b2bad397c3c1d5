// A folder of its own for a test, gone when the test is over.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'test-of-cagematch-'));
  // A program that the test has started may still write its last file.
  onTestFinished(() =>
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  );
  return folder;
}
