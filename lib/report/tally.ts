// What is kept of one row's runs while a record is read: counts, and numbers in typed arrays, so that a long record fits.
import { type ClockName, type Cost, type EventOf, type Gap, isGap, type Ms } from '../record/types.js';
import { summarizeWaves } from '../statistics/summary.js';
import type { ModeReport, Summary } from './document.js';

export const CLOCKS: ClockName[] = ['image', 'launch', 'firstProcess', 'startup', 'work', 'model', 'exit', 'collect', 'teardown', 'total'];
const COSTS = ['memoryPeakBytes', 'cpuUserMs', 'cpuSystemMs'] as const satisfies (keyof Cost)[];

/** Of this machine around a run. */
const MACHINE = { wallMs: 'wallMs', machineCpuMs: 'cpuMs', stealMs: 'stealMs', otherMs: 'otherMs' } as const;
type MachineQuantity = keyof typeof MACHINE;
const MACHINE_NAMES = Object.keys(MACHINE) as MachineQuantity[];

export type Quantity = ClockName | keyof Cost | MachineQuantity;

/** Numbers in the order in which they came; NaN stands for a gap, whose first cause is kept. */
interface Column {
  push(value: Ms): void;
  values(): Float64Array;
  why(): Gap | undefined;
}

function createColumn(): Column {
  let held = new Float64Array(16);
  let length = 0;
  let why: Gap | undefined;
  return {
    push(value) {
      if (length === held.length) {
        const wider = new Float64Array(length * 2);
        wider.set(held);
        held = wider;
      }
      if (isGap(value)) why ??= value;
      held[length] = isGap(value) ? Number.NaN : value;
      length += 1;
    },
    values: () => held.subarray(0, length),
    why: () => why,
  };
}

/** Of one level of a burst. */
interface LevelTally {
  n: number;
  passed: number;
  startup: Column;
  /** Of each startup, the wave that it was in: its round. */
  wave: Column;
  perMinute: Column;
}

/** Of one level on one of the runtime's machines. */
interface PlaceTally {
  place: string;
  level: number;
  n: number;
  passed: number;
  startup: Column;
  wave: Column;
}

/** Of the runs that count: warm-up left out. Numbers are of runs that passed, one at a time (level 1). */
export interface Tally {
  /** The time a live model was asked is not the sandbox's; a replay answers at once, and whatever it takes is. */
  modelIsApart: boolean;
  n: number;
  passed: number;
  /** Of these n. */
  interrupted: number;
  /** Of these n, those that left something. */
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
  /** Of the passed runs, one place each, in the same order as every quantity's. */
  rounds: number[];
  /** Where in these a round stands; undefined where it did not pass. */
  placeOf(round: number): number | undefined;
  names: string[];
  /** Startup of the first run that was not counted, one at a time; undefined where there was none. */
  firstRun?: Ms;
  quantity(name: Quantity): Float64Array;
  /** Why the first of those that lack one of these lacks it; `not-reached` where no run passed. */
  why(...names: Quantity[]): Gap;
  add(run: EventOf<'run-ended'>): void;
  addWave(wave: EventOf<'wave-ended'>): void;
}

/** A record is long, and an agent may plant much in every run. */
const MOST_TOLD = 1000;

