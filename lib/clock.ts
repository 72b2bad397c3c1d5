// One monotonic clock for every measurement.

/** Milliseconds since an arbitrary start; never goes back. */
export type Clock = () => number;

export const monotonic: Clock = () => performance.now();

/** Rounds to a hundredth of a millisecond: finer digits are noise and swell the record. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}
