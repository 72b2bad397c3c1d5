// Draws which fault strikes which row at which moment, entirely from a seed, so that an episode can
// be replayed.
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Outcome } from '../../lib/record/types.js';
import { MODEL_FAULTS, type ModelFault } from './upstream.js';

type Cause = Extract<Outcome, { status: 'failed' }>['cause'];

export type FaultKind =
  | 'harness killed'
  | 'interrupted'
  | 'client killed'
  | 'sandbox killed'
  | 'agent killed'
  | 'daemon gone'
  | 'daemon silent'
  | 'disk full'
  | 'record disk full'
  | `model ${ModelFault}`;

/** `start` is the start of the harness; the others are the event that begins a phase. */
export const MOMENTS = ['start', 'prepare', 'launch', 'work', 'collect', 'destroy'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface Draw {
  index: number;
  kind: FaultKind;
  /** The row that the fault strikes. */
  entry: string;
  /** Another row of the match, which must be unaffected. */
  other: string;
  moment: Moment;
  /** Which of the row's runs is struck, counted from 1. */
  run: number;
  /** Delay after the moment, in ms. */
  delayMs: number;
  /**
   * `lastsMs`: how long a daemon is away. `fromRequest`: how many requests of the match the model
   * answers before it fails.
   */
  lastsMs: number;
  fromRequest: number;
  /** Seed of the match. */
  seed: number;
  /** Timeout of one run in seconds, and number of rounds, if they differ from the defaults. */
  boundS?: number;
  runs?: number;
}

/**
 * Rows without a client process on this machine, between harness and agent, that could be killed
 * separately.
 */
const WITHOUT_CLIENT = ['host'];
const WITH_DAEMON = ['docker', 'docker:runsc', 'incus'];
/** Rows whose user-space kernel hides the agent's processes from this host. */
const HIDES_AGENT = ['docker:runsc'];
/** Rows whose user's mount namespace is older than the mount of the small disk. */
const SEES_NO_NEW_MOUNT = ['podman:rootless'];
const NO_SANDBOX = ['host'];

const KINDS: {
  kind: FaultKind;
  weight: number;
  moments: readonly Moment[];
  fits(entry: string): boolean;
}[] = [
  { kind: 'harness killed', weight: 10, moments: MOMENTS, fits: () => true },
  { kind: 'interrupted', weight: 3, moments: MOMENTS, fits: () => true },
  {
    kind: 'client killed',
    weight: 4,
    moments: ['launch', 'work'],
    fits: (entry) => !WITHOUT_CLIENT.includes(entry),
  },
  {
    kind: 'sandbox killed',
    weight: 4,
    moments: ['launch', 'work'],
    fits: (entry) => !NO_SANDBOX.includes(entry),
  },
  {
    kind: 'agent killed',
    weight: 3,
    moments: ['work'],
    fits: (entry) => !HIDES_AGENT.includes(entry),
  },
  {
    kind: 'daemon gone',
    weight: 3,
    moments: ['prepare', 'launch', 'work', 'destroy'],
    fits: (entry) => WITH_DAEMON.includes(entry),
  },
  {
    kind: 'daemon silent',
    weight: 3,
    moments: ['launch', 'work', 'destroy'],
    fits: (entry) => WITH_DAEMON.includes(entry),
  },
  {
    kind: 'disk full',
    weight: 2,
    moments: ['launch', 'work'],
    fits: (entry) => !SEES_NO_NEW_MOUNT.includes(entry),
  },
  { kind: 'record disk full', weight: 1, moments: ['launch', 'work', 'destroy'], fits: () => true },
  ...MODEL_FAULTS.map((fault) => ({
    kind: `model ${fault}` as const,
    weight: 1,
    moments: ['start'] as const,
    fits: () => true,
  })),
];

/** @param entries the rows that are ready here */
export function drawFault(seed: number, index: number, entries: readonly string[]): Draw {
  const random = xoroshiro128plus(seed * 100_003 + index);
  const whole = (from: number, to: number) => uniformInt(random, from, to);
  const pick = <T>(list: readonly T[]): T => list[whole(0, list.length - 1)] as T;
  const entry = pick(entries);
  const fitting = KINDS.filter((kind) => kind.fits(entry)).flatMap((kind) =>
    Array.from({ length: kind.weight }, () => kind),
  );
  const { kind, moments } = pick(fitting);
  const moment = pick(moments);
  return {
    index,
    kind,
    entry,
    other:
      entry === 'host' ? (entries.find((candidate) => candidate !== 'host') ?? 'host') : 'host',
    moment,
    run: whole(1, 2),
    delayMs:
      moment === 'start'
        ? whole(0, 1500)
        : moment === 'collect' || moment === 'destroy'
          ? whole(0, 250)
          : whole(0, 900),
    lastsMs: whole(500, 9000),
    fromRequest: whole(0, 5),
    seed: whole(0, 2 ** 31 - 1),
  };
}

/** The failure causes that a struck row may report. Other rows must not fail. */
export function rightCauses({ kind, entry }: Pick<Draw, 'kind' | 'entry'>): readonly Cause[] {
  switch (kind) {
    case 'interrupted':
      return ['interrupted'];
    case 'harness killed':
    case 'record disk full':
      return ['interrupted'];
    case 'agent killed':
      // If the runtime reports only an exit code, a kill from outside cannot be distinguished from
      // one by the kernel.
      return entry === 'host' ? ['agent'] : ['sandbox'];
    case 'client killed':
    case 'sandbox killed':
    case 'daemon gone':
      return ['sandbox'];
    case 'daemon silent':
      // If the daemon came back before the end of the run, only time was lost.
      return ['sandbox', 'timeout'];
    case 'disk full':
      return ['harness'];
    case 'model 401':
      return ['auth'];
    case 'model 429':
      return ['rate-limit'];
    default:
      return ['model'];
  }
}
