// What a container runtime itself says of a match's containers: when they started, and when they were gone.
import { monotonic } from './clock.js';
import type { Closable, Context } from './contract.js';
import { stream } from './exec.js';
import { type Client, labelFilter } from './oci.js';

type Moment = 'start' | 'gone';

interface Events extends Closable {
  /** When it happened, on our clock; undefined when `boundMs` ran out, or when the client's stream itself ended. */
  until(moment: Moment, name: string, boundMs?: number): Promise<number | undefined>;
  /** The whole id of a container that has started, once its event is here. */
  id(name: string): string | undefined;
}

const MOMENTS: Record<string, Moment> = { start: 'start', destroy: 'gone', remove: 'gone' };

/** The runtime's own events of this match, one client process for all of its runs. */
export function watchEvents(client: Client, ctx: Context): Promise<Events> {
  return ctx.keep(`events ${client.argv.join(' ')}`, () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    const filters = [labelFilter(ctx.labels.match), ...Object.keys(MOMENTS).map((name) => `event=${name}`)];
    const child = stream(
      [...client.argv, 'events', '--since', since, ...filters.flatMap((filter) => ['--filter', filter]), '--format', '{{json .}}'],
      { env: client.env, cwd: '/' },
    );
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
        const found = event.type === 'line' && event.stream === 'stdout' ? parseEvent(event.text) : undefined;
        if (!found) continue;
        const mark = `${found.moment} ${found.name}`;
        const atMs = client.lateEvents && found.stampMs !== undefined ? Math.min(event.atMs, found.stampMs) : event.atMs;
        seen.set(mark, atMs);
        if (found.id !== undefined) ids.set(found.name, found.id);
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

/** One event line of either dialect. `stampMs`: the runtime's own time for it, brought to our clock. */
function parseEvent(line: string): { moment: Moment; name: string; id: string | undefined; stampMs: number | undefined } | undefined {
  try {
    const event = JSON.parse(line) as Record<string, unknown> & { Actor?: { ID?: string; Attributes?: { name?: string } } };
    const moment = MOMENTS[String(event.Action ?? event.status ?? event.Status ?? '')];
    const name = event.Actor?.Attributes?.name ?? event.Name ?? event.name;
    if (moment === undefined || typeof name !== 'string') return undefined;
    const id = event.Actor?.ID ?? event.ID ?? event.id;
    const stamp = Date.parse(String(event.Time));
    return {
      moment,
      name,
      id: typeof id === 'string' ? id : undefined,
      stampMs: Number.isNaN(stamp) ? undefined : stamp - Date.now() + monotonic(),
    };
  } catch {
    return undefined;
  }
}
