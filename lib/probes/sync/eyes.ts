// A guest that watches folders of the workspace, heard from the host: what it saw, when, and when it looked in vain.
import { monotonic } from '../../clock.js';
import type { Look } from '../guest/sync-look.mjs';
import type { OpenSandbox } from '../sandbox.js';
import type { Pair } from './grid.js';

export interface Glance {
  look: Look;
  /** Arrival on the host's clock. */
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
  /** What was seen of a folder, first to last; the last is what is there now. */
  glances(pair: Pair): readonly Glance[];
  /** Change events of a folder, on the host's clock. */
  events(pair: Pair): readonly number[];
  /** Why no events can be had. */
  refused(): string | undefined;
  /** When the last round of looks began before that of a glance, on the host's clock: what the glance saw was not there yet. */
  vainBefore(glance: Glance): number | undefined;
  /** Who looks, inside. */
  user(): { uid?: number; gid?: number };
  /** Why it no longer watches. */
  ended(): Error | undefined;
  /** When it had seen all folders for the first time. */
  readyAtMs(): number | undefined;
}

/** Starts it; what it tells is taken in as it comes. It ends when the file OVER is there, or by itself after `lifeMs`. */
export function openEyes(
  sandbox: Pick<OpenSandbox, 'ask'>,
  given: { once: Pair[]; watched: Pair[]; events: Pair[]; lifeMs: number },
): Eyes {
  const glances = new Map<string, Glance[]>();
  const events = new Map<string, number[]>();
  const begun: number[] = [];
  let user: { uid?: number; gid?: number } = {};
  let refused: string | undefined;
  let ended: Error | undefined;
  let readyAtMs: number | undefined;
  // The host's clock less the guest's, with the least time that a line took in between.
  let ahead = Number.POSITIVE_INFINITY;
  const listen = async () => {
    for await (const { value, atMs } of sandbox.ask<Line>('sync-eyes.mjs', given)) {
      ahead = Math.min(ahead, atMs - value.sentMs);
      begun.push(...value.begun);
      if (value.ready) {
        readyAtMs = monotonic();
        user = { ...(value.uid === undefined ? {} : { uid: value.uid }), ...(value.gid === undefined ? {} : { gid: value.gid }) };
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
      const vain = begun.findLast((one) => roundMs !== undefined && one < roundMs);
      return vain === undefined ? undefined : vain + ahead;
    },
    user: () => user,
    ended: () => ended,
    readyAtMs: () => readyAtMs,
  };
}

function add<T>(to: Map<string, T[]>, pair: Partial<Pair>, one: T): void {
  const name = key(pair);
  to.set(name, [...(to.get(name) ?? []), one]);
}

function key({ cell, direction }: Partial<Pair>): string {
  return `${direction} ${cell}`;
}
