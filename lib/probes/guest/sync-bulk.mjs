// Many small files and one big one, written and checked in the same way on both sides. Inside a
// sandbox, checks the host's files and creates its own.
import { createHash } from 'node:crypto';
import { constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { namesOf, readText } from './sync-look.mjs';

const MIB = 1 << 20;

/** @param {number} at */
const nameOf = (at) => `f${String(at).padStart(5, '0')}`;
/** @param {number} at */
const textOf = (at) => `small file ${at}\n`;

/** Yields to the event loop, so that other work does not have to wait for an entire loop. */
const breathe = () => new Promise((resolve) => setImmediate(resolve));

/** @param {string} folder @param {number} count */
export async function makeMany(folder, count) {
  mkdirSync(folder, { recursive: true });
  for (let at = 0; at < count; at += 1) {
    writeFileSync(`${folder}/${nameOf(at)}`, textOf(at));
    if (at % 500 === 0) await breathe();
  }
}

/**
 * @param {string} folder
 * @param {number} count
 * @returns {Promise<{ missing: string[], wrong: string[], more: number }>}
 */
export async function checkMany(folder, count) {
  /** @type {{ missing: string[], wrong: string[], more: number }} */
  const found = { missing: [], wrong: [], more: 0 };
  const names = new Set(namesOf(folder));
  found.more = names.size;
  for (let at = 0; at < count; at += 1) {
    const name = nameOf(at);
    if (!names.has(name)) found.missing.push(name);
    else {
      found.more -= 1;
      if (readText(`${folder}/${name}`, 100) !== textOf(at)) found.wrong.push(name);
    }
    if (at % 500 === 0) await breathe();
  }
  return found;
}

/**
 * Repeats an incompressible megabyte, each copy with its number at the front.
 * @param {string} path
 * @param {number} bytes
 */
export async function makeBig(path, bytes) {
  const block = Buffer.concat(
    Array.from({ length: MIB / 32 }, (_, at) =>
      createHash('sha256').update(`block ${at}`).digest(),
    ),
  );
  const handle = await open(path, 'wx');
  try {
    for (let at = 0; at * MIB < bytes; at += 1) {
      block.writeUInt32LE(at);
      await handle.write(block, 0, Math.min(MIB, bytes - at * MIB));
    }
  } finally {
    await handle.close();
  }
}

/**
 * @param {string} path
 * @param {number} most in bytes
 * @returns {Promise<string | undefined>} undefined if there is no such file
 */
export async function hashBig(path, most) {
  const handle = await open(
    path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  ).catch(() => undefined);
  if (!handle) return undefined;
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const hash = createHash('sha256');
    const block = Buffer.alloc(4 * MIB);
    for (let total = 0; total <= most; ) {
      const { bytesRead } = await handle.read(block, 0, block.length);
      if (bytesRead === 0) break;
      total += bytesRead;
      hash.update(block.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

/** @param {'in' | 'out'} direction */
export const manyFolder = (direction) => `sync/many.${direction}`;
/** @param {'in' | 'out'} direction */
export const bigFile = (direction) => `sync/big.${direction}`;

/** @param {{ files: number, bigBytes: number }} given `bigBytes` 0: skip the big file */
async function run({ files, bigBytes }) {
  console.log(JSON.stringify({ many: await checkMany(manyFolder('in'), files) }));
  await makeMany(manyFolder('out'), files);
  console.log(JSON.stringify({ made: await checkMany(manyFolder('out'), files) }));
  if (bigBytes === 0) return;
  console.log(JSON.stringify({ big: (await hashBig(bigFile('in'), bigBytes)) ?? 'none' }));
  rmSync(bigFile('in'), { force: true });
  try {
    await makeBig(bigFile('out'), bigBytes);
    console.log(JSON.stringify({ bigMade: (await hashBig(bigFile('out'), bigBytes)) ?? 'none' }));
  } catch (error) {
    console.log(JSON.stringify({ bigFailed: String(error) }));
  }
}

if (process.argv[1]?.endsWith('sync-bulk.mjs')) await run(JSON.parse(process.argv[2] ?? '{}'));
