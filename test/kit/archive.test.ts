// What comes back from a sandbox as an archive can change the workspace, and nothing else.
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pack, unpack } from '../../lib/kit/guest/archive.js';
import { copyOut } from '../../lib/kit/guest/shell.js';

interface Entry {
  path: string;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO' | 'SparseFile';
  linkpath?: string;
  content?: string;
  mode?: number;
  /** As the head tells it, whatever follows. */
  size?: number;
}

/** An archive that no well-meaning tar would make. */
function archiveOf(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(
    ({ path, type = 'File', linkpath, content = '', mode = 0o644, size }) => {
      const head = Buffer.alloc(512);
      const body = Buffer.from(type === 'File' ? content : '');
      new Header({
        path,
        type,
        mode,
        size: size ?? body.length,
        mtime: new Date(0),
        ...(linkpath === undefined ? {} : { linkpath }),
      }).encode(head);
      return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
    },
  );
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

let root: string;
let into: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'archive-'));
  into = join(root, 'workspace');
  mkdirSync(into);
  writeFileSync(join(into, 'before.txt'), 'before');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('a workspace that went there and back', () => {
  it('is the same, links and empty folders included, and what was deleted there is gone here', async () => {
    const there = join(root, 'there');
    mkdirSync(join(there, 'a/empty'), { recursive: true });
    writeFileSync(join(there, 'a/file'), 'content', { mode: 0o755 });
    symlinkSync('../a/file', join(there, 'a/link'));
    await unpack(await pack(there), into);
    expect(readdirSync(into, { recursive: true }).sort()).toEqual([
      'a',
      'a/empty',
      'a/file',
      'a/link',
    ]);
    expect(readFileSync(join(into, 'a/file'), 'utf8')).toBe('content');
    expect(lstatSync(join(into, 'a/file')).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(into, 'a/link'))).toBe('../a/file');
    expect(readdirSync(root).sort()).toEqual(['there', 'workspace']);
  });

  it('leaves out what is no file, folder or link, and says which file it cannot read', async () => {
    const there = join(root, 'there');
    mkdirSync(there);
    writeFileSync(join(there, 'file'), '');
    await execa('mkfifo', [join(there, 'pipe')]);
    await unpack(await pack(there), into);
    expect(readdirSync(into)).toEqual(['file']);
    await expect(pack(join(root, 'nowhere'))).rejects.toMatchObject({
      code: 'launch-failed',
      message: expect.stringContaining('nowhere'),
    });
  });

  it('replaces a link of the host by what came back, and does not write through it', async () => {
    const outside = join(root, 'outside');
    writeFileSync(outside, 'untouched');
    symlinkSync(outside, join(into, 'file'));
    await unpack(archiveOf([{ path: 'file', content: 'new' }]), into);
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
    expect(lstatSync(join(into, 'file')).isFile()).toBe(true);
  });

  it('is unpacked to its end and no further: what follows packs to nothing and unpacks to more than there is room for', async () => {
    const much = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    // Members of gzip one after another are one stream: 16 GiB.
    const bomb = Buffer.concat([
      archiveOf([{ path: 'good.txt', content: 'good' }]),
      ...Array.from({ length: 1024 }, () => much),
    ]);
    await unpack(bomb, into);
    expect(readFileSync(join(into, 'good.txt'), 'utf8')).toBe('good');
    expect(readdirSync(root)).toEqual(['workspace']);
  });

  it('brings no set-uid bit, and nothing that its owner could not remove', async () => {
    await unpack(
      archiveOf([
        { path: 'locked', type: 'Directory', mode: 0 },
        { path: 'locked/tool', mode: 0o4511 },
      ]),
      into,
    );
    expect(lstatSync(join(into, 'locked/tool')).mode & 0o7777).toBe(0o711);
    expect(lstatSync(join(into, 'locked')).mode & 0o700).toBe(0o700);
  });
});

