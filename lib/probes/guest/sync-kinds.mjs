// The kinds of change in the truth table, each in its own folder: the initial content, and how
// either side makes the change.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

/** @typedef {import('./sync-look.mjs').Look} Look */
/** @typedef {(name: string) => string} At a path in the kind's folder */

/**
 * @typedef {object} Kind
 * @property {string} cell
 * @property {'content' | 'exec' | 'mode' | 'mtime' | 'hardlink' | 'sparse' | 'owner'} compares what
 *   is compared with the other side's view
 * @property {(at: At) => void} [before]
 * @property {(at: At) => void} change
 * @property {(look: Look) => boolean} made whether the change came about on the side that made it
 */

/** A time long ago, with a fraction of a second. */
export const PAST = { second: 981173106, fraction: 0.789012 };
const SPARSE_BYTES = 8 * 1024 * 1024;
const DEEP = 'd/'.repeat(40);
const NFC = 'caf\u00e9';
const NFD = 'cafe\u0301';

/** @param {At} at */
const file = (at) => writeFileSync(at('file'), 'before');
/** @param {Look} look @param {string} path */
const isFile = (look, path) => look[path]?.type === 'file';
/** @param {string} name @returns {Pick<Kind, 'compares' | 'change' | 'made'>} */
const named = (name, shown = name) => ({
  compares: 'content',
  change: (at) => writeFileSync(at(name), 'named'),
  made: (look) => isFile(look, shown),
});
/** @param {string} target @returns {Pick<Kind, 'compares' | 'before' | 'change' | 'made'>} */
const link = (target) => ({
  compares: 'content',
  before: file,
  change: (at) => symlinkSync(target, at('link')),
  made: (look) => look.link?.target === target,
});

/** Writes and flushes to disk, then is killed without a chance to close anything. */
const WRITE_AND_DIE = `const fs = require('fs');
const fd = fs.openSync(process.argv[1], 'w');
fs.writeSync(fd, 'flushed');
fs.fsyncSync(fd);
process.kill(process.pid, 'SIGKILL');
for (;;);`;

