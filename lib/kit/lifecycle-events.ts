// When a match's sandboxes began to run and were gone, as a runtime's own event stream tells it. Names no runtime.
import type { Closable, Context, Env } from '../contract.js';
import { stream } from '../os/exec.js';

/** `ended`: nothing runs in it any more, though the runtime may still list it. */
export type Moment = 'start' | 'ended' | 'gone';

/** One event, out of a line of the stream. */
export interface Told {
  moment: Moment;
  /** Of the sandbox. */
  name: string;
  /** The runtime's own, where it has another than the name. */
  id?: string | undefined;
  /** The runtime's own time for it, on our clock, where that is better than the line's arrival. */
  stampMs?: number | undefined;
}

export interface Moments extends Closable {
  /** When it happened, on our clock; undefined when `boundMs` ran out, or when the client's stream itself ended. */
  until(moment: Moment, name: string, boundMs?: number): Promise<number | undefined>;
  /** The whole id of a sandbox that has started, once its event is here. */
  id(name: string): string | undefined;
}

/** How a runtime's events are listened to. */
interface EventSource {
  /** Tells one stream of the match from another. */
  key: string;
  /** What tells the events, a line each, until it is killed; asked when the stream is opened. */
  argv(): [string, ...string[]];
  env: Env;
  /** Undefined for a line that tells no moment. */
  read(line: string): Told | undefined;
}

/** One client process for all runs of the match, whoever asks first. */
export function watchMoments(ctx: Context, source: EventSource): Promise<Moments> {
  return ctx.keep(`events ${source.key}`, () => {
    const child = stream(source.argv(), { env: source.env, cwd: '/' });
    const seen = new Map<string, number>();
    const ids = new Map<string, string>();
    const waiting = new Map<string, Set<(atMs: number | undefined) => void>>();
    let over = false;
    const tell = (mark: string, atMs: number | undefined) => {
      for (const resolve of waiting.get(mark) ?? []) resolve(atMs);
      waiting.delete(mark);
    };
    void (async () => {
      for await (const event of child) {
        const told = event.type === 'line' && event.stream === 'stdout' ? source.read(event.text) : undefined;
        if (!told) continue;
        const mark = `${told.moment} ${told.name}`;
        const atMs = Math.min(event.atMs, told.stampMs ?? event.atMs);
        seen.set(mark, atMs);
        if (told.id !== undefined) ids.set(told.name, told.id);
        tell(mark, atMs);
      }
      over = true;
      for (const mark of [...waiting.keys()]) tell(mark, undefined);
    })();
    return {
      until(moment, name, boundMs) {
        const mark = `${moment} ${name}`;
        if (seen.has(mark) || over || boundMs === 0) return Promise.resolve(seen.get(mark));
        return new Promise((resolve) => {
          const timer = boundMs === undefined ? undefined : setTimeout(() => resolve(undefined), boundMs);
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
