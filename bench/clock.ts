// Accuracy of our clocks: compares when launch and teardown end by our clocks with the timestamps
// on the runtime's own events.
import { setTimeout as pause } from 'node:timers/promises';
import { quantile } from 'simple-statistics';
import { parseJson } from '../lib/json.js';
import type { Moments } from '../lib/match/measure.js';
import { type LocalStream, stream } from '../lib/os/stream.js';
import { bundledTask } from '../lib/task/bundled.js';
import { type Field, openField, type Row } from './field.js';
import { type Benchmark, medianOf, type Options, samples, short, type Verdict } from './verdict.js';

type Moment = 'started' | 'gone';
type Stamp = { moment: Moment; name: string; epochMs: number };

/** How to subscribe to a runtime's events, and how to parse one line of them. */
interface Listener {
  argv(match: string): [string, ...string[]];
  read(line: string): Stamp | undefined;
}

const oci = (program: string): Listener => ({
  // Podman prints nothing if only the label's name is filtered, and nothing at all without
  // `--since`.
  argv: (match) => [
    program,
    'events',
    '--since',
    String(Math.floor(Date.now() / 1000)),
    '--filter',
    `label=cagematch.match=${match}`,
    '--format',
    '{{json .}}',
  ],
  read(line) {
    const event = parseJson<
      Record<string, unknown> & { Actor?: { Attributes?: { name?: string } } }
    >(line);
    const what = String(event?.Action ?? event?.Status ?? '');
    const name = event?.Actor?.Attributes?.name ?? event?.Name;
    const moment =
      what === 'start' ? 'started' : what === 'destroy' || what === 'remove' ? 'gone' : undefined;
    if (!moment || typeof name !== 'string') return undefined;
    // Docker reports nanoseconds as a number; Podman a formatted time with nanoseconds.
    const epochMs =
      typeof event?.timeNano === 'number'
        ? event.timeNano / 1e6
        : preciseTime(String(event?.Time ?? ''));
    return { moment, name, epochMs };
  },
});

const incus: Listener = {
  argv: () => ['incus', 'monitor', '--type=lifecycle', '--format=json'],
  read(line) {
    const event = parseJson<{
      timestamp?: string;
      metadata?: { action?: string; source?: string };
    }>(line);
    const name = event?.metadata?.source?.split('/').at(-1)?.split('?')[0];
    const moment = { 'instance-started': 'started', 'instance-deleted': 'gone' }[
      event?.metadata?.action ?? ''
    ] as Moment | undefined;
    return moment && name !== undefined
      ? { moment, name, epochMs: preciseTime(event?.timestamp ?? '') }
      : undefined;
  },
};

const LISTENERS: Record<string, Listener> = {
  docker: oci('docker'),
  'docker:runsc': oci('docker'),
  podman: oci('podman'),
  incus,
};
const LIMIT_MS = 5;

export const benchmark: Benchmark = {
  about: "`launch` and `teardown` within 5 ms (median) of the runtime's own event stamps",
  async run(options) {
    const verdicts: Verdict[] = [];
    for (const [entry, listener] of Object.entries(LISTENERS)) {
      const field = openField(bundledTask('hello'));
      try {
        verdicts.push(...(await compare(field, await field.row(entry), listener, options)));
      } catch (error) {
        options.say(`${entry} is left out: ${error instanceof Error ? error.message : error}`);
      } finally {
        await field.close();
      }
    }
    return verdicts;
  },
};

async function compare(
  field: Field,
  row: Row,
  listener: Listener,
  options: Options,
): Promise<Verdict[]> {
  const n = samples(options, 15);
  const listening = stream(listener.argv(field.matchId), { env: field.around.env, cwd: '/' });
  const stamps = collect(listening, listener);
  // The event stream may not be up before its first event arrives, so the first run is not counted.
  const runs: { name: string; at: Record<Moment, number> }[] = [];
  for (let round = 0; round <= n; round += 1) {
    const name = `cagematch-${field.matchId}-clock-${round}`;
    runs.push({ name, at: await run(field, row, name) });
  }
  // Some clients report events a second late.
  await pause(2000);
  listening.kill();
  const differences: Record<Moment, number[]> = { started: [], gone: [] };
  for (const { name, at } of runs.slice(1))
    for (const moment of ['started', 'gone'] as const) {
      const stamp = stamps.get(`${moment} ${name}`);
      if (stamp !== undefined) differences[moment].push(at[moment] - stamp);
    }
  return [
    await verdict(row.entry, 'launch', differences.started, n),
    await verdict(row.entry, 'teardown', differences.gone, n),
  ];
}

async function verdict(
  entry: string,
  clock: string,
  differences: number[],
  asked: number,
): Promise<Verdict> {
  if (differences.length === 0) throw new Error(`no event of ${clock} was told`);
  const signed = medianOf(differences);
  const { median } = medianOf(differences.map(Math.abs));
  const spread = `${short(quantile(differences, 0.05))} to ${short(quantile(differences, 0.95))}`;
  return {
    name: `${entry} ${clock}, ours later than its stamp`,
    value: median,
    n: differences.length,
    limit: LIMIT_MS,
    unit: ' ms',
    note: `signed median ${short(signed.median)} ms [${signed.ci95?.map(short).join('–') ?? '–'}], 5–95 % ${spread} ms${differences.length < asked ? `; ${asked - differences.length} runs without a stamp` : ''}`,
    samples: { differencesMs: differences },
  };
}

/**
 * Executes one run and returns when launch and teardown ended by our clocks, in ms since the epoch.
 */
async function run(field: Field, row: Row, name: string): Promise<Record<Moment, number>> {
  const at: Moments = {};
  await field.run(row, name, at);
  if (at.running === undefined || at.gone === undefined)
    throw new Error('the run has no end of launch or of teardown');
  const toEpoch = epochOffset();
  return { started: at.running + toEpoch, gone: at.gone + toEpoch };
}

/**
 * The offset from our clock to the time since the epoch, accurate to some hundredths of a
 * millisecond.
 */
function epochOffset(): number {
  // Date.now() has a resolution of 1 ms, but the moment it changes is exact. timeOrigin would miss
  // later adjustments by NTP.
  const from = Date.now();
  while (Date.now() === from);
  return from + 1 - performance.now();
}

function collect(listening: LocalStream, listener: Listener): Map<string, number> {
  const stamps = new Map<string, number>();
  void (async () => {
    for await (const event of listening) {
      const found =
        event.type === 'line' && event.stream === 'stdout' ? listener.read(event.text) : undefined;
      if (found) stamps.set(`${found.moment} ${found.name}`, found.epochMs);
    }
  })();
  return stamps;
}

/** Like Date.parse, but keeps the digits beyond milliseconds. NaN if the text is not a time. */
function preciseTime(text: string): number {
  const fraction = /\.(\d+)/.exec(text)?.[1];
  return (
    Date.parse(text.replace(/\.\d+/, '').replace(/ ([+-]\d{4}) [A-Z]+.*$/, '$1')) +
    (fraction === undefined ? 0 : Number(`0.${fraction}`) * 1000)
  );
}
