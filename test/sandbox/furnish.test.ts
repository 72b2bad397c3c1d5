// What a run is given on this host before it is launched.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../lib/package.js';
import { createRunDirs } from '../../lib/sandbox/run-folders.js';
import { modeContext } from '../support/mode-context.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const ctx = modeContext('any');

it('an agent that lives on this host gets a home with the bytes of the image', () => {
  const host = createRunDirs(temporaryFolder(), user, ctx, { layout: (_ctx, paths) => paths });
  const settings = '.claude/settings.json';
  expect(readFileSync(join(host.home, settings))).toEqual(
    readFileSync(join(packageRoot, 'lib/task/home', settings)),
  );
  for (const folder of [host.workspace, host.tmp]) expect(existsSync(folder)).toBe(true);
});

it('an agent that has its home inside gets none here', () => {
  const host = createRunDirs(temporaryFolder(), user, ctx, {
    layout: () => ({ workspace: '/workspace', home: '/home/agent' }),
  });
  expect(existsSync(host.home)).toBe(false);
});
