// A stranger swaps something at every single moment of what the host does in a workspace: nothing
// outside is read, changed or removed.
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { asSeeded, judged, plantedIn } from '../../lib/match/workspace.js';
import { leftFolders } from '../../lib/os/owner.js';
import { removeTree } from '../../lib/os/remove-tree.js';
import { identify, withOpenDir } from '../../lib/os/safe-dir.js';
import { folderBytes } from '../../lib/sandbox/drop-folder.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { lookForPlanted } from '../../lib/task/planted.js';
import { startTranscript } from '../../lib/task/transcript.js';
import { EMPTY, withFile, writeTree } from '../../lib/task/tree.js';
import * as agentLines from '../support/agent-lines.js';
import { makePipe } from '../support/pipes.js';

/** Called before each call of Node's file functions that is made while it is set. */
const stranger = vi.hoisted(() => ({ comes: undefined as (() => void) | undefined }));
vi.mock('node:fs', async (original) => {
  const real = await original<Record<string, unknown>>();
  const watched = Object.entries(real).map(([name, value]) => {
    if (typeof value !== 'function' || !name.endsWith('Sync')) return [name, value];
    const call = (...given: unknown[]) => {
      stranger.comes?.();
      return value(...given);
    };
    return [name, Object.assign(call, value)];
  });
  const all = Object.fromEntries(watched);
  return { ...all, default: all };
});
const real = await vi.importActual<typeof import('node:fs')>('node:fs');
const {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} = real;

let base: string;
let outside: string;
beforeEach(() => {
  base = mkdtempSync('/tmp/test-of-cagematch-');
  outside = join(base, 'outside');
  onTestFinished(() => {
    stranger.comes = undefined;
    rmSync(base, { recursive: true, force: true });
  });
});

const SECRET = '#!/bin/sh\n# a file of this host\n';

/** The same names as in the workspace, so that whoever is led there finds what it looks for. */
function fillOutside(): void {
  rmSync(outside, { recursive: true, force: true });
  for (const folder of ['', 'inner', 'hooks', '.git/hooks'])
    mkdirSync(join(outside, folder), { recursive: true });
  for (const file of [
    'file',
    'inner/file',
    'hello.mjs',
    'nonce.txt',
    'config',
    'hooks/pre-commit',
    '.git/config',
    '.git/hooks/pre-commit',
  ])
    writeFileSync(join(outside, file), SECRET);
}

const outsideNow = () =>
  readdirSync(outside, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const stats = lstatSync(join(outside, name));
      return [
        name,
        stats.uid,
        stats.mode,
        stats.isFile() ? readFileSync(join(outside, name), 'utf8') : '',
      ].join(' ');
    });

/**
 * Does the work over and over in a fresh workspace; each time the stranger comes one call later,
 * until the work is done before he comes.
 * @returns how many moments there were
 */
function atEveryMoment(
  fresh: (workspace: string) => void,
  swap: (workspace: string) => void,
  work: (workspace: string) => void,
): number {
  for (let moment = 0; ; moment += 1) {
    fillOutside();
    const before = outsideNow();
    const workspace = join(base, `workspace-${moment}`);
    mkdirSync(workspace);
    fresh(workspace);
    let calls = 0;
    let came = false;
    stranger.comes = () => {
      if (calls === moment) {
        stranger.comes = undefined;
        came = true;
        swap(workspace);
      }
      calls += 1;
    };
    try {
      work(workspace);
    } finally {
      stranger.comes = undefined;
    }
    expect(outsideNow(), `moment ${moment}`).toEqual(before);
    if (!came) return moment;
    if (moment > 500) throw new Error('the work does not end');
  }
}

/** Puts something in the place of a name, which goes on under another. */
const inPlaceOf = (name: string, put: (path: string) => void) => (workspace: string) => {
  const path = join(workspace, name);
  renameSync(path, join(workspace, `.was-${name.replaceAll('/', '-')}`));
  put(path);
};
const linkOutside =
  (below = '') =>
  (path: string) =>
    symlinkSync(join(outside, below), path);

function tree(workspace: string): void {
  mkdirSync(join(workspace, 'd/inner'), { recursive: true });
  mkdirSync(join(workspace, 'e'));
  for (const file of ['d/file', 'd/inner/file', 'e/file'])
    writeFileSync(join(workspace, file), 'x');
}

