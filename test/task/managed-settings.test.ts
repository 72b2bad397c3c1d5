// Settings that an administrator has set for the agent on this machine are named, and their values
// are not.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { managedSettings } from '../../lib/task/managed-settings.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const read = (text: string) => {
  const path = join(temporaryFolder(), 'managed-settings.json');
  writeFileSync(path, text);
  return { path, line: managedSettings('linux', path) };
};

test('the file, its keys and the variables that it sets are named, no value is', () => {
  const { path, line } = read(
    '{"env":{"ANTHROPIC_BASE_URL":"https://secret.example"},"apiKeyHelper":"secret","permissions":{"deny":["Bash"]}}',
  );
  expect(line).toBe(`${path} sets env.ANTHROPIC_BASE_URL, apiKeyHelper, permissions for the agent`);
});

test('no file, and one that sets nothing, is no line; one that cannot be read is', () => {
  const folder = temporaryFolder();
  expect(managedSettings('linux', join(folder, 'none'))).toBeUndefined();
  expect(read('{}').line).toBeUndefined();
  expect(read('no JSON').line).toMatch(/is not JSON$/);
  mkdirSync(join(folder, 'folder'));
  expect(managedSettings('linux', join(folder, 'folder'))).toMatch(
    /is a folder, not a plain file$/,
  );
});
