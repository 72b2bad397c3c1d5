// Which levels of a burst a row may be run at: each is looked at once, before it is tried for the first time.
import { levelsUpTo } from './burst.js';
import { type Room, type Taken, whyNoRoom } from './capacity.js';

/** One row's levels. */
export interface Levels {
  /** What its runs were seen to take so far. */
  taken: Taken;
  /** `later`: there would be no room by what is assumed, and the row's first run, at level 1, may tell better. */
  judge(level: number): 'run' | 'later' | 'left out';
  /** False once it was left out. */
  isOpen(level: number): boolean;
}

/**
 * @param highest the level that was asked for
 * @param room asks what is free on this machine now
 * @param onLeftOut told every level that is left out, once; what is left out takes all higher ones with it
 */
export function createLevels(highest: number, room: () => Room, onLeftOut: (level: number, reason: string) => void): Levels {
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
      for (const one of levelsUpTo(highest).filter((other) => other >= level && !judged.has(other))) {
        judged.set(one, false);
        onLeftOut(one, whyNoRoom(one, taken, free) ?? 'a lower level has no room');
      }
      return 'left out';
    },
  };
}