describe('an archive is refused, and the workspace stays as it was, for', () => {
  const hostile: Record<string, Entry[]> = {
    'a path with ..': [{ path: '../escaped', content: 'x' }],
    'a path with .. in the middle': [{ path: 'a/../../escaped', content: 'x' }],
    'an absolute path': [{ path: '/tmp/cagematch-escaped', content: 'x' }],
    'a path of another system': [{ path: 'C:\\escaped', content: 'x' }],
    'a symlink to an absolute path': [
      { path: 'link', type: 'SymbolicLink', linkpath: '/etc/passwd' },
    ],
    'a symlink that climbs out': [
      { path: 'a/link', type: 'SymbolicLink', linkpath: '../../outside' },
    ],
    'a symlink that climbs out after a name': [
      { path: 'd/e', type: 'Directory' },
      { path: 'd/e/up', type: 'SymbolicLink', linkpath: '../..' },
      { path: 'link', type: 'SymbolicLink', linkpath: 'd/e/up/..' },
    ],
    'a file written through a symlink': [
      { path: 'link', type: 'SymbolicLink', linkpath: '.' },
      { path: 'link/file', content: 'x' },
    ],
    'a file written through a symlink of other case': [
      { path: 'Link', type: 'SymbolicLink', linkpath: '.' },
      { path: 'link/file', content: 'x' },
    ],
    'a file in place of a symlink': [
      { path: 'link', type: 'SymbolicLink', linkpath: 'before.txt' },
      { path: 'link', content: 'x' },
    ],
    'a hard link to the outside': [{ path: 'link', type: 'Link', linkpath: '../outside' }],
    'a hard link to a file of the host': [{ path: 'link', type: 'Link', linkpath: '/etc/passwd' }],
    'a hard link to nothing in the archive': [
      { path: 'link', type: 'Link', linkpath: 'before.txt' },
    ],
    'a device': [{ path: 'null', type: 'CharacterDevice' }],
    'a pipe': [{ path: 'pipe', type: 'FIFO' }],
  };
  it.each(Object.keys(hostile))('%s', async (name) => {
    const archive = archiveOf([{ path: 'good.txt', content: 'good' }, ...(hostile[name] ?? [])]);
    await expect(unpack(archive, into)).rejects.toMatchObject({ code: 'collect-failed' });
    expect(readdirSync(into)).toEqual(['before.txt']);
    expect(readdirSync(root)).toEqual(['workspace']);
    expect(existsSync('/tmp/cagematch-escaped')).toBe(false);
  });

  it.each<[string, Entry[]]>([
    [
      'a link in the place of a folder',
      [
        { path: 'd', type: 'Directory' },
        { path: 'd', type: 'SymbolicLink', linkpath: '.' },
      ],
    ],
    [
      'a link in the place of a folder that is only implied',
      [{ path: 'd/x' }, { path: 'd', type: 'SymbolicLink', linkpath: '.' }],
    ],
    [
      'a folder in the place of a link',
      [
        { path: 'd', type: 'SymbolicLink', linkpath: '.' },
        { path: 'd', type: 'Directory' },
      ],
    ],
    ['a file in the place of a folder', [{ path: 'd', type: 'Directory' }, { path: 'd' }]],
    ['a folder in the place of a file', [{ path: 'd' }, { path: 'd', type: 'Directory' }]],
    ['a file in a file', [{ path: 'd' }, { path: 'd/x' }]],
    ['a file of the same name twice', [{ path: 'd' }, { path: 'd' }]],
    ['a file that is the workspace itself', [{ path: './', type: 'SymbolicLink', linkpath: 'x' }]],
    [
      'a hard link in the place of a folder',
      [{ path: 'f' }, { path: 'd', type: 'Directory' }, { path: 'd', type: 'Link', linkpath: 'f' }],
    ],
    ['a sparse file of another tar', [{ path: 'd', type: 'SparseFile' }]],
    ['a size that no archive may hold', [{ path: 'd', size: 3 * 1024 ** 3 }]],
  ])('%s', async (_what, entries) => {
    await expect(unpack(archiveOf(entries), into)).rejects.toMatchObject({
      code: 'collect-failed',
      message: expect.stringMatching(/was refused/),
    });
    expect(readdirSync(into)).toEqual(['before.txt']);
    expect(readdirSync(root)).toEqual(['workspace']);
  });

  it('being packed twice, where what comes out could not be counted', async () => {
    await expect(unpack(gzipSync(archiveOf([{ path: 'good.txt' }])), into)).rejects.toMatchObject({
      message: expect.stringMatching(/packed twice/),
    });
    expect(readdirSync(into)).toEqual(['before.txt']);
  });

  it('being cut short', async () => {
    const whole = archiveOf([{ path: 'good.txt', content: 'good'.repeat(10_000) }]);
    await expect(unpack(whole.subarray(0, whole.length / 2), into)).rejects.toMatchObject({
      code: 'collect-failed',
    });
    expect(readdirSync(into)).toEqual(['before.txt']);
  });

  it('being no archive at all', async () => {
    await expect(unpack(Buffer.from('what?'), into)).rejects.toMatchObject({
      code: 'collect-failed',
    });
    expect(readdirSync(into)).toEqual(['before.txt']);
  });
});