/** @type {Kind[]} */
export const KINDS = [
  {
    cell: 'create',
    compares: 'content',
    change: (at) => writeFileSync(at('file'), 'created'),
    made: (look) => isFile(look, 'file'),
  },
  {
    cell: 'modify',
    compares: 'content',
    before: file,
    change(at) {
      // Same length, so that only the content differs.
      const fd = openSync(at('file'), 'r+');
      writeSync(fd, 'after.', 0);
      closeSync(fd);
    },
    made: (look) => look.file?.size === 6,
  },
  {
    cell: 'append',
    compares: 'content',
    before: file,
    change: (at) => appendFileSync(at('file'), ' and after'),
    made: (look) => look.file?.size === 16,
  },
  {
    cell: 'delete',
    compares: 'content',
    before: file,
    change: (at) => rmSync(at('file')),
    made: (look) => !look.file,
  },
  {
    cell: 'rename',
    compares: 'content',
    before: file,
    change: (at) => renameSync(at('file'), at('renamed')),
    made: (look) => !look.file && isFile(look, 'renamed'),
  },
  {
    cell: 'replace-by-rename',
    compares: 'content',
    before: file,
    change(at) {
      writeFileSync(at('.new'), 'replaced');
      renameSync(at('.new'), at('file'));
    },
    made: (look) => look.file?.size === 8,
  },
  {
    cell: 'exec-bit',
    compares: 'exec',
    before: (at) => writeFileSync(at('tool'), '#!/bin/sh\n', { mode: 0o644 }),
    change: (at) => chmodSync(at('tool'), 0o755),
    made: (look) => look.tool?.mode === 0o755,
  },
  {
    cell: 'mode-bits',
    compares: 'mode',
    before(at) {
      for (const name of ['group', 'private', 'read-only'])
        writeFileSync(at(name), name, { mode: 0o644 });
    },
    change(at) {
      chmodSync(at('group'), 0o640);
      chmodSync(at('private'), 0o600);
      chmodSync(at('read-only'), 0o444);
    },
    made: (look) =>
      look.group?.mode === 0o640 &&
      look.private?.mode === 0o600 &&
      look['read-only']?.mode === 0o444,
  },
  {
    cell: 'mtime',
    compares: 'mtime',
    before: file,
    change: (at) =>
      utimesSync(at('file'), PAST.second + PAST.fraction, PAST.second + PAST.fraction),
    made: (look) => look.file?.mtimeNs.startsWith(String(PAST.second)) === true,
  },
  { cell: 'symlink-relative', ...link('file') },
  { cell: 'symlink-absolute', ...link('/etc/hostname') },
  { cell: 'symlink-dangling', ...link('nothing/here') },
  {
    cell: 'hardlink',
    compares: 'hardlink',
    before: file,
    change: (at) => linkSync(at('file'), at('second')),
    made: (look) => look.file?.nlink === 2 && look.second?.ino === look.file.ino,
  },
  {
    cell: 'empty-folder',
    compares: 'content',
    change: (at) => mkdirSync(at('folder')),
    made: (look) => look.folder?.type === 'folder',
  },
  {
    cell: 'deep-path',
    compares: 'content',
    change(at) {
      mkdirSync(at(DEEP), { recursive: true });
      writeFileSync(at(`${DEEP}leaf`), 'deep');
    },
    made: (look) => isFile(look, `${DEEP}leaf`),
  },
  { cell: 'spaces', ...named(' a name with  spaces ') },
  { cell: 'unicode-nfc', ...named(NFC, 'caf%c3%a9') },
  { cell: 'unicode-nfd', ...named(NFD, 'cafe%cc%81') },
  {
    cell: 'case-only',
    compares: 'content',
    change(at) {
      writeFileSync(at('Readme'), 'one');
      writeFileSync(at('README'), 'two');
    },
    made: (look) =>
      isFile(look, 'Readme') && isFile(look, 'README') && look.Readme?.hash !== look.README?.hash,
  },
  { cell: 'dotfile', ...named('.hidden') },
  {
    cell: 'gitignored',
    ...named('build.log'),
    before: (at) => writeFileSync(at('.gitignore'), '*.log\n'),
  },
  {
    cell: 'sparse',
    compares: 'sparse',
    change(at) {
      const fd = openSync(at('holes'), 'w');
      ftruncateSync(fd, SPARSE_BYTES);
      writeSync(fd, 'end', SPARSE_BYTES - 3);
      closeSync(fd);
    },
    made: (look) => look.holes?.size === SPARSE_BYTES && look.holes.blocks * 512 < SPARSE_BYTES / 2,
  },
  {
    cell: 'owner',
    compares: 'owner',
    change: (at) => writeFileSync(at('file'), 'whose'),
    made: (look) => isFile(look, 'file'),
  },
  {
    cell: 'watch',
    compares: 'content',
    change: (at) => writeFileSync(at('file'), 'watched'),
    made: (look) => isFile(look, 'file'),
  },
  {
    cell: 'fsync-kill',
    compares: 'content',
    change(at) {
      const { signal, error } = spawnSync(process.execPath, ['-e', WRITE_AND_DIE, at('file')], {
        timeout: 10_000,
        killSignal: 'SIGTERM',
      });
      if (signal !== 'SIGKILL')
        throw error ?? new Error(`its process ended with ${signal}, not SIGKILL`);
    },
    made: (look) => look.file?.size === 7,
  },
];

/** @param {string} folder @returns {At} */
export function inFolder(folder) {
  return (name) => `${folder}/${name}`;
}

/**
 * The watcher inside ends when this file exists. Both sides create it, because a copied workspace
 * contains only the guest's.
 */
export const OVER = 'sync/over';

/**
 * Folder of a kind's files, relative to the workspace.
 * @param {string} direction
 * @param {string} cell
 */
export function folderOf(direction, cell) {
  return `sync/${direction}.${cell}`;
}
