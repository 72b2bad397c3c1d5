// Searches inside a sandbox for a credential, after the agent has ended: in environments and in
// files. Needs only Node. Usage: node residue-look.mjs JSON; {mark, needles: [[shape, letters in
// reverse]], sinceMs, folders, alone, waitFor?}. The needles are reversed so that this script's own
// command line is not a hit. Prints `MARK looking`, then `MARK looked {…}`.
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from 'node:fs';

/**
 * @type {{mark: string, needles: [string, string][], sinceMs: number, folders: string[], alone:
 *   boolean, waitFor?: string}}
 */
const { mark, needles, sinceMs, folders, alone, waitFor } = JSON.parse(process.argv[2] ?? '{}');
const wanted = needles.map(([shape, text]) => ({
  shape,
  bytes: Buffer.from([...text].reverse().join('')),
}));
const longest = Math.max(...wanted.map(({ bytes }) => bytes.length));
const say = (/** @type {string} */ text) => process.stdout.write(`${mark} ${text}\n`);

/** Bounds of the search; the result reports if something was left out. */
const MOST_BYTES = 1024 ** 3;
const MOST_FILES = 200_000;
const PART = 'in part';

/** @param {(take: (chunk: Buffer) => void) => void} pour @returns {string[]} */
function shapesIn(pour) {
  const seen = new Set();
  let tail = Buffer.alloc(0);
  pour((chunk) => {
    const joined = Buffer.concat([tail, chunk]);
    for (const { shape, bytes } of wanted)
      if (!seen.has(shape) && joined.includes(bytes)) seen.add(shape);
    tail = Buffer.from(joined.subarray(Math.max(0, joined.length - longest + 1)));
  });
  return [...seen].filter((shape) => shape !== PART || seen.size === 1);
}

/** @type {{environ: {where: string, shape: string}[], files: {where: string, shape: string}[]}} */
const hits = { environ: [], files: [] };
const searched = { files: 0, read: 0, bytes: 0, left: false, processes: 0 };

/**
 * Its own environment, which the agent was started with too; and those of all processes if none
 * belong to anything else.
 */
function lookAtEnvironments() {
  for (const name of !existsSync('/proc/self/environ')
    ? []
    : alone
      ? readdirSync('/proc')
      : ['self']) {
    if (!/^\d+$/.test(name) && name !== 'self') continue;
    try {
      const text = readFileSync(`/proc/${name}/environ`);
      searched.processes += 1;
      for (const shape of shapesIn((take) => take(text)))
        hits.environ.push({
          where: name === 'self' ? 'what the agent was started with' : `pid ${name}`,
          shape,
        });
    } catch {
      // The process is gone, or belongs to another user.
    }
  }
}

/** @param {string} path */
function look(path) {
  let names;
  try {
    names = readdirSync(path);
  } catch {
    return;
  }
  for (const name of names) {
    const below = `${path === '/' ? '' : path}/${name}`;
    if (path === '/' && (name === 'proc' || name === 'sys')) continue;
    let stats;
    try {
      stats = lstatSync(below);
    } catch {
      continue;
    }
    if (stats.isDirectory()) look(below);
    if (!stats.isFile()) continue;
    searched.files += 1;
    if (stats.ctimeMs < sinceMs) continue;
    if (searched.files > MOST_FILES || searched.bytes + stats.size > MOST_BYTES) {
      searched.left = true;
      continue;
    }
    lookAtFile(below);
  }
}

/** @param {string} path */
function lookAtFile(path) {
  let file;
  try {
    file = openSync(path, 'r');
  } catch {
    return;
  }
  try {
    searched.read += 1;
    const chunk = Buffer.allocUnsafe(1024 * 1024);
    const shapes = shapesIn((take) => {
      for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
        searched.bytes += read;
        take(Buffer.from(chunk.subarray(0, read)));
      }
    });
    for (const shape of shapes) hits.files.push({ where: path, shape });
  } catch {
    // A kernel file that cannot be read.
  } finally {
    closeSync(file);
  }
}

say('looking');
lookAtEnvironments();
for (const folder of folders) look(folder);
say(`looked ${JSON.stringify({ hits, so: searched })}`);
// The runtime forgets a sandbox once its one command has ended, so wait here while the host queries
// the runtime about it.
if (waitFor !== undefined) {
  const until = Date.now() + 30_000;
  const wait = () => {
    if (!existsSync(waitFor) && Date.now() < until) setTimeout(wait, 20);
  };
  wait();
}
