// A container runtime's own events for a match's containers: when they started, ended, and were
// gone.
import { monotonic } from '../../clock.js';
import type { Context } from '../../contract.js';
import { parseJson } from '../../json.js';
import {
  type LifecycleEvent,
  type Moment,
  type Moments,
  watchMoments,
} from '../lifecycle-events.js';
import { type Client, labelFilter } from './args.js';

const MOMENTS: Record<string, Moment> = {
  start: 'start',
  die: 'ended',
  died: 'ended',
  destroy: 'gone',
  remove: 'gone',
};

/** Listens to the runtime's own events for this match, with one client process for all its runs. */
export function watchEvents(client: Client, ctx: Context): Promise<Moments> {
  const filters = [
    labelFilter(ctx.labels.match),
    ...Object.keys(MOMENTS).map((name) => `event=${name}`),
  ];
  return watchMoments(ctx, {
    key: client.argv.join(' '),
    argv: () => [
      ...client.argv,
      'events',
      '--since',
      String(Math.floor(Date.now() / 1000) - 1),
      ...filters.flatMap((filter) => ['--filter', filter]),
      '--format',
      '{{json .}}',
    ],
    env: client.env,
    read: (line) => readEvent(line, client.lateEvents === true),
  });
}

/**
 * Parses an event line in either of the two formats.
 * @param late use the runtime's own timestamp, converted to our clock
 */
function readEvent(line: string, late: boolean): LifecycleEvent | undefined {
  const event = parseJson<
    Record<string, unknown> & { Actor?: { ID?: string; Attributes?: { name?: string } } }
  >(line);
  const moment = MOMENTS[String(event?.Action ?? event?.status ?? event?.Status ?? '')];
  const name = event?.Actor?.Attributes?.name ?? event?.Name ?? event?.name;
  if (moment === undefined || typeof name !== 'string') return undefined;
  const id = event?.Actor?.ID ?? event?.ID ?? event?.id;
  const stamp = late ? Date.parse(String(event?.Time)) : Number.NaN;
  return {
    moment,
    name,
    id: typeof id === 'string' ? id : undefined,
    stampMs: Number.isNaN(stamp) ? undefined : stamp - Date.now() + monotonic(),
  };
}
