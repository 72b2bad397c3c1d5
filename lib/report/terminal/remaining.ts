// Estimates how long a match still takes, from the time each row has taken so far.
import type { MatchEvent } from '../../record/types.js';

export interface Remaining {
  onEvent(event: MatchEvent): void;
  /**
   * In ms, as of the last event; undefined until every row, and in a burst every level, has been
   * completed once.
   */
  leftMs(): number | undefined;
}

/** The notation used in a round's order. */
export const slotOf = ({ entry, level }: { entry: string; level: number }) =>
  level === 1 ? entry : `${entry}*${level}`;

/** A slot is one sequential step of a round: a single run, or a wave of concurrent runs. */
export function createRemaining(): Remaining {
  let rounds = 0;
  let round = 0;
  let nowMs = 0;
  let order: string[] = [];
  let ahead = new Set<string>();
  let open: { slot: string; startedAtMs: number } | undefined;
  const leftOut = new Set<string>();
  const took = new Map<string, { sumMs: number; count: number }>();
  const meanMs = (slot: string) => {
    const known = took.get(slot);
    return known ? known.sumMs / known.count : 0;
  };
  const sumOf = (slots: Iterable<string>) =>
    [...slots].reduce((sum, slot) => sum + meanMs(slot), 0);
  const close = (slot: string, atMs: number) => {
    if (open?.slot !== slot) return;
    const known = took.get(slot) ?? { sumMs: 0, count: 0 };
    took.set(slot, { sumMs: known.sumMs + atMs - open.startedAtMs, count: known.count + 1 });
    ahead.delete(slot);
    open = undefined;
  };
  return {
    onEvent(event) {
      nowMs = event.atMs;
      switch (event.type) {
        case 'match-started':
          rounds = event.runs + event.warmup;
          break;
        case 'round-started':
          round = event.round;
          order = event.order.filter((slot) => !leftOut.has(slot));
          ahead = new Set(order);
          open = undefined;
          break;
        case 'level-left-out':
          leftOut.add(slotOf(event));
          ahead.delete(slotOf(event));
          break;
        case 'run-started':
          open ??= { slot: slotOf(event), startedAtMs: event.atMs };
          break;
        case 'run-ended':
          if (event.level === 1) close(slotOf(event), event.atMs);
          break;
        case 'wave-ended':
          close(slotOf(event), event.atMs);
          break;
        case 'settled':
          rounds = round;
          break;
        default:
      }
    },
    leftMs() {
      if (order.length === 0 || order.some((slot) => !took.has(slot))) return undefined;
      const spentMs = open ? Math.min(meanMs(open.slot), nowMs - open.startedAtMs) : 0;
      return sumOf(ahead) + (rounds - round) * sumOf(order) - spentMs;
    },
  };
}

/** Coarse, because the estimate is not precise. @param most the match may also end earlier */
export function remainingText(ms: number, most: boolean): string {
  const about = most ? 'at most' : 'about';
  const seconds = ms / 1000;
  if (seconds < 5) return 'a few seconds left';
  if (seconds < 90)
    return `${about} ${seconds < 20 ? Math.ceil(seconds / 5) * 5 : Math.ceil(seconds / 10) * 10} s left`;
  if (seconds < 5400) return `${about} ${Math.ceil(seconds / 60)} min left`;
  return `${about} ${(Math.ceil(seconds / 1800) / 2).toFixed(1).replace('.0', '')} h left`;
}
