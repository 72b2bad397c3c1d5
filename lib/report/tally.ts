// What is kept of one row's runs while a record is read: counts, and numbers in typed arrays, so
// that a long record fits into memory.
import {
  type ClockName,
  type Cost,
  type EventOf,
  type Gap,
  isGap,
  type Ms,
} from '../record/types.js';
import { summarizeWaves } from '../statistics/summary.js';
import type { ModeReport, Summary } from './document.js';

export const CLOCKS: ClockName[] = [
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
const COSTS = ['memoryPeakBytes', 'cpuUserMs', 'cpuSystemMs'] as const satisfies (keyof Cost)[];

/** Activity of this machine around a run. */
const MACHINE = {
  wallMs: 'wallMs',
  machineCpuMs: 'cpuMs',
  stealMs: 'stealMs',
  otherMs: 'otherMs',
} as const;
type MachineQuantity = keyof typeof MACHINE;
const MACHINE_NAMES = Object.keys(MACHINE) as MachineQuantity[];

export type Quantity = ClockName | keyof Cost | MachineQuantity;

/**
 * Numbers in the order in which they arrived. NaN represents a gap; the cause of the first gap is
 * kept.
 */
interface Column {
  push(value: Ms): void;
  values(): Float64Array;
  why(): Gap | undefined;
}

function createColumn(): Column {
  let numbers = new Float64Array(16);
  let length = 0;
  let why: Gap | undefined;
  return {
    push(value) {
      if (length === numbers.length) {
        const wider = new Float64Array(length * 2);
        wider.set(numbers);
        numbers = wider;
      }
      if (isGap(value)) why ??= value;
      numbers[length] = isGap(value) ? Number.NaN : value;
      length += 1;
    },
    values: () => numbers.subarray(0, length),
    why: () => why,
  };
}

/** Runs of one level of a burst. */
interface LevelTally {
  n: number;
  passed: number;
  startup: Column;
  /** For each startup the wave that contains it, identified by its round. */
  wave: Column;
  perMinute: Column;
}

/** Runs of one level on one of the runtime's machines. */
interface PlaceTally {
  place: string;
  level: number;
  n: number;
  passed: number;
  startup: Column;
  wave: Column;
}

/**
 * Counted runs, which excludes warm-up. Numbers are from runs that passed and that ran one at a
 * time (level 1).
 */
export interface Tally {
  /**
   * True if model time is excluded: a live model's time is not the sandbox's. A replay answers at
   * once, so its time is the sandbox's.
   */
  modelIsApart: boolean;
  n: number;
  passed: number;
  /** How many of these n runs were interrupted. */
  interrupted: number;
  /** How many of these n runs left something behind. */
  leftoverRuns: number;
  auth: ModeReport['auth'];
  sync: ModeReport['sync'];
  leftovers(): ModeReport['leftovers'];
  planted(): ModeReport['planted'];
  failures: ModeReport['failures'];
  bundles: ModeReport['bundles'];
  levels: Map<number, LevelTally>;
  levelOf(level: number): LevelTally;
  places: Map<string, PlaceTally>;
  /**
   * Rounds of the passed runs, one element per run, in the same order as every quantity's values.
   */
  rounds: number[];
  /** Index of a round in `rounds`; undefined if no run passed in it. */
  placeOf(round: number): number | undefined;
  names: string[];
  /** Startup of the first warm-up run at level 1 that passed; undefined if there was none. */
  firstRun?: Ms;
  quantity(name: Quantity): Float64Array;
  /**
   * Cause of the first gap in the first of these quantities that has one; `not-reached` if there is
   * none.
   */
  why(...names: Quantity[]): Gap;
  add(run: EventOf<'run-ended'>): void;
  addWave(wave: EventOf<'wave-ended'>): void;
}

/**
 * Limit for planted files and bundles: a record may be long, and an agent may plant many files in
 * every run.
 */
const MOST_TOLD = 1000;

/** @param model the match's model */
export function createTally(model: 'replay' | 'live'): Tally {
  const columns = Object.fromEntries(
    [...CLOCKS, ...COSTS, ...MACHINE_NAMES].map((name) => [name, createColumn()]),
  ) as Record<Quantity, Column>;
  const known: Exclude<ModeReport['leftovers'], Gap> = [];
  const indexes = new Map<number, number>();
  let someUnknown = false;
  const planted: Exclude<ModeReport['planted'], Gap> = [];
  let unlooked: Gap | undefined;
  let sawAnyRun = false;
  let passedAuth = false;
  const addToLevel = ({ level: number, round, outcome, clocks }: EventOf<'run-ended'>) => {
    const level = tally.levelOf(number);
    level.n += 1;
    if (outcome.status !== 'passed') return;
    level.passed += 1;
    level.startup.push(clocks.startup);
    level.wave.push(round);
  };
  const addPlace = (place: string, { level, round, outcome, clocks }: EventOf<'run-ended'>) => {
    const key = JSON.stringify([level, place]);
    const row = tally.places.get(key) ?? {
      place,
      level,
      n: 0,
      passed: 0,
      startup: createColumn(),
      wave: createColumn(),
    };
    tally.places.set(key, row);
    row.n += 1;
    if (outcome.status !== 'passed') return;
    row.passed += 1;
    row.startup.push(clocks.startup);
    row.wave.push(round);
  };
  const addFindings = (run: EventOf<'run-ended'>) => {
    sawAnyRun = true;
    if (isGap(run.leftovers)) someUnknown = true;
    else known.push(...run.leftovers);
    if (isGap(run.planted)) unlooked ??= run.planted;
    else
      for (const file of run.planted)
        if (planted.length < MOST_TOLD) planted.push({ run: run.run, ...file });
    if (run.bundle !== undefined && tally.bundles.length < MOST_TOLD)
      tally.bundles.push({ run: run.run, file: run.bundle });
  };
  const addCounts = (run: EventOf<'run-ended'>, passed: boolean) => {
    tally.n += 1;
    if (run.outcome.status === 'failed' && run.outcome.cause === 'interrupted')
      tally.interrupted += 1;
    if (!isGap(run.leftovers) && run.leftovers.length > 0) tally.leftoverRuns += 1;
    if (passed || !passedAuth) tally.auth = run.auth;
    passedAuth ||= passed;
    tally.sync = worse(tally.sync, run.sync);
  };
  const addNumbers = (run: EventOf<'run-ended'>) => {
    tally.passed += 1;
    if (!indexes.has(run.round)) indexes.set(run.round, tally.rounds.length);
    tally.rounds.push(run.round);
    tally.names.push(run.run);
    for (const name of CLOCKS) columns[name].push(run.clocks[name]);
    for (const name of COSTS) columns[name].push(isGap(run.cost) ? run.cost : run.cost[name]);
    const { conditions = { gap: 'not-captured' } } = run;
    for (const name of MACHINE_NAMES)
      columns[name].push(isGap(conditions) ? conditions : conditions[MACHINE[name]]);
  };
  const tally: Tally = {
    modelIsApart: model === 'live',
    n: 0,
    passed: 0,
    interrupted: 0,
    leftoverRuns: 0,
    auth: { gap: 'not-reached' },
    sync: { gap: 'not-reached' },
    // Known leftovers are reported; the result is a gap only if there are none and some run's
    // leftovers are unknown.
    leftovers() {
      if (!sawAnyRun) return { gap: 'not-reached' };
      return known.length === 0 && someUnknown ? { gap: 'not-reported' } : known;
    },
    // As above: report what was found; "none" only if every run was checked.
    planted: () =>
      planted.length > 0 ? planted : !sawAnyRun ? { gap: 'not-reached' } : (unlooked ?? planted),
    failures: [],
    bundles: [],
    levels: new Map(),
    levelOf(level) {
      const found = tally.levels.get(level) ?? {
        n: 0,
        passed: 0,
        startup: createColumn(),
        wave: createColumn(),
        perMinute: createColumn(),
      };
      tally.levels.set(level, found);
      return found;
    },
    places: new Map(),
    rounds: [],
    placeOf: (round) => indexes.get(round),
    names: [],
    quantity: (name) => columns[name].values(),
    why: (...names) =>
      names.map((name) => columns[name].why()).find((why) => why !== undefined) ?? {
        gap: 'not-reached',
      },
    add(run) {
      if (run.warmup) {
        if (run.level === 1 && run.outcome.status === 'passed')
          tally.firstRun ??= run.clocks.startup;
        return;
      }
      const passed = run.outcome.status === 'passed';
      addToLevel(run);
      if (run.place !== undefined) addPlace(run.place, run);
      // Failures and leftovers of all levels are included: unlike times, they are not distorted by
      // concurrent runs.
      if (!passed) tally.failures.push({ run: run.run, outcome: run.outcome });
      addFindings(run);
      if (run.level > 1) return;
      addCounts(run, passed);
      if (passed) addNumbers(run);
    },
    addWave(wave) {
      if (!wave.warmup && wave.wallMs > 0)
        tally.levelOf(wave.level).perMinute.push((wave.passed / wave.wallMs) * 60_000);
    },
  };
  return tally;
}

/** One value represents all runs of a row: a direction that failed once counts as failed. */
function worse(before: ModeReport['sync'], run: EventOf<'run-ended'>['sync']): ModeReport['sync'] {
  if (isGap(before)) return run;
  const worst = <Way extends 'in' | 'out' | 'live'>(way: Way) => {
    if (before[way] === 'no' || run[way] === 'no') return 'no';
    return isGap(before[way]) ? before[way] : run[way];
  };
  return { in: worst('in'), out: worst('out'), live: worst('live') };
}

/** The values without gaps. */
export const measured = (values: ArrayLike<number>): Float64Array =>
  Float64Array.from(values).filter((value) => !Number.isNaN(value));

/** Combines two numbers per run into one: NaN if either is. */
export function combined(
  a: Float64Array,
  b: Float64Array,
  how: (a: number, b: number) => number,
): Float64Array {
  return a.map((value, place) => how(value, b[place] as number));
}

/** Summary of the startups of one level, in which the startups of one wave are not independent. */
export function ofWaves(startup: Column, wave: Column, seed: number): Summary | Gap {
  const [values, waves] = [startup.values(), wave.values()];
  const known = [...values.keys()].filter((at) => !Number.isNaN(values[at] as number));
  const pick = (all: Float64Array) => Float64Array.from(known, (at) => all[at] as number);
  return summarizeWaves(pick(values), pick(waves), seed, startup.why());
}
