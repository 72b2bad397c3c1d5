// The host's end of a guest script that watches folders of the workspace: what it saw, when, and
// when it looked without seeing a change.
import { monotonic } from '../../clock.js';
import type { Look } from '../guest/sync-look.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import type { Pair } from './grid.js';

export interface Glance {
  look: Look;
  /** Arrival time on the host's clock. */
  atMs: number;
  /** When its round of looks began, on the guest's clock; undefined for the first round. */
  roundMs: number | undefined;
}

interface Line extends Partial<Pair> {
  look?: Look;
  event?: boolean;
  refused?: string;
  ready?: boolean;
  uid?: number;
  gid?: number;
  begun: number[];
  sentMs: number;
}

export interface Eyes {
  /** Everything seen of a folder, in order; the last one is the current state. */
  glances(pair: Pair): readonly Glance[];
  /** Times of a folder's change events, on the host's clock. */
  events(pair: Pair): readonly number[];
  /** Why no change events are available. */
  refused(): string | undefined;
  /**
   * When the last round before a glance's own began, on the host's clock: at that time, what the
   * glance saw was not visible yet.
   */
  vainBefore(glance: Glance): number | undefined;
  /** The user that the script runs as inside. */
  user(): { uid?: number; gid?: number };
  /** Why the watcher has ended. */
  ended(): Error | undefined;
  /** When the watcher had looked at all folders for the first time. */
  readyAtMs(): number | undefined;
}

/**
 * Starts the watcher and records its reports as they arrive. It ends when the file OVER exists, or
 * on its own after `lifeMs`.
 */
export function openEyes(
  sandbox: Pick<ProbeSandbox, 'ask'>,
  given: { once: Pair[]; watched: Pair[]; events: Pair[]; lifeMs: number },
): Eyes {
  const glances = new Map<string, Glance[]>();
  const events = new Map<string, number[]>();
  const begun: number[] = [];
  let user: { uid?: number; gid?: number } = {};
  let refused: string | undefined;
  let ended: Error | undefined;
  let readyAtMs: number | undefined;
  // The host's clock minus the guest's, plus the shortest time that a line took to arrive.
  let ahead = Number.POSITIVE_INFINITY;
  const listen = async () => {
    for await (const { value, atMs } of sandbox.ask<Line>('sync-eyes.mjs', given)) {
      ahead = Math.min(ahead, atMs - value.sentMs);
      begun.push(...value.begun);
      if (value.ready) {
        readyAtMs = monotonic();
        user = {
          ...(value.uid === undefined ? {} : { uid: value.uid }),
          ...(value.gid === undefined ? {} : { gid: value.gid }),
        };
      }
      if (value.refused !== undefined) refused = value.refused;
      if (value.look) add(glances, value, { look: value.look, atMs, roundMs: begun.at(-1) });
      if (value.event) add(events, value, atMs);
    }
    ended = new Error('the watcher inside has ended');
  };
  listen().catch((error: unknown) => {
    ended = error instanceof Error ? error : new Error(String(error));
  });
  return {
    glances: (pair) => glances.get(key(pair)) ?? [],
    events: (pair) => events.get(key(pair)) ?? [],
    refused: () => refused,
    vainBefore({ roundMs }) {
      const vain = begun.findLast((startedMs) => roundMs !== undefined && startedMs < roundMs);
      return vain === undefined ? undefined : vain + ahead;
    },
    user: () => user,
    ended: () => ended,
    readyAtMs: () => readyAtMs,
  };
}

function add<T>(to: Map<string, T[]>, pair: Partial<Pair>, value: T): void {
  const name = key(pair);
  to.set(name, [...(to.get(name) ?? []), value]);
}

function key({ cell, direction }: Partial<Pair>): string {
  return `${direction} ${cell}`;
}
