// Runs inside a sandbox: makes every change named in its argument (by direction and cell), and
// reports what it then sees itself.
import { folderOf, inFolder, KINDS } from './sync-kinds.mjs';
import { look } from './sync-look.mjs';

/** @type {{ pairs: { direction: string, cell: string }[] }} */
const { pairs } = JSON.parse(process.argv[2] ?? '{}');
for (const { direction, cell } of pairs) {
  const kind = KINDS.find((candidate) => candidate.cell === cell);
  const folder = folderOf(direction, cell);
  try {
    kind?.change(inFolder(folder));
    const made = look(folder);
    console.log(JSON.stringify({ direction, cell, look: made, made: kind?.made(made) === true }));
  } catch (error) {
    console.log(
      JSON.stringify({
        direction,
        cell,
        failed: error instanceof Error ? error.message : String(error),
      }),
    );
  }
}