/** @param model of the match */
export function createTally(model: 'replay' | 'live'): Tally {
  const columns = Object.fromEntries([...CLOCKS, ...COSTS, ...MACHINE_NAMES].map((name) => [name, createColumn()])) as Record<
    Quantity,
    Column
  >;
  const known: Exclude<ModeReport['leftovers'], Gap> = [];
  const indexes = new Map<number, number>();
  let someUnknown = false;
  const planted: Exclude<ModeReport['planted'], Gap> = [];
  let unlooked: Gap | undefined;
  let told = false;
  let passedAuth = false;
  const addPlace = (place: string, { level, round, outcome, clocks }: EventOf<'run-ended'>) => {
    const key = JSON.stringify([level, place]);
    const one = tally.places.get(key) ?? { place, level, n: 0, passed: 0, startup: createColumn(), wave: createColumn() };
    tally.places.set(key, one);
    one.n += 1;
    if (outcome.status !== 'passed') return;
    one.passed += 1;
    one.startup.push(clocks.startup);
    one.wave.push(round);
  };
  const tally: Tally = {
    modelIsApart: model === 'live',
    n: 0,
    passed: 0,
    interrupted: 0,
    leftoverRuns: 0,
    auth: { gap: 'not-reached' },
    sync: { gap: 'not-reached' },
    // What is known to be left counts; only where nothing is known of some run, nothing is said.
    leftovers() {
      if (!told) return { gap: 'not-reached' };
      return known.length === 0 && someUnknown ? { gap: 'not-reported' } : known;
    },
    // The same: what was seen counts, and one look that found nothing says nothing of a run that was not looked at.
    planted: () => (planted.length > 0 ? planted : !told ? { gap: 'not-reached' } : (unlooked ?? planted)),
    failures: [],
    bundles: [],
    levels: new Map(),
    levelOf(level) {
      const one = tally.levels.get(level) ?? { n: 0, passed: 0, startup: createColumn(), wave: createColumn(), perMinute: createColumn() };
      tally.levels.set(level, one);
      return one;
    },
    places: new Map(),
    rounds: [],
    placeOf: (round) => indexes.get(round),
    names: [],
    quantity: (name) => columns[name].values(),
    why: (...names) => names.map((name) => columns[name].why()).find((why) => why !== undefined) ?? { gap: 'not-reached' },
    add(run) {
      if (run.warmup) {
        if (run.level === 1 && run.outcome.status === 'passed') tally.firstRun ??= run.clocks.startup;
        return;
      }
      const passed = run.outcome.status === 'passed';
      const level = tally.levelOf(run.level);
      level.n += 1;
      if (passed) level.passed += 1;
      if (passed) level.startup.push(run.clocks.startup);
      if (passed) level.wave.push(run.round);
      if (run.place !== undefined) addPlace(run.place, run);
      // A failure and what is left of a run are told of every level: they are no times that others would disturb.
      if (!passed) tally.failures.push({ run: run.run, outcome: run.outcome });
      told = true;
      if (isGap(run.leftovers)) someUnknown = true;
      else known.push(...run.leftovers);
      if (isGap(run.planted)) unlooked ??= run.planted;
      else for (const one of run.planted) if (planted.length < MOST_TOLD) planted.push({ run: run.run, ...one });
      if (run.bundle !== undefined && tally.bundles.length < MOST_TOLD) tally.bundles.push({ run: run.run, file: run.bundle });
      if (run.level > 1) return;
      tally.n += 1;
      if (run.outcome.status === 'failed' && run.outcome.cause === 'interrupted') tally.interrupted += 1;
      if (!isGap(run.leftovers) && run.leftovers.length > 0) tally.leftoverRuns += 1;
      if (passed || !passedAuth) tally.auth = run.auth;
      passedAuth ||= passed;
      tally.sync = worse(tally.sync, run.sync);
      if (!passed) return;
      tally.passed += 1;
      if (!indexes.has(run.round)) indexes.set(run.round, tally.rounds.length);
      tally.rounds.push(run.round);
      tally.names.push(run.run);
      for (const name of CLOCKS) columns[name].push(run.clocks[name]);
      for (const name of COSTS) columns[name].push(isGap(run.cost) ? run.cost : run.cost[name]);
      const { conditions = { gap: 'not-captured' } } = run;
      for (const name of MACHINE_NAMES) columns[name].push(isGap(conditions) ? conditions : conditions[MACHINE[name]]);
    },
    addWave(wave) {
      if (!wave.warmup && wave.wallMs > 0) tally.levelOf(wave.level).perMinute.push((wave.passed / wave.wallMs) * 60_000);
    },
  };
  return tally;
}

/** One row stands for all of its runs: a direction that failed once did not hold. */
function worse(before: ModeReport['sync'], run: EventOf<'run-ended'>['sync']): ModeReport['sync'] {
  if (isGap(before)) return run;
  const worst = <Way extends 'in' | 'out' | 'live'>(way: Way) => {
    if (before[way] === 'no' || run[way] === 'no') return 'no';
    return isGap(before[way]) ? before[way] : run[way];
  };
  return { in: worst('in'), out: worst('out'), live: worst('live') };
}

export const measured = (values: ArrayLike<number>): Float64Array => Float64Array.from(values).filter((value) => !Number.isNaN(value));

/** One number a run from two: NaN where either is. */
export function combined(a: Float64Array, b: Float64Array, how: (a: number, b: number) => number): Float64Array {
  return a.map((value, place) => how(value, b[place] as number));
}

/** Startups of one level: those of one wave belong together. */
export function ofWaves(startup: Column, wave: Column, seed: number): Summary | Gap {
  const [values, waves] = [startup.values(), wave.values()];
  const known = [...values.keys()].filter((at) => !Number.isNaN(values[at] as number));
  const pick = (all: Float64Array) => Float64Array.from(known, (at) => all[at] as number);
  return summarizeWaves(pick(values), pick(waves), seed, startup.why());
}
