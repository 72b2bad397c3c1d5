// Rows of a match that never was: numbers of the right shape, the same on every machine.
import type { Gap } from '../../lib/record/types.js';
import type { ModeReport, Summary } from '../../lib/report/document.js';

export const gap = (cause: Gap['gap']): Gap => ({ gap: cause });
export const TOO_FEW = gap('too-few-runs');

/** The same row of numbers on every machine, -1 to 1. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state / 2147483648) * 2 - 1;
  };
}

function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] as number;
  return low + ((sorted[Math.ceil(at)] as number) - low) * (at % 1);
}

/** Not the project's statistics: round numbers that have the right shape. */
export function summary(samples: number[]): Summary {
  const [low, median, high] = [
    quantile(samples, 0.3),
    quantile(samples, 0.5),
    quantile(samples, 0.7),
  ];
  return {
    median,
    ci95: samples.length < 6 ? TOO_FEW : [low, high],
    min: Math.min(...samples),
    max: Math.max(...samples),
    p95: samples.length < 59 ? TOO_FEW : quantile(samples, 0.95),
    p95Below: samples.length < 59 ? TOO_FEW : Math.max(...samples),
    p99: TOO_FEW,
    p99Below: TOO_FEW,
    samples,
  };
}

export const summaryAround = (centre: number, n: number, seed: number, spread = 0.06): Summary => {
  const random = noise(seed);
  return summary(
    Array.from({ length: n }, () =>
      Math.max(0, centre * (1 + spread * random() * random() + spread * 0.4 * random())),
    ),
  );
};

interface Shape {
  letter?: string;
  title: string;
  isolation: ModeReport['isolation'];
  firstProcess: number;
  boot: number;
  work: number;
  exit: number;
  teardown: number;
}

export function row(entry: string, n: number, seed: number, shape: Shape): ModeReport {
  const [mode = entry, variant] = entry.split(':');
  const startup = shape.firstProcess + shape.boot;
  const total = startup + shape.work + shape.exit + shape.teardown;
  return {
    entry,
    mode,
    ...(variant === undefined ? {} : { variant }),
    options: {},
    state: 'prepared',
    task: 'hello',
    letter: shape.letter ?? 'A',
    title: shape.title,
    isolation: shape.isolation,
    workspace: 'bind',
    required: false,
    standIn: false,
    detection: {
      status: 'ready',
      version: '20.10.24+dfsg1',
      facts: { storage: 'overlay2', 'OCI runtime': 'runc 1.1.5', rootless: false },
    },
    image: 'sha256:0f3c1d9e5b7a64c2a9c1be0c5d0e7d36f1a24c8be0aa4be1f5f0c9d3a7e4b812',
    n,
    passed: n,
    interrupted: 0,
    successCi95: [0.7, 1],
    startupMs: summaryAround(startup, n, seed),
    startupRatio: { median: startup / 407, ci95: [startup / 420, startup / 395] },
    startupDifferenceMs: { median: startup - 407, ci95: [startup - 420, startup - 395] },
    bootMs: summaryAround(shape.boot, n, seed + 1),
    taxRatio: { median: total / 602, ci95: [total / 620, total / 590] },
    taxMs: { median: total - 602, ci95: [total - 620, total - 590] },
    workRatio: { median: shape.work / 161, ci95: TOO_FEW },
    phasesMs: {
      image: gap('not-applicable'),
      launch: summaryAround(shape.firstProcess + 3, n, seed + 2),
      firstProcess: summaryAround(shape.firstProcess, n, seed + 3),
      startup: summaryAround(startup, n, seed),
      work: summaryAround(shape.work, n, seed + 4),
      model: summaryAround(3, n, seed + 5),
      exit: summaryAround(shape.exit, n, seed + 6),
      collect: summaryAround(0.4, n, seed + 7),
      teardown: summaryAround(shape.teardown, n, seed + 8),
      total: summaryAround(total * 1.01, n, seed + 9),
    },
    imageMs: 180 + seed,
    cost: {
      memoryPeakBytes: summaryAround(2.9e8 + 1e6 * seed, n, seed + 10),
      cpuMs: summaryAround(total * 1.4, n, seed + 11),
      imageBytes: 1.21e9,
      sandboxBytes: 31_000 + 1000 * seed,
    },
    outliers: [],
    auth: { path: 'env', delivered: 'authorization (oauth)' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftoverRuns: 0,
    leftovers: [],
    planted: [],
    failures: [],
    bundles: [],
  };
}

/** A row of which nothing but its failure to be prepared is known. */
export function unprepared(entry: string): ModeReport {
  const missing = gap('not-reached');
  const known = row(entry, 1, 1, {
    letter: 'D',
    title: 'Incus',
    isolation: 'microvm',
    firstProcess: 1,
    boot: 1,
    work: 1,
    exit: 1,
    teardown: 1,
  });
  const { image, ...rest } = known;
  return {
    ...rest,
    n: 0,
    passed: 0,
    startupMs: missing,
    startupRatio: missing,
    startupDifferenceMs: missing,
    bootMs: missing,
    taxRatio: missing,
    taxMs: missing,
    workRatio: missing,
    phasesMs: Object.fromEntries(Object.keys(known.phasesMs).map((name) => [name, missing])),
    imageMs: missing,
    cost: { memoryPeakBytes: missing, cpuMs: missing, imageBytes: missing, sandboxBytes: missing },
    auth: missing,
    sync: missing,
    leftovers: missing,
    planted: missing,
    failures: [
      {
        run: `${entry} prepare`,
        outcome: {
          status: 'failed',
          cause: 'image',
          message: 'vhost_vsock is not there: no VM boots here',
          hint: 'modprobe vhost_vsock',
        },
      },
    ],
  };
}
