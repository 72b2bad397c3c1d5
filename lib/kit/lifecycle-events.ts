// When a match's sandboxes started, ended and were gone, according to the runtime's own event
// stream. Independent of any one runtime.
import type { Closable, Context, Env } from '../contract.js';
import { stream } from '../os/stream.js';

/**
 * `ended`: nothing runs in the sandbox any more, though the runtime may still list it. `gone`: the
 * runtime no longer lists it.
 */
export type Moment = 'start' | 'ended' | 'gone';

/** One event, parsed from a line of the stream. */
export interface LifecycleEvent {
  moment: Moment;
  /** Name of the sandbox. */
  name: string;
  /** The runtime's own id of the sandbox, where it differs from the name. */
  id?: string | undefined;
  /**
   * The runtime's own timestamp, converted to our clock, where it is more accurate than the line's
   * arrival.
   */
  stampMs?: number | undefined;
}

export interface Moments extends Closable {
  /**
   * When the moment occurred, on our clock; undefined if `boundMs` ran out or the client's event
   * stream ended.
   */
  until(moment: Moment, name: string, boundMs?: number): Promise<number | undefined>;
  /** The full id of a sandbox, once its start event has arrived. */
  id(name: string): string | undefined;
}

/** How to listen to a runtime's events. */
interface EventSource {
  /** Distinguishes the event streams of a match. */
  key: string;
  /**
   * The command that prints one event per line until it is killed; evaluated when the stream is
   * opened.
   */
  argv(): [string, ...string[]];
  env: Env;
  /** Parses a line; undefined if the line reports none of the moments. */
  read(line: string): LifecycleEvent | undefined;
}

/** Starts one client process that serves all runs of the match; later calls share it. */
export function watchMoments(ctx: Context, source: EventSource): Promise<Moments> {
  return ctx.keep(`events ${source.key}`, () => {
    const child = stream(source.argv(), { env: source.env, cwd: '/' });
    const seen = new Map<string, number>();
    const ids = new Map<string, string>();
    const waiting = new Map<string, Set<(atMs: number | undefined) => void>>();
    let over = false;
    const notify = (mark: string, atMs: number | undefined) => {
      for (const resolve of waiting.get(mark) ?? []) resolve(atMs);
      waiting.delete(mark);
    };
    void (async () => {
      for await (const event of child) {
        const reported =
          event.type === 'line' && event.stream === 'stdout' ? source.read(event.text) : undefined;
        if (!reported) continue;
        const mark = `${reported.moment} ${reported.name}`;
        const atMs = Math.min(event.atMs, reported.stampMs ?? event.atMs);
        seen.set(mark, atMs);
        if (reported.id !== undefined) ids.set(reported.name, reported.id);
        notify(mark, atMs);
      }
      over = true;
      for (const mark of [...waiting.keys()]) notify(mark, undefined);
    })();
    return {
      until(moment, name, boundMs) {
        const mark = `${moment} ${name}`;
        if (seen.has(mark) || over || boundMs === 0) return Promise.resolve(seen.get(mark));
        return new Promise((resolve) => {
          const timer =
            boundMs === undefined ? undefined : setTimeout(() => resolve(undefined), boundMs);
          const set = waiting.get(mark) ?? new Set();
          set.add((atMs) => {
            clearTimeout(timer);
            resolve(atMs);
          });
          waiting.set(mark, set);
        });
      },
      id: (name) => ids.get(name),
      close: () => child.kill(),
    };
  });
}
