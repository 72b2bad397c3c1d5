// The match as a document: a pure fold of its events.
import { type ClockName, type EventOf, eventSchema, type Gap, isGap, type MatchEvent } from '../record.js';
import type { ModeReport, Report } from './document.js';
import { type Summary, summarize } from './statistics.js';

const CLOCKS: ClockName[] = ['image', 'launch', 'firstProcess', 'startup', 'work', 'model', 'exit', 'collect', 'teardown', 'total'];

/** Reads events.jsonl. A last line that a crash cut short is left out; any other broken line is an error. */
export function parseEvents(text: string): MatchEvent[] {
  const lines = text.trimEnd().split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch (error) {
      if (index === lines.length - 1) return [];
      throw new Error(`line ${index + 1} is no JSON`, { cause: error });
    }
    const event = eventSchema.safeParse(parsed);
    if (event.success) return [event.data];
    const version = (parsed as { schemaVersion?: unknown } | null)?.schemaVersion;
    if (version !== undefined && version !== 1)
      throw new Error(`written by another cagematch (schemaVersion ${version}); this one reads 1`);
    throw new Error(`line ${index + 1}: ${event.error.issues[0]?.path.join('.')}: ${event.error.issues[0]?.message}`);
  });
}

export async function buildReport(events: readonly MatchEvent[]): Promise<Report> {
  const of = <T extends MatchEvent['type']>(type: T) => events.filter((event): event is EventOf<T> => event.type === type);
  const [started] = of('match-started');
  if (!started) throw new Error('the record does not begin with match-started');
  const [ended] = of('match-ended');
  const entries = of('entered');
  const detected = of('detected');
  const runs = of('run-ended').filter((run) => !run.warmup);
  const baseline = baselineOf(entries, started.model);

  const modes: ModeReport[] = [];
  for (const { type: _type, atMs: _atMs, ...entry } of entries) {
    const own = runs.filter((run) => run.entry === entry.entry);
    const passed = own.filter((run) => run.outcome.status === 'passed');
    const phases: ModeReport['phasesMs'] = {};
    for (const name of CLOCKS)
      phases[name] = await summarize(
        passed.map((run) => run.clocks[name]).filter((ms) => typeof ms === 'number'),
        started.seed,
      );
    const unprepared = of('unprepared').find((event) => event.entry === entry.entry);
    const last = own.at(-1);
    modes.push({
      ...entry,
      detection: detected.find((event) => event.mode === entry.mode)?.detection ?? {
        status: 'absent',
        reason: 'not detected',
        hint: 'cagematch detect',
      },
      n: own.length,
      passed: passed.length,
      startupMs: phases.startup ?? { gap: 'not-reached' },
      startupRatio: { gap: 'no-baseline' },
      startupDifferenceMs: { gap: 'no-baseline' },
      bootMs: { gap: 'not-captured' },
      taxMs: { gap: 'no-baseline' },
      workRatio: { gap: 'no-baseline' },
      cost: {
        memoryPeakBytes: { gap: 'not-captured' },
        cpuMs: { gap: 'not-captured' },
        imageBytes: { gap: 'not-captured' },
        sandboxBytes: { gap: 'not-captured' },
      },
      outliers: [],
      taxRatio: await tax(runs, entry.entry, baseline, started.seed),
      phasesMs: phases,
      ...imageOf(of('prepared').find((event) => event.entry === entry.entry)),
      imageMs: of('prepared').find((event) => event.entry === entry.entry)?.imageMs ?? { gap: 'not-reached' },
      auth: (passed.at(-1) ?? last)?.auth ?? { gap: 'not-reached' },
      sync: worstSync(own),
      leftovers: allLeftovers(own),
      failures: [
        ...(unprepared ? [{ run: `${entry.entry} prepare`, outcome: unprepared.outcome }] : []),
        ...own.filter((run) => run.outcome.status === 'failed').map((run) => ({ run: run.run, outcome: run.outcome })),
      ],
    });
  }
  const base = modes.find((mode) => mode.entry === baseline)?.startupMs;
  for (const mode of modes) {
    if (base && !isGap(base) && !isGap(mode.startupMs)) mode.startupRatio = mode.startupMs.median / base.median;
  }
  return {
    schemaVersion: 1,
    match: {
      id: started.match,
      startedAt: started.startedAt,
      ...(ended ? { endedAt: ended.endedAt } : {}),
      how: ended?.how ?? 'crashed',
      seed: started.seed,
      runs: started.runs,
      until: started.until,
      rounds: of('round-started').length - started.warmup,
      warmup: started.warmup,
      concurrency: started.concurrency,
      model: started.model,
      modelWhy: started.modelWhy,
      task: started.task,
      state: started.state,
      ...(baseline === undefined ? {} : { baseline }),
      host: started.host,
      versions: Object.fromEntries(
        Object.entries(started.versions).flatMap(([name, version]) => (version === undefined ? [] : [[name, version]])),
      ),
      load: { before: started.load, after: ended?.load },
    },
    modes,
    absent: of('left-out').map(({ type: _type, atMs: _atMs, ...rest }) => rest),
    runs: of('run-ended').map(({ type: _type, atMs: _atMs, ...run }) => run),
    comparisons: await compareAll(
      modes.map((mode) => mode.entry),
      runs,
      started.seed,
    ),
    burst: [],
    recommendation: { pareto: [], dominated: [], breakEven: [], profiles: [], silent: [] },
    gaps: modes.flatMap((mode) =>
      Object.entries({
        startupMs: mode.startupMs,
        startupRatio: mode.startupRatio,
        taxRatio: mode.taxRatio,
        auth: mode.auth,
        sync: mode.sync,
        leftovers: mode.leftovers,
      }).flatMap(([value, held]) => (isGap(held) ? [{ entry: mode.entry, value, gap: held.gap }] : [])),
    ),
    warnings: of('warning').map(({ code, message }) => ({ code, message })),
  };
}