describe('of what a guest packs', () => {
  const guest = (answer: (at: number) => string) => async (script: { args: string[] }) => {
    return { type: 'ran' as const, code: 0, stdout: answer(Number(script.args[1])), stderr: '' };
  };
  const chunk = Buffer.alloc(512 * 1024).toString('base64');

  it('no more is taken than the bound, however long it goes on', async () => {
    let requests = 0;
    const endless = guest((at) => {
      requests += 1;
      return at === 0 ? `${5 * 1024 * 1024}\n${'0'.repeat(64)}\n${chunk}` : chunk;
    });
    const taken = copyOut(endless, '/workspace', '/tmp/archive', { most: 4 * 1024 * 1024 });
    await expect(taken).rejects.toMatchObject({
      code: 'collect-failed',
      message: expect.stringMatching(/4194304 are taken at the most/),
    });
    expect(requests).toBe(1);
  });

  it.each([
    ['a size that is no number', 'many', /reported no valid size/],
    ['a size below nothing', '-1', /reported no valid size/],
    ['no end at all', '1e400', /reported no valid size/],
  ])('%s is refused', async (_what, size, why) => {
    const taken = copyOut(
      guest(() => `${size}\n${'0'.repeat(64)}\n${chunk}`),
      '/workspace',
      '/tmp/archive',
    );
    await expect(taken).rejects.toMatchObject({
      code: 'collect-failed',
      message: expect.stringMatching(why),
    });
  });

  it('a part that is larger than was asked for is refused', async () => {
    const taken = copyOut(
      guest(() => `1024\n${'0'.repeat(64)}\n${Buffer.alloc(600 * 1024).toString('base64')}`),
      '/workspace',
      '/tmp/archive',
    );
    await expect(taken).rejects.toMatchObject({
      message: expect.stringMatching(/more .* than was requested/),
    });
  });

  it('a byte that was changed on the way is noticed', async () => {
    const [sent, arrived] = ['as it was packed', 'as it was pocked'].map((text) =>
      Buffer.from(text),
    );
    const digest = createHash('sha256')
      .update(sent as Buffer)
      .digest('hex');
    const answer = (bytes: Buffer | undefined) =>
      guest(() => `${sent?.length}\n${digest}\n${bytes?.toString('base64')}`);
    expect(await copyOut(answer(sent), '/workspace', '/tmp/archive')).toEqual(sent);
    const taken = copyOut(answer(arrived), '/workspace', '/tmp/archive');
    await expect(taken).rejects.toMatchObject({
      code: 'collect-failed',
      message: '/workspace did not come back as the guest packed it',
    });
  });
});
