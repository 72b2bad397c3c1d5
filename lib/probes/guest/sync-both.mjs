// Runs inside a sandbox: opens files, waits until the host has changed them, and then changes them
// too, through the open descriptors.
import { closeSync, existsSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { OVER } from './sync-kinds.mjs';
import { namesOf, readText } from './sync-look.mjs';

/** @typedef {Record<string, string>} Texts content by name */

/** The cells, each with the initial content of its folder. @type {Record<string, Texts>} */
export const BOTH = {
  append: { file: 'start\n' },
  modify: { file: '....... ......\n' },
  'replace-by-rename': { file: 'start' },
  delete: { file: 'start' },
  rename: { file: 'start' },
  create: {},
};

/** @param {string} cell */
export const bothFolder = (cell) => `sync/both.${cell}`;

/** @param {string} folder @returns {Texts} contents of the folder's files */
export function textsIn(folder) {
  return Object.fromEntries(
    namesOf(folder).map((name) => [name, readText(`${folder}/${name}`, 200) ?? 'not readable']),
  );
}

/**
 * One side's changes. Files that are written in place are opened at once but written only when
 * `act` is called, like an editor and an agent that have the same file open.
 * @param {string} root the workspace
 * @param {'outside' | 'inside'} who
 */
export function openBoth(root, who) {
  /** @param {string} cell @param {string} name */
  const at = (cell, name) => `${root}/${bothFolder(cell)}/${name}`;
  const appended = openSync(at('append', 'file'), 'a');
  const modified = openSync(at('modify', 'file'), 'r+');
  const deleted = openSync(at('delete', 'file'), 'a');
  /** @type {Record<string, () => void>} */
  const acts = {
    append: () => writeSync(appended, `${who}\n`),
    // The two sides write different parts of the file.
    modify: () => writeSync(modified, who, who === 'outside' ? 0 : 8),
    'replace-by-rename'() {
      writeFileSync(at('replace-by-rename', `.${who}`), who);
      renameSync(at('replace-by-rename', `.${who}`), at('replace-by-rename', 'file'));
    },
    rename: () => renameSync(at('rename', 'file'), at('rename', `by-${who}`)),
    create: () => writeFileSync(at('create', 'file'), who, { flag: 'wx' }),
  };
  return {
    /**
     * @param {() => void} deletes this side's change to the file of `delete`; by default it writes
     *   to its open file descriptor
     */
    act(deletes = () => void writeSync(deleted, who)) {
      /** @type {Record<string, string>} */
      const ended = {};
      for (const [cell, act] of Object.entries({ ...acts, delete: deletes })) {
        try {
          act();
          ended[cell] = 'done';
        } catch (error) {
          ended[cell] = /** @type {NodeJS.ErrnoException} */ (error).code ?? String(error);
        }
      }
      for (const fd of [appended, modified, deleted]) closeSync(fd);
      return ended;
    },
  };
}

/** @param {{ go: string, waitMs: number }} given */
async function run({ go, waitMs }) {
  // In a shared workspace the host has already created the file, possibly as another user.
  if (!existsSync(OVER)) writeFileSync(OVER, '');
  const untilMs = performance.now() + waitMs;
  const open = openBoth('.', 'inside');
  console.log(JSON.stringify({ ready: true }));
  while (!existsSync(go) && performance.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 3));
  const signalled = existsSync(go);
  const ended = open.act();
  const texts = Object.fromEntries(
    Object.keys(BOTH).map((cell) => [cell, textsIn(bothFolder(cell))]),
  );
  console.log(JSON.stringify({ told: signalled, ended, texts }));
}

if (process.argv[1]?.endsWith('sync-both.mjs')) await run(JSON.parse(process.argv[2] ?? '{}'));
