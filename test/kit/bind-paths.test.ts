// Paths of bind mounts and of the temporary folder that would be read as something else.
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bindArgs } from '../../lib/kit/oci/args.js';
import { realTemporaryFolder } from '../../lib/os/plain-files.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

test.each([
  [
    ['/a b', '/w'],
    ['--volume', '/a b:/w'],
  ],
  [
    ['/a,b', '/w', { readOnly: true }],
    ['--volume', '/a,b:/w:ro'],
  ],
  [
    ['/a:b', '/w'],
    ['--mount', 'type=bind,source=/a:b,target=/w'],
  ],
  [
    ['/a', '/w/c:d', { readOnly: true }],
    ['--mount', 'type=bind,source=/a,target=/w/c:d,readonly'],
  ],
] as [Parameters<typeof bindArgs>, string[]][])('a mount of %j', (paths, argv) => {
  expect(bindArgs(...paths)).toEqual(argv);
});

test.each(['/a:b,c', '/a:"b', '/a:\nb'])(
  'a path that no form of a mount can carry is refused with a hint: %j',
  (path) => {
    expect(thrownBy(() => bindArgs(path, '/w'))).toMatchObject({
      code: 'launch-failed',
      hint: 'set TMPDIR to another folder',
    });
  },
);

test('TMPDIR is used by its path without links; a relative one, and one with a line break, is refused', () => {
  const folder = temporaryFolder();
  symlinkSync(folder, join(folder, 'link'));
  expect(realTemporaryFolder(join(folder, 'link'))).toBe(folder);
  expect(realTemporaryFolder(undefined)).toBeUndefined();
  for (const named of ['tmp', '/tmp\n/x'])
    expect(thrownBy(() => realTemporaryFolder(named))).toMatchObject({ code: 'bad-input' });
});
