// Runs inside a sandbox: tells what lies in some folders of the workspace, and tells it again each time that it changes.
// Its argument: folders to see at once and folders to watch (by direction and cell), those whose change events it tells, and how long it lives.
import { existsSync, watch } from 'node:fs';
import { folderOf, OVER } from './sync-kinds.mjs';
import { look } from './sync-look.mjs';

/** @typedef {{ direction: string, cell: string }} Pair */
/** @type {{ once: Pair[], watched: Pair[], events: Pair[], lifeMs: number }} */
const { once, watched, events, lifeMs } = JSON.parse(process.argv[2] ?? '{}');
const untilMs = performance.now() + lifeMs;
/** When looks began that have not been told yet. @type {number[]} */
let begun = [];
let turn = 0;
/** @type {Map<string, string>} */
const last = new Map();

/** With the looks that began since, and the moment: the host sets its clock by these. @param {object} value */
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
  // What was there before launch may come late, too; but what is watched should not wait for it.
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
