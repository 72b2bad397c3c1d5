// One row of the report: everything about one entry of a match.
import type { Entry, EventOf, Gap } from '../record/types.js';
import { wilson } from '../statistics/inference.js';
import { fences, summarize } from '../statistics/summary.js';
import { machineOf } from './circumstances.js';
import type { ModeReport, Summary } from './document.js';
import {
  pairedDifference,
  pairedRatio,
  pairUp,
  type Series,
  startup,
  withoutModel,
  workWithoutModel,
} from './pairs.js';
import { CLOCKS, combined, measured, type Quantity, type Tally } from './tally.js';

interface RowContext {
  seed: number;
  /** Tally of the row that this one is compared with; its own if it is the baseline. */
  baseline: Tally | undefined;
  detection: ModeReport['detection'];
  prepared: EventOf<'prepared'> | undefined;
  unprepared: EventOf<'unprepared'> | undefined;
  appraised: EventOf<'appraised'> | undefined;
  cores: number;
}

const NO_BASELINE: Gap = { gap: 'no-baseline' };
const NOT_CAPTURED: Gap = { gap: 'not-captured' };

export function rowOf(entry: Entry, tally: Tally, context: RowContext): ModeReport {
  const { seed, baseline, detection, prepared, unprepared, appraised, cores } = context;
  const { disk, guest } = appraised ?? {};
  const machine = machineOf(tally, cores);
  const summaryOf = (values: Float64Array, ...from: Quantity[]) =>
    summarize(measured(values), seed, tally.why(...from));
  const phasesMs = Object.fromEntries(
    CLOCKS.map((name) => [name, summaryOf(tally.quantity(name), name)]),
  );
  const model: Quantity[] = tally.modelIsApart ? ['model'] : [];
  const ratioOf = (series: Series, ...from: Quantity[]) =>
    baseline
      ? pairedRatio(pairUp(tally, baseline, series).ratios, tally.why(...from))
      : NO_BASELINE;
  const differenceOf = (series: Series, ...from: Quantity[]) =>
    baseline
      ? pairedDifference(pairUp(tally, baseline, series).differences, tally.why(...from))
      : NO_BASELINE;
  return {
    ...entry,
    detection,
    ...(prepared?.image === undefined ? {} : { image: prepared.image }),
    ...(prepared?.content === undefined ? {} : { content: prepared.content }),
    n: tally.n,
    passed: tally.passed,
    interrupted: tally.interrupted,
    successCi95: wilson({ passed: tally.passed, n: tally.n - tally.interrupted }),
    startupMs: phasesMs.startup as Summary | Gap,
    startupRatio: ratioOf(startup, 'startup'),
    startupDifferenceMs: differenceOf(startup, 'startup'),
    ...(tally.firstRun === undefined ? {} : { firstRunMs: tally.firstRun }),
    bootMs: summaryOf(
      combined(
        tally.quantity('startup'),
        tally.quantity('firstProcess'),
        (whole, first) => whole - first,
      ),
      'startup',
      'firstProcess',
    ),
    taxRatio: ratioOf(withoutModel, 'total', ...model),
    taxMs: differenceOf(withoutModel, 'total', ...model),
    workRatio: ratioOf(workWithoutModel, 'work', ...model),
    phasesMs,
    imageMs: prepared?.imageMs ?? { gap: 'not-reached' },
    cost: {
      memoryPeakBytes: summaryOf(tally.quantity('memoryPeakBytes'), 'memoryPeakBytes'),
      cpuMs: summaryOf(
        combined(
          tally.quantity('cpuUserMs'),
          tally.quantity('cpuSystemMs'),
          (user, system) => user + system,
        ),
        'cpuUserMs',
        'cpuSystemMs',
      ),
      imageBytes: disk?.imageBytes ?? NOT_CAPTURED,
      sandboxBytes: disk?.sandboxBytes ?? NOT_CAPTURED,
    },
    ...(machine === undefined
      ? {}
      : {
          machine: { cpuMs: summaryOf(tally.quantity('machineCpuMs'), 'machineCpuMs'), ...machine },
        }),
    ...(guest === undefined ? {} : { guest }),
    outliers: outliers(tally),
    auth: tally.auth,
    sync: tally.sync,
    leftovers: tally.leftovers(),
    leftoverRuns: tally.leftoverRuns,
    planted: tally.planted(),
    failures: [
      ...(unprepared ? [{ run: `${entry.entry} prepare`, outcome: unprepared.outcome }] : []),
      ...tally.failures,
    ],
    bundles: tally.bundles,
  };
}

/** Outliers are listed but kept in every number, because an outlier is a finding too. */
function outliers(tally: Tally): ModeReport['outliers'] {
  const values = tally.quantity('startup');
  const bounds = fences(measured(values));
  if (!bounds) return [];
  return tally.names.flatMap((run, place) => {
    const ms = values[place] as number;
    return ms < bounds[0] || ms > bounds[1] ? [{ run, ms }] : [];
  });
}