type Run = EventOf<'run-ended'>;

/** Pairs of two rows in the same rounds, both passed. */
function paired(runs: readonly Run[], a: string, b: string, value: (run: Run) => number | undefined): number[] {
  const ratios: number[] = [];
  for (const run of runs) {
    if (run.entry !== a || run.outcome.status !== 'passed') continue;
    const other = runs.find((candidate) => candidate.entry === b && candidate.round === run.round && candidate.outcome.status === 'passed');
    const [top, bottom] = [value(run), other && value(other)];
    if (top !== undefined && bottom !== undefined && bottom > 0) ratios.push(top / bottom);
  }
  return ratios;
}

const withoutModel = ({ clocks }: Run) =>
  typeof clocks.total === 'number' && typeof clocks.model === 'number' ? clocks.total - clocks.model : undefined;
const startupOf = ({ clocks }: Run) => (typeof clocks.startup === 'number' ? clocks.startup : undefined);

const imageOf = (prepared: EventOf<'prepared'> | undefined) => (prepared?.image === undefined ? {} : { image: prepared.image });

/** No isolation; a live match, which leaves that out unless it is asked for, takes the least there is. */
function baselineOf(entries: readonly EventOf<'entered'>[], model: 'replay' | 'live'): string | undefined {
  const order = model === 'live' ? ['none', 'os-sandbox'] : ['none'];
  return order.flatMap((isolation) => entries.filter((entry) => entry.isolation === isolation))[0]?.entry;
}

async function tax(runs: readonly Run[], entry: string, baseline: string | undefined, seed: number): Promise<ModeReport['taxRatio']> {
  if (baseline === undefined) return { gap: 'no-baseline' };
  const ratio = await summarize(paired(runs, entry, baseline, withoutModel), seed);
  return isGap(ratio) ? ratio : { median: ratio.median, ci95: ratio.ci95 };
}

async function compareAll(entries: string[], runs: readonly Run[], seed: number): Promise<Report['comparisons']> {
  const comparisons: Report['comparisons'] = [];
  for (const [index, a] of entries.entries()) {
    for (const b of entries.slice(index + 1)) {
      const ratio: Summary | Gap = await summarize(paired(runs, a, b, startupOf), seed);
      if (isGap(ratio)) continue;
      const separable = isGap(ratio.ci95) ? ratio.ci95 : ratio.ci95[0] > 1 || ratio.ci95[1] < 1;
      comparisons.push({
        a,
        b,
        n: ratio.samples.length,
        ratio: ratio.median,
        ci95: ratio.ci95,
        differenceMs: { median: 0, ci95: { gap: 'not-captured' } },
        separable,
        total: { gap: 'not-captured' },
      });
    }
  }
  return comparisons;
}

/** What is known to be left counts; only where nothing is known of some run, nothing is said. */
function allLeftovers(runs: readonly Run[]): ModeReport['leftovers'] {
  if (runs.length === 0) return { gap: 'not-reached' };
  const known = runs.flatMap((run) => (isGap(run.leftovers) ? [] : run.leftovers));
  return known.length === 0 && runs.some((run) => isGap(run.leftovers)) ? { gap: 'not-reported' } : known;
}

/** One row stands for all of its runs: a direction that failed once did not hold. */
function worstSync(runs: readonly Run[]): ModeReport['sync'] {
  const [first] = runs;
  if (!first) return { gap: 'not-reached' };
  const worst = (way: 'in' | 'out' | 'live') => {
    const seen = runs.map((run) => run.sync[way]);
    return seen.find((one) => one === 'no') ?? seen.find((one) => isGap(one)) ?? first.sync[way];
  };
  return { in: worst('in'), out: worst('out'), live: worst('live') };
}
