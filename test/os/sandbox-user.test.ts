// The user that an agent of root's runs as: an id that no account of the machine has.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accounts, nobodysUser } from '../../lib/os/sandbox-user.js';
import { packageRoot } from '../../lib/package.js';
import { workspaceUser } from '../../lib/sandbox/run-folders.js';
import { temporaryFolder } from '../support/temporary-folder.js';

function machine(files: Record<string, string>): [etc: string, proc: string] {
  const root = temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return [join(root, 'etc'), join(root, 'proc')];
}

describe('nobody’s user', () => {
  test('is the one that the runner image has an account for, on a usual machine', () => {
    const { uid } = nobodysUser(
      ...machine({ 'etc/passwd': 'root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n' }),
    );
    expect(readFileSync(join(packageRoot, 'Dockerfile'), 'utf8')).toContain(
      `nobodys:x:${uid}:${uid}::/home/agent:`,
    );
    expect(readFileSync(join(packageRoot, 'modes/incus/template.ts'), 'utf8')).toContain(
      `nobodys:x:${uid}:${uid}::/home/agent:`,
    );
  });

  test('is neither an account, nor a group, nor handed to a user for containers', () => {
    const files = {
      'etc/passwd': 'a:x:60578:9::/:/bin/sh\n',
      'etc/group': 'g:x:60579:\n',
      'etc/subuid': 'a:60580:20\n',
      'etc/subgid': 'a:60600:1\n',
      'proc/self/uid_map': '         0          0 4294967295\n',
    };
    expect(nobodysUser(...machine(files))).toEqual({ uid: 60_601, gid: 60_601 });
  });

  test('is the image’s own where a user namespace has no room for another', () => {
    expect(nobodysUser(...machine({ 'proc/self/uid_map': '0 100000 2000\n' }))).toEqual({
      uid: 1000,
      gid: 1000,
    });
  });

  test('has root’s workspaces, and nobody else’s; it is no account of this machine', () => {
    expect(workspaceUser(0)).toEqual(nobodysUser());
    expect(workspaceUser(4321).uid).toBe(4321);
    expect(accounts().map(({ uid }) => uid)).not.toContain(nobodysUser().uid);
  });
});
