// Every run as a line of CSV (RFC 4180), for a spreadsheet or a data frame.
import { type ClockName, type EventOf, isGap, type MatchEvent } from '../../record/types.js';
import { type Cell, csvHead, csvLine } from './csv-cells.js';

/** Receives a match's events and writes text incrementally. */
export interface Exporter {
  push(event: MatchEvent): void;
  end(): void;
}

const CLOCKS: ClockName[] = [
  'image',
  'launch',
  'firstProcess',
  'startup',
  'work',
  'model',
  'exit',
  'collect',
  'teardown',
  'total',
];

type Cells = [name: string, value: Cell][];

/**
 * One line per run, including warm-up and failed runs, which are marked by `warmup` and `outcome`.
 * A value that was not measured is an empty cell, with its cause in the column of the same name
 * plus `_gap`. Times in ms, memory in bytes.
 */
export function createCsv(write: (text: string) => void): Exporter {
  const entries = new Map<string, EventOf<'entered'>>();
  let match = '';
  let headed = false;
  const line = (cells: Cell[]) => write(csvLine(cells));
  const head = (names: string[]) => {
    if (!headed) write(csvHead(names));
    headed = true;
  };
  return {
    push(event) {
      if (event.type === 'match-started') match = event.match;
      if (event.type === 'entered') entries.set(event.entry, event);
      if (event.type !== 'run-ended') return;
      const cells = cellsOf(match, entries.get(event.entry), event);
      head(cells.map(([name]) => name));
      line(cells.map(([, value]) => value));
    },
    end() {
      // A match without runs still gets the column names.
      head(cellsOf(match, undefined, NO_RUN).map(([name]) => name));
    },
  };
}

function cellsOf(
  match: string,
  entry: EventOf<'entered'> | undefined,
  run: EventOf<'run-ended'>,
): Cells {
  const { outcome, clocks, cost, auth, sync } = run;
  const failed = outcome.status === 'failed' ? outcome : undefined;
  const costOf = (name: 'memoryPeakBytes' | 'cpuUserMs' | 'cpuSystemMs') =>
    isGap(cost) ? cost : cost[name];
  return [
    ['match', match],
    ['run', run.run],
    ['entry', run.entry],
    ['mode', entry?.mode],
    ['variant', entry?.variant],
    ['label', entry?.label],
    ['isolation', entry?.isolation],
    ['stand_in', entry?.standIn],
    ['state', entry?.state],
    ['task', entry?.task],
    ['network', entry?.options.network],
    ['tmpfs', entry?.options.tmpfs],
    ['cpus', entry?.options.cpus],
    ['memory_mib', entry?.options.memoryMiB],
    ['target', entry?.options.target],
    [
      'egress',
      entry?.options.egress === undefined ? undefined : [entry.options.egress].flat().join(' '),
    ],
    ['place', run.place],
    ['round', run.round],
    ['warmup', run.warmup],
    ['level', run.level],
    ['outcome', outcome.status],
    ['cause', failed?.cause],
    ['message', failed?.message],
    ['hint', failed?.hint],
    ...CLOCKS.flatMap((name) =>
      orGap(`${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_ms`, clocks[name]),
    ),
    ...orGap('memory_peak_bytes', costOf('memoryPeakBytes')),
    ...orGap('cpu_user_ms', costOf('cpuUserMs')),
    ...orGap('cpu_system_ms', costOf('cpuSystemMs')),
    ['auth_path', auth.path],
    ...orGap('auth_delivered', auth.delivered),
    ...orGap('sync_in', sync.in),
    ...orGap('sync_out', sync.out),
    ...orGap('sync_live', sync.live),
    ...orGap('leftovers', isGap(run.leftovers) ? run.leftovers : run.leftovers.length),
    ...orGap('planted', isGap(run.planted) ? run.planted : run.planted.length),
  ];
}

function orGap(name: string, value: string | number | { gap: string }): Cells {
  return [
    [name, isGap(value) ? undefined : (value as string | number)],
    [`${name}_gap`, isGap(value) ? value.gap : undefined],
  ];
}

const NONE = { gap: 'not-reached' } as const;
/** Placeholder from which only the column names are used. */
const NO_RUN: EventOf<'run-ended'> = {
  type: 'run-ended',
  atMs: 0,
  run: '',
  entry: '',
  round: 0,
  warmup: false,
  level: 1,
  outcome: { status: 'passed' },
  clocks: Object.fromEntries(CLOCKS.map((name) => [name, NONE])) as EventOf<'run-ended'>['clocks'],
  cost: NONE,
  auth: { path: 'env', delivered: NONE },
  sync: { in: NONE, out: NONE, live: NONE },
  leftovers: NONE,
  planted: NONE,
};
