// Describes the contents of a folder, without following links or trusting names; both sides of the
// truth table use it.
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';

/**
 * @typedef {object} Entry
 * @property {'file' | 'folder' | 'link' | 'other'} type
 * @property {number} mode permission bits
 * @property {number} size in bytes
 * @property {string} mtimeNs
 * @property {number} uid
 * @property {number} gid
 * @property {number} nlink
 * @property {string} ino
 * @property {number} blocks of 512 bytes
 * @property {string} [hash] for a file: hash of its first and last 16 KiB; absent if it could not
 *   be read
 * @property {string} [target] for a link: its target
 */

/**
 * Entries by relative path. Bytes outside plain ASCII are written as %XX, so that two encodings of
 * a letter stay distinct.
 */
/** @typedef {Record<string, Entry>} Look */

const PART = 16 * 1024;
const MAX_ENTRIES = 3000;
const MAX_DEPTH = 64;

/** @param {string} folder @returns {Look} empty if there is no such folder */
export function look(folder) {
  /** @type {Look} */
  const found = {};
  walk(Buffer.from(folder), '', 0, found);
  return found;
}

/** @param {Buffer} folder @param {string} shown @param {number} depth @param {Look} found */
function walk(folder, shown, depth, found) {
  for (const name of namesIn(folder)) {
    if (Object.keys(found).length >= MAX_ENTRIES) return;
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    const entry = entryAt(path);
    if (!entry) continue;
    const key = shown === '' ? plain(name) : `${shown}/${plain(name)}`;
    found[key] = entry;
    if (entry.type === 'folder' && depth < MAX_DEPTH) walk(path, key, depth + 1, found);
  }
}

/** @param {Buffer} folder @returns {Buffer[]} in the order of their bytes */
function namesIn(folder) {
  try {
    if (!lstatSync(folder).isDirectory()) return [];
    return readdirSync(folder, { encoding: 'buffer' }).sort(Buffer.compare);
  } catch {
    return []; // The folder is gone by now, or we may not read it.
  }
}

/** @param {Buffer} path @returns {Entry | undefined} */
function entryAt(path) {
  try {
    const stat = lstatSync(path, { bigint: true });
    const type = stat.isFile()
      ? 'file'
      : stat.isDirectory()
        ? 'folder'
        : stat.isSymbolicLink()
          ? 'link'
          : 'other';
    const hash = type === 'file' ? hashOf(path) : undefined;
    return {
      type,
      mode: Number(stat.mode) & 0o7777,
      size: Number(stat.size),
      mtimeNs: String(stat.mtimeNs),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      nlink: Number(stat.nlink),
      ino: String(stat.ino),
      blocks: Number(stat.blocks),
      ...(hash === undefined ? {} : { hash }),
      ...(type === 'link' ? { target: plain(readlinkSync(path, { encoding: 'buffer' })) } : {}),
    };
  } catch {
    return undefined;
  }
}

/** @param {Buffer} path */
function hashOf(path) {
  return withFile(path, (fd, size) => {
    const hash = createHash('sha256');
    hash.update(read(fd, 0, Math.min(size, PART)));
    if (size > PART) hash.update(read(fd, Math.max(PART, size - PART), PART));
    return hash.digest('hex').slice(0, 16);
  });
}

/**
 * Names in a folder, which must not be a link to one.
 * @param {string} folder
 * @returns {string[]}
 */
export function namesOf(folder) {
  return namesIn(Buffer.from(folder)).map((name) => name.toString('utf8'));
}

/**
 * @param {string} path
 * @param {number} most in bytes
 * @returns {string | undefined} undefined if it is not a file that we may read
 */
export function readText(path, most) {
  return withFile(path, (fd, size) => read(fd, 0, Math.min(size, most)).toString('utf8'));
}

/**
 * Opens a plain file: no link is followed, and a pipe or a device is not waited for.
 * @template T
 * @param {string | Buffer} path
 * @param {(fd: number, size: number) => T} act
 * @returns {T | undefined}
 */
function withFile(path, act) {
  let fd;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    return stat.isFile() ? act(fd, stat.size) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** @param {number} fd @param {number} from @param {number} length */
function read(fd, from, length) {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, from));
}

/** @param {Buffer} bytes */
function plain(bytes) {
  let text = '';
  for (const byte of bytes)
    text +=
      byte > 31 && byte < 127 && byte !== 37
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).padStart(2, '0')}`;
  return text;
}