describe('a folder that becomes a link to the outside while', () => {
  test.each(['d', 'd/inner'])('the workspace is removed: %s', (name) => {
    const moments = atEveryMoment(
      tree,
      inPlaceOf(name, linkOutside(name === 'd' ? '' : 'inner')),
      (workspace) => {
        try {
          removeTree(workspace);
        } catch {
          // It may be left; it may not be followed.
        }
      },
    );
    expect(moments).toBeGreaterThan(10);
  });

  test('its size is asked counts nothing of the outside', () => {
    atEveryMoment(tree, inPlaceOf('d', linkOutside()), (workspace) => {
      const large = join(outside, 'large');
      writeFileSync(large, Buffer.alloc(3 * 1024 * 1024, 1));
      expect(folderBytes(workspace)).toBeLessThan(1024 * 1024);
      rmSync(large);
    });
  });

  test.each([
    ['.git', ''],
    ['.git/hooks', 'hooks'],
  ])('it is looked for what was planted is not entered: %s', (name, below) => {
    const secret = createHash('sha256').update(SECRET).digest('hex');
    const moments = atEveryMoment(
      (workspace) => {
        mkdirSync(join(workspace, '.git/hooks'), { recursive: true });
        writeFileSync(join(workspace, '.git/hooks/pre-commit'), 'x');
      },
      inPlaceOf(name, linkOutside(below)),
      (workspace) => {
        const marks = [...(withOpenDir(workspace, lookForPlanted)?.values() ?? [])].map(
          ({ mark }) => mark,
        );
        for (const mark of marks) expect(mark).not.toContain(secret);
      },
    );
    expect(moments).toBeGreaterThan(10);
  });
});

const task = bundledTask('hello');

/** What an agent says that claims to have written the secret. */
function claims(nonce: string) {
  const transcript = startTranscript();
  const lines = [
    agentLines.init(),
    agentLines.writes('toolu_1', '/w/hello.mjs', SECRET),
    agentLines.uses('toolu_2', 'Bash', { command: 'x' }),
  ];
  for (const line of [...lines, agentLines.toolResult('toolu_2', nonce), agentLines.result()])
    transcript.read(line, 'stdout');
  return transcript;
}

describe('the file of the verdict', () => {
  test.each<[string, (path: string) => void]>([
    ['a link to a file of this host', (path) => symlinkSync(join(outside, 'hello.mjs'), path)],
    ['a second name of a file of this host', (path) => linkSync(join(outside, 'hello.mjs'), path)],
    ['a pipe that nobody writes to', makePipe],
    ['a folder', (path) => mkdirSync(path)],
    ['a file without an end', (path) => real.closeSync(openLong(path))],
  ])('that becomes %s is never read as the agent’s', (_what, put) => {
    atEveryMoment(
      (workspace) => writeFileSync(join(workspace, 'hello.mjs'), 'x'),
      inPlaceOf('hello.mjs', put),
      (workspace) => {
        expect(task.judge(workspace, 'n0nce', claims('n0nce'))).toMatchObject({
          outcome: { cause: 'sync' },
          sync: { out: 'no' },
        });
        task.arrived?.(workspace);
      },
    );
  });
});

function openLong(path: string): number {
  const descriptor = real.openSync(path, 'w');
  real.ftruncateSync(descriptor, 40 * 1024 ** 3);
  return descriptor;
}

