// Decides which concurrency levels of a burst a row may run at. Each level is checked once, before
// it is first tried.
import { levelsUpTo } from './burst.js';
import { type Room, type Taken, whyNoRoom } from './capacity.js';

/** The concurrency levels of one row. */
export interface Levels {
  /** The most that its runs have been seen to use so far. */
  taken: Taken;
  /**
   * `later`: by the assumed usage there is no room, but the row's first run, at level 1, may
   * provide a better number.
   */
  judge(level: number): 'run' | 'later' | 'left out';
  /** False once the level has been left out. */
  isOpen(level: number): boolean;
}

/**
 * @param highest the requested level
 * @param room returns what is currently free on this machine
 * @param onLeftOut called once for every level that is left out; leaving out a level also leaves
 *   out all higher ones
 */
export function createLevels(
  highest: number,
  room: () => Room,
  onLeftOut: (level: number, reason: string) => void,
): Levels {
  const judged = new Map<number, boolean>();
  const taken: Taken = {};
  let begun = false;
  return {
    taken,
    isOpen: (level) => judged.get(level) !== false,
    judge(level) {
      if (level === 1) {
        begun = true;
        return 'run';
      }
      const known = judged.get(level);
      if (known !== undefined) return known ? 'run' : 'left out';
      const free = room();
      const why = whyNoRoom(level, taken, free);
      if (why === undefined) {
        judged.set(level, true);
        return 'run';
      }
      if (!begun) return 'later';
      for (const lower of levelsUpTo(highest).filter(
        (other) => other >= level && !judged.has(other),
      )) {
        judged.set(lower, false);
        onLeftOut(lower, whyNoRoom(lower, taken, free) ?? 'a lower level has no room');
      }
      return 'left out';
    },
  };
}
