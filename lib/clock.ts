// One monotonic clock for every measurement.

/** Milliseconds since an arbitrary start; never goes backwards. */
export type Clock = () => number;

export const monotonic: Clock = () => performance.now();

/** Rounds to a hundredth of a millisecond: finer digits are noise and only bloat the record. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}
