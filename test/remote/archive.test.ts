// What comes back from a sandbox as an archive can change the workspace, and nothing else.
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
import { pack, unpack } from '../../lib/archive.js';

interface Entry {
  path: string;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO';
  linkpath?: string;
  content?: string;
  mode?: number;
}

/** An archive that no well-meaning tar would make. */
function archiveOf(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath, content = '', mode = 0o644 }) => {
    const head = Buffer.alloc(512);
    const body = Buffer.from(type === 'File' ? content : '');
    new Header({ path, type, mode, size: body.length, mtime: new Date(0), ...(linkpath === undefined ? {} : { linkpath }) }).encode(head);
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
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
    expect(readdirSync(into, { recursive: true }).sort()).toEqual(['a', 'a/empty', 'a/file', 'a/link']);
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
    await expect(pack(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'launch-failed', message: expect.stringContaining('nowhere') });
  });

  it('replaces a link of the host by what came back, and does not write through it', async () => {
    const outside = join(root, 'outside');
    writeFileSync(outside, 'untouched');
    symlinkSync(outside, join(into, 'file'));
    await unpack(archiveOf([{ path: 'file', content: 'new' }]), into);
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
    expect(lstatSync(join(into, 'file')).isFile()).toBe(true);
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
    'a symlink to an absolute path': [{ path: 'link', type: 'SymbolicLink', linkpath: '/etc/passwd' }],
    'a symlink that climbs out': [{ path: 'a/link', type: 'SymbolicLink', linkpath: '../../outside' }],
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
    'a hard link to nothing in the archive': [{ path: 'link', type: 'Link', linkpath: 'before.txt' }],
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

  it('being cut short', async () => {
    const whole = archiveOf([{ path: 'good.txt', content: 'good'.repeat(10_000) }]);
    await expect(unpack(whole.subarray(0, whole.length / 2), into)).rejects.toMatchObject({ code: 'collect-failed' });
    expect(readdirSync(into)).toEqual(['before.txt']);
  });

  it('being no archive at all', async () => {
    await expect(unpack(Buffer.from('what?'), into)).rejects.toMatchObject({ code: 'collect-failed' });
    expect(readdirSync(into)).toEqual(['before.txt']);
  });
});
