// The match as a Chrome trace (JSON) for Perfetto and chrome://tracing: where the time of every run
// went, on one timeline.

import { printable, printableJson } from '../../os/printable.js';
import type { Clocks, EventOf } from '../../record/types.js';
import { nameOf } from '../cells.js';
import type { Exporter } from './csv.js';

interface Open {
  started: EventOf<'run-started'>;
  lane: number;
  phases: { phase: string; atMs: number }[];
}

/** Process id for events that belong to no row. */
const MATCH = 0;

/**
 * One process per row. Concurrent runs have a lane each; a lane is two threads with nested slices:
 * the run with its clocks (runtime start, agent boot, work, exit, collect, teardown), and the run
 * with cagematch's phases, which end at other moments.
 */
export function createTrace(write: (text: string) => void): Exporter {
  const rows = new Map<string, { pid: number; lanes: (string | undefined)[] }>();
  const open = new Map<string, Open>();
  let first = true;
  let lastMs = 0;
  const put = (event: object) => {
    write(
      `${first ? '{"displayTimeUnit":"ms","traceEvents":[\n' : ',\n'}${printableJson(JSON.stringify(event))}`,
    );
    first = false;
  };
  const named = (kind: string, pid: number, tid: number, name: string) =>
    put({ ph: 'M', name: kind, pid, tid, args: { name } });
  const slice = (
    pid: number,
    tid: number,
    name: string,
    cat: string,
    fromMs: number,
    toMs: number,
    more: object = {},
  ) =>
    put({
      ph: 'X',
      name,
      cat,
      pid,
      tid,
      ts: micro(fromMs),
      dur: micro(Math.max(0, toMs - fromMs)),
      ...more,
    });
  const standIns = new Set<string>();
  const rowOf = (entry: string) => {
    const row = rows.get(entry) ?? { pid: rows.size + 1, lanes: [] };
    if (!rows.has(entry)) {
      rows.set(entry, row);
      named('process_name', row.pid, 0, nameOf({ entry, standIn: standIns.has(entry) }));
      put({
        ph: 'M',
        name: 'process_sort_index',
        pid: row.pid,
        tid: 0,
        args: { sort_index: row.pid },
      });
    }
    return row;
  };
  const takeLane = (entry: string, run: string) => {
    const { pid, lanes } = rowOf(entry);
    const free = lanes.indexOf(undefined);
    const lane = free === -1 ? lanes.length : free;
    if (free === -1) {
      named('thread_name', pid, clockThread(lane), `runs ${lane + 1}`);
      named('thread_name', pid, phaseThread(lane), `phases ${lane + 1}`);
    }
    lanes[lane] = run;
    return lane;
  };
  const close = (
    { started, lane, phases }: Open,
    endMs: number,
    ended: EventOf<'run-ended'> | undefined,
  ) => {
    const { pid, lanes } = rowOf(started.entry);
    lanes[lane] = undefined;
    // A slice may be viewed without its process, so the stand-in flag is repeated here.
    const args = {
      ...argsOf(started, ended),
      ...(standIns.has(started.entry) ? { standIn: true } : {}),
    };
    // A colour name reserved by Chrome.
    const more = { args, ...(args.outcome === 'passed' ? {} : { cname: 'terrible' }) };
    slice(pid, clockThread(lane), started.run, 'run', started.atMs, endMs, more);
    slice(pid, phaseThread(lane), started.run, 'run', started.atMs, endMs, more);
    for (const [index, { phase, atMs }] of phases.entries())
      slice(pid, phaseThread(lane), phase, 'phase', atMs, phases[index + 1]?.atMs ?? endMs);
    if (!ended) return;
    const since = (phase: string) => phases.find((candidate) => candidate.phase === phase)?.atMs;
    let fromMs = started.atMs;
    for (const clock of clockSlices(
      ended.clocks,
      since('launch') ?? started.atMs,
      since('collect'),
      since('destroy'),
    )) {
      // Times observed through two pipes may overlap slightly; slices of one thread must not.
      const begin = Math.min(Math.max(clock.fromMs, fromMs), endMs);
      fromMs = Math.min(Math.max(clock.toMs, begin), endMs);
      slice(pid, clockThread(lane), clock.name, 'clock', begin, fromMs);
    }
  };
  return {
    push(event) {
      lastMs = Math.max(lastMs, event.atMs);
      switch (event.type) {
        case 'match-started':
          named('process_name', MATCH, 0, `match ${event.match}`);
          break;
        case 'entered':
          if (event.standIn) standIns.add(event.entry);
          rowOf(event.entry);
          break;
        case 'prepared':
          slice(
            rowOf(event.entry).pid,
            0,
            'prepare',
            'phase',
            event.atMs - event.imageMs,
            event.atMs,
          );
          break;
        case 'round-started':
          put({
            ph: 'i',
            name: `round ${event.round}`,
            cat: 'round',
            pid: MATCH,
            tid: 0,
            ts: micro(event.atMs),
            s: 'g',
          });
          break;
        case 'run-started':
          open.set(event.run, {
            started: event,
            lane: takeLane(event.entry, event.run),
            phases: [],
          });
          break;
        case 'phase':
          open.get(event.run)?.phases.push({ phase: event.phase, atMs: event.atMs });
          break;
        case 'run-ended': {
          const run = open.get(event.run);
          if (run) close(run, event.atMs, event);
          open.delete(event.run);
          break;
        }
        default:
      }
    },
    end() {
      // A run that was cut short by a crash has no end of its own.
      for (const run of open.values()) close(run, lastMs, undefined);
      write(first ? '{"displayTimeUnit":"ms","traceEvents":[]}\n' : '\n]}\n');
    },
  };
}

const clockThread = (lane: number) => 2 * lane + 1;
const phaseThread = (lane: number) => 2 * lane + 2;

/** Rounds to whole nanoseconds; a trace uses µs. */
const micro = (ms: number) => Math.round(ms * 1e6) / 1e3;

function argsOf(started: EventOf<'run-started'>, ended: EventOf<'run-ended'> | undefined) {
  const { round, warmup, level } = started;
  if (!ended) return { round, warmup, level, outcome: 'cut short' };
  const { outcome, place } = ended;
  const why =
    outcome.status === 'failed'
      ? { cause: outcome.cause, message: printable(outcome.message) }
      : {};
  return {
    round,
    warmup,
    level,
    ...(place === undefined ? {} : { place }),
    outcome: outcome.status,
    ...why,
  };
}

interface ClockSlice {
  name: string;
  fromMs: number;
  toMs: number;
}

/** One slice per measured clock. Each of the first four starts where the previous one ended. */
function clockSlices(
  clocks: Clocks,
  launchMs: number,
  collectMs: number | undefined,
  destroyMs: number | undefined,
): ClockSlice[] {
  const slices: ClockSlice[] = [];
  const after = (fromMs: number | undefined, ms: Clocks['launch']) =>
    fromMs === undefined || typeof ms !== 'number' ? undefined : fromMs + ms;
  const add = (name: string, fromMs: number | undefined, toMs: number | undefined) => {
    if (fromMs !== undefined && toMs !== undefined) slices.push({ name, fromMs, toMs });
    return toMs;
  };
  const first = add('runtime start', launchMs, after(launchMs, clocks.firstProcess));
  const request = add('agent boot', first, after(launchMs, clocks.startup));
  const result = add('work', request, after(request, clocks.work));
  add('exit', result, after(result, clocks.exit));
  add('collect', collectMs, after(collectMs, clocks.collect));
  add('teardown', destroyMs, after(destroyMs, clocks.teardown));
  return slices;
}
