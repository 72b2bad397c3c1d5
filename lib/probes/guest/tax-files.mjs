// File workloads: many small files, one large file sequentially and at random, and a tarball to
// unpack.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

const SMALL_FILES = 2000;
const READ_FILES = 500;
const FILE_BYTES = 8 << 20;
const PIECE_BYTES = 128 << 10;
const BLOCK_BYTES = 4096;
const BLOCKS = 256;
const PACKED_FILES = 400;
const HEADER_BYTES = 512;

/** A deterministic sequence of pseudo-random numbers. @param {number} seed */
function numbers(seed) {
  let state = seed;
  /** @param {number} below */
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const CONTENT = Buffer.alloc(100, 'small ');

/** @param {string} folder @param {number} count */
const pathsIn = (folder, count) =>
  Array.from({ length: count }, (_, index) => join(folder, `small-${index}`));

/** @param {string[]} paths */
function readAll(paths) {
  for (const path of paths)
    if (statSync(path).size !== CONTENT.length)
      throw new Error('a file is not as long as it was written');
  for (const path of paths) whole(readFileSync(path).length, CONTENT.length);
}

/** @type {import('./tax.mjs').Prepare} */
function smallFiles(folder) {
  const paths = pathsIn(folder, SMALL_FILES);
  return {
    act() {
      for (const path of paths) writeFileSync(path, CONTENT);
      readAll(paths);
      for (const path of paths) unlinkSync(path);
    },
  };
}

/**
 * Separate from the above, because creating files may dominate the cost and reflect the disk rather
 * than the sandbox: an ext4 without a journal searches for an inode number that no file had in the
 * last minutes, which takes longer the more files were removed.
 * @type {import('./tax.mjs').Prepare}
 */
function readFiles(folder) {
  const paths = pathsIn(folder, READ_FILES);
  for (const path of paths) writeFileSync(path, CONTENT);
  return { act: () => readAll(paths) };
}

/**
 * A file of FILE_BYTES random bytes, so that it cannot be compressed or stored as a hole.
 * @param {string} folder
 * @param {string} flags
 */
function openFile(folder, flags) {
  const path = join(folder, 'file');
  writeFileSync(path, randomBytes(FILE_BYTES));
  return openSync(path, flags);
}

/** @type {import('./tax.mjs').Prepare} */
function sequentialWrite(folder) {
  const file = openFile(folder, 'r+');
  const piece = Buffer.alloc(PIECE_BYTES, 'piece');
  return {
    act() {
      for (let at = 0; at < FILE_BYTES; at += PIECE_BYTES)
        whole(writeSync(file, piece, 0, PIECE_BYTES, at), PIECE_BYTES);
      fsyncSync(file);
    },
    close: () => closeSync(file),
  };
}

/** @type {import('./tax.mjs').Prepare} */
function sequentialRead(folder) {
  const file = openFile(folder, 'r');
  const piece = Buffer.alloc(PIECE_BYTES);
  return {
    act() {
      for (let at = 0; at < FILE_BYTES; at += PIECE_BYTES)
        whole(readSync(file, piece, 0, PIECE_BYTES, at), PIECE_BYTES);
    },
    close: () => closeSync(file),
  };
}

/** @type {import('./tax.mjs').Prepare} */
function randomWrite(folder) {
  const file = openFile(folder, 'r+');
  const block = Buffer.alloc(BLOCK_BYTES, 'block');
  const next = numbers(1);
  return {
    act() {
      for (let count = 0; count < BLOCKS; count += 1)
        whole(writeSync(file, block, 0, BLOCK_BYTES, place(next)), BLOCK_BYTES);
      fdatasyncSync(file);
    },
    close: () => closeSync(file),
  };
}

/** @type {import('./tax.mjs').Prepare} */
function randomRead(folder) {
  const file = openFile(folder, 'r');
  const block = Buffer.alloc(BLOCK_BYTES);
  const next = numbers(1);
  return {
    act() {
      for (let count = 0; count < BLOCKS; count += 1)
        whole(readSync(file, block, 0, BLOCK_BYTES, place(next)), BLOCK_BYTES);
    },
    close: () => closeSync(file),
  };
}

/** @param {(below: number) => number} next */
const place = (next) => next(FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES;

/** @param {number} moved @param {number} asked */
function whole(moved, asked) {
  if (moved !== asked) throw new Error(`${moved} of ${asked} bytes were moved`);
}

/** @type {import('./tax.mjs').Prepare} */
function unpack(folder) {
  const tarball = join(folder, 'package.tgz');
  const into = join(folder, 'unpacked');
  writeFileSync(tarball, pack());
  return {
    before: () => rmSync(into, { recursive: true, force: true }),
    act() {
      if (unpackFiles(gunzipSync(readFileSync(tarball)), into) !== PACKED_FILES)
        throw new Error('not every file was unpacked');
    },
  };
}

/** A package like those of npm: a gzipped ustar of text files in folders below `package/`. */
function pack() {
  const next = numbers(1);
  const words = Array.from({ length: 500 }, () => next(2 ** 32).toString(36));
  const blocks = Array.from({ length: PACKED_FILES }, (_, index) => {
    let text = '';
    for (const bytes = 500 + next(7000); text.length < bytes; )
      text += `${words[next(words.length)]} `;
    const body = Buffer.alloc(Math.ceil(text.length / HEADER_BYTES) * HEADER_BYTES);
    body.write(text);
    return Buffer.concat([
      header(`package/lib/folder-${index % 40}/file-${index}.js`, text.length),
      body,
    ]);
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(2 * HEADER_BYTES)]));
}

/** @param {string} name @param {number} bytes */
function header(name, bytes) {
  const block = Buffer.alloc(HEADER_BYTES);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write(`${bytes.toString(8).padStart(11, '0')}\0`, 124);
  // The checksum is computed with spaces in its own field.
  block.write('        0', 148);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** @param {Buffer} tar @param {string} into @returns the number of files */
function unpackFiles(tar, into) {
  const made = new Set();
  let files = 0;
  for (let at = 0; tar[at] !== 0; files += 1) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at));
    const mode = Number.parseInt(tar.toString('latin1', at + 100, at + 107), 8);
    const bytes = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8);
    const path = join(into, name);
    if (!made.has(dirname(path))) mkdirSync(dirname(path), { recursive: true });
    made.add(dirname(path));
    at += HEADER_BYTES;
    writeFileSync(path, tar.subarray(at, at + bytes), { mode });
    at += Math.ceil(bytes / HEADER_BYTES) * HEADER_BYTES;
  }
  return files;
}

/** @type {Record<string, import('./tax.mjs').Prepare>} */
export const fileLoops = {
  'small-files': smallFiles,
  'read-files': readFiles,
  'sequential-write': sequentialWrite,
  'sequential-read': sequentialRead,
  'random-write': randomWrite,
  'random-read': randomRead,
  'tmp-sequential-write': sequentialWrite,
  'tmp-sequential-read': sequentialRead,
  'tmp-random-write': randomWrite,
  'tmp-random-read': randomRead,
  unpack,
};
