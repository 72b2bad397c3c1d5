// Runs inside a sandbox: reports the contents of some folders of the workspace, and again whenever
// they change. Its argument: folders to look at once and folders to watch (by direction and cell),
// folders whose change events it reports, and its lifetime.
import { existsSync, watch } from 'node:fs';
import { folderOf, OVER } from './sync-kinds.mjs';
import { look } from './sync-look.mjs';

/** @typedef {{ direction: string, cell: string }} Pair */
/** @type {{ once: Pair[], watched: Pair[], events: Pair[], lifeMs: number }} */
const { once, watched, events, lifeMs } = JSON.parse(process.argv[2] ?? '{}');
const untilMs = performance.now() + lifeMs;
/** Start times of the rounds that have not been reported yet. @type {number[]} */
let begun = [];
let turn = 0;
/** @type {Map<string, string>} */
const last = new Map();

/**
 * Adds the rounds begun since the last report, and the current time, from which the host aligns the
 * clocks.
 * @param {object} value
 */
function tell(value) {
  console.log(JSON.stringify({ ...value, begun, sentMs: performance.now() }));
  begun = [];
}

/** @param {Pair} pair */
function see({ direction, cell }) {
  const seen = look(folderOf(direction, cell));
  const text = JSON.stringify(seen);
  if (last.get(`${direction} ${cell}`) === text) return;
  last.set(`${direction} ${cell}`, text);
  tell({ direction, cell, look: seen });
}

function lookAtAll() {
  const beganMs = performance.now();
  begun.push(beganMs);
  for (const pair of watched) see(pair);
  // Files from before launch may arrive late as well, but the watched folders must not wait for
  // them.
  turn += 1;
  const late = turn % 10 === 0 ? once[(turn / 10) % once.length] : undefined;
  if (late) see(late);
  if (begun.length >= 200) tell({});
  if (beganMs > untilMs || existsSync(OVER)) process.exit(0);
  setTimeout(lookAtAll, 2);
}

for (const pair of [...once, ...watched]) see(pair);
for (const { direction, cell } of events) {
  try {
    watch(folderOf(direction, cell), () => tell({ direction, cell, event: true }));
  } catch (error) {
    tell({ direction, cell, refused: String(error) });
  }
}
tell({ ready: true, uid: process.getuid?.(), gid: process.getgid?.() });
lookAtAll();