describe('a workspace that is not the folder any more that was made for the run', () => {
  test('is not looked into: the run fails as one whose files did not come back', () => {
    fillOutside();
    const workspace = join(base, 'workspace');
    mkdirSync(workspace);
    const seeded = asSeeded(workspace);
    renameSync(workspace, `${workspace}-was`);
    symlinkSync(outside, workspace);
    expect(judged(task, seeded, 'n0nce', claims('n0nce'))).toMatchObject({
      outcome: {
        status: 'failed',
        cause: 'sync',
        message: expect.stringMatching(/not the folder any more/),
      },
      sync: { out: 'no' },
    });
    expect(plantedIn(seeded, { workspace: 'bind' }, true)).toEqual({ gap: 'vanished' });
    rmSync(workspace);
    mkdirSync(workspace);
    expect(plantedIn(seeded, { workspace: 'bind' }, true)).toEqual({ gap: 'vanished' });
  });

  test('gets no seed in its place, at whatever moment it is swapped', () => {
    atEveryMoment(
      () => {},
      (workspace) => {
        renameSync(workspace, `${workspace}-was`);
        symlinkSync(outside, workspace);
        for (const name of ['nonce.txt', 'package.json'])
          rmSync(join(outside, name), { force: true });
        writeFileSync(join(outside, 'nonce.txt'), SECRET);
      },
      (workspace) => {
        const identity = identifyNow(workspace);
        withOpenDir(identity, (opened) => task.seed(opened.path));
      },
    );
  });

  test.each<[string, string, (path: string) => void]>([
    ['file', 'nonce.txt', (path) => linkSync(join(outside, 'nonce.txt'), path)],
    ['file', 'nonce.txt', (path) => symlinkSync(join(outside, 'nonce.txt'), path)],
    ['file', 'nonce.txt', linkOutside()],
    ['folder', 'inner', linkOutside('inner')],
    ['folder', 'inner', (path) => mkdirSync(path)],
    ['file in a folder', 'inner/new', (path) => symlinkSync(join(outside, 'inner/file'), path)],
  ])(
    'a seed is written to nothing outside and nothing outside is given away, when its %s %s is swapped',
    (_what, name, put) => {
      const file = { bytes: Buffer.from('of the seed'), executable: false };
      const tree =
        withFile(withFile(EMPTY, 'nonce.txt', file) ?? EMPTY, 'inner/new', file) ?? EMPTY;
      const owner = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : undefined;
      const moments = atEveryMoment(
        () => {},
        (workspace) => {
          const path = join(workspace, name);
          if (existsSync(path)) inPlaceOf(name, put)(workspace);
          else if (existsSync(dirname(path))) put(path);
        },
        (workspace) => {
          try {
            withOpenDir(workspace, (opened) => writeTree(tree, opened, owner));
          } catch {
            // It may come to no end; it may not be led outside.
          }
        },
      );
      expect(moments).toBeGreaterThan(8);
    },
  );
});

/** Before any stranger comes: which folder it is. */
function identifyNow(workspace: string) {
  const { comes } = stranger;
  stranger.comes = undefined;
  const identity = identify(workspace);
  stranger.comes = comes;
  return identity;
}

describe('a tree that no path can name', () => {
  test('because it is too deep is removed, and costs two open folders at a time', () => {
    const top = join(base, 'deep');
    mkdirSync(top);
    // Built as an agent would: by going in.
    const was = process.cwd();
    process.chdir(top);
    try {
      for (let depth = 0; depth < 250; depth += 1) {
        mkdirSync('a-name-of-some-length');
        process.chdir('a-name-of-some-length');
      }
      writeFileSync('file', '');
    } finally {
      process.chdir(was);
    }
    removeTree(top);
    expect(existsSync(top)).toBe(false);
  });

  test('because its names are no text, or look like options, parents and control sequences, is removed', () => {
    const top = join(base, 'absurd');
    mkdirSync(top);
    const names = [
      '-rf',
      '...',
      ' ',
      '\n',
      '\u001b[2J\u0007',
      'x'.repeat(255),
      '\\',
      '"\'$(x)',
      '\u202e',
    ].map((name) => Buffer.from(name));
    for (const name of [...names, Buffer.from([0xff, 0xfe, 0x80]), Buffer.from([0xc3])]) {
      const path = Buffer.concat([Buffer.from(`${top}/`), name]);
      mkdirSync(path);
      writeFileSync(Buffer.concat([path, Buffer.from('/'), name]), '');
    }
    makePipe(join(top, 'pipe'));
    symlinkSync(top, join(top, 'loop'));
    removeTree(top);
    expect(existsSync(top)).toBe(false);
  });

  test('and one that tells whose it is tells so until the last', () => {
    const top = join(base, 'owned');
    mkdirSync(top);
    tree(top);
    writeFileSync(join(top, '.owner'), 'me');
    const seen: string[][] = [];
    stranger.comes = () => {
      if (existsSync(top))
        seen.push(readdirSync(top).filter((name) => !/^\.[0-9a-f-]{36}$/.test(name)));
    };
    removeTree(top, '.owner');
    stranger.comes = undefined;
    expect(
      seen.filter((names) => names.length > 0).every((names) => names.includes('.owner')),
    ).toBe(true);
  });
});

test('a pipe in the place where a folder tells whose it is holds nobody up', () => {
  vi.stubEnv('TMPDIR', base);
  onTestFinished(() => void vi.unstubAllEnvs());
  mkdirSync(join(base, 'cagematch-run-evil'));
  makePipe(join(base, 'cagematch-run-evil/.owner'));
  expect(leftFolders('dead')).toEqual([]);
});
