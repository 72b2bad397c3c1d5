// A report of a match that never was: every kind of row, gap and trouble that a page has to show.

import type { Gap } from '../lib/record.js';
import type { ModeReport, Report, Summary } from '../lib/report/document.js';

const gap = (cause: Gap['gap']): Gap => ({ gap: cause });
const TOO_FEW = gap('too-few-runs');

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
  const [low, median, high] = [quantile(samples, 0.3), quantile(samples, 0.5), quantile(samples, 0.7)];
  return {
    median,
    ci95: samples.length < 3 ? TOO_FEW : [low, high],
    min: Math.min(...samples),
    max: Math.max(...samples),
    p95: samples.length < 20 ? TOO_FEW : quantile(samples, 0.95),
    p99: TOO_FEW,
    samples,
  };
}

const around = (centre: number, n: number, seed: number, spread = 0.06): Summary => {
  const random = noise(seed);
  return summary(Array.from({ length: n }, () => Math.max(0, centre * (1 + spread * random() * random() + spread * 0.4 * random()))));
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

function row(entry: string, n: number, seed: number, shape: Shape): ModeReport {
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
    detection: { status: 'ready', version: '20.10.24+dfsg1', facts: { storage: 'overlay2', 'OCI runtime': 'runc 1.1.5', rootless: false } },
    image: 'sha256:0f3c1d9e5b7a64c2a9c1be0c5d0e7d36f1a24c8be0aa4be1f5f0c9d3a7e4b812',
    n,
    passed: n,
    startupMs: around(startup, n, seed),
    startupRatio: startup / 407,
    startupDifferenceMs: { median: startup - 407, ci95: [startup - 420, startup - 395] },
    bootMs: around(shape.boot, n, seed + 1),
    taxRatio: { median: total / 602, ci95: [total / 620, total / 590] },
    taxMs: { median: total - 602, ci95: [total - 620, total - 590] },
    workRatio: { median: shape.work / 161, ci95: TOO_FEW },
    phasesMs: {
      image: gap('not-applicable'),
      launch: around(shape.firstProcess + 3, n, seed + 2),
      firstProcess: around(shape.firstProcess, n, seed + 3),
      startup: around(startup, n, seed),
      work: around(shape.work, n, seed + 4),
      model: around(3, n, seed + 5),
      exit: around(shape.exit, n, seed + 6),
      collect: around(0.4, n, seed + 7),
      teardown: around(shape.teardown, n, seed + 8),
      total: around(total * 1.01, n, seed + 9),
    },
    imageMs: 180 + seed,
    cost: {
      memoryPeakBytes: around(2.9e8 + 1e6 * seed, n, seed + 10),
      cpuMs: around(total * 1.4, n, seed + 11),
      imageBytes: 1.21e9,
      sandboxBytes: 31_000 + 1000 * seed,
    },
    outliers: [],
    auth: { path: 'env', delivered: 'authorization (oauth)' },
    sync: { in: 'yes', out: 'yes', live: 'yes' },
    leftovers: [],
    failures: [],
  };
}

/** A row of which nothing but its failure to be prepared is known. */
function unprepared(entry: string): ModeReport {
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
  const { image: _image, ...rest } = known;
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
    failures: [
      {
        run: `${entry} prepare`,
        outcome: { status: 'failed', cause: 'image', message: 'vhost_vsock is not there: no VM boots here', hint: 'modprobe vhost_vsock' },
      },
    ],
  };
}

/** Seven rows. @param n rounds */
export function sampleReport(n = 10, { burst = true } = {}): Report {
  const host = row('host', n, 11, {
    letter: '-',
    title: 'Host',
    isolation: 'none',
    firstProcess: 4,
    boot: 403,
    work: 161,
    exit: 33,
    teardown: 2,
  });
  const docker = row('docker', n, 23, {
    title: 'Docker',
    isolation: 'container',
    firstProcess: 205,
    boot: 407,
    work: 181,
    exit: 115,
    teardown: 0,
  });
  const runsc = row('docker:runsc', n, 31, {
    title: 'Docker',
    isolation: 'user-kernel',
    firstProcess: 197,
    boot: 1332,
    work: 668,
    exit: 125,
    teardown: 0,
  });
  const podman = row('podman', n, 47, {
    title: 'Podman',
    isolation: 'container',
    firstProcess: 190,
    boot: 406,
    work: 173,
    exit: 245,
    teardown: 0,
  });
  const incus = row('incus', n, 59, {
    letter: 'D',
    title: 'Incus',
    isolation: 'system-container',
    firstProcess: 249,
    boot: 680,
    work: 236,
    exit: 35,
    teardown: 753,
  });
  const fly = row('fly', n, 67, {
    letter: 'C',
    title: 'Fly.io',
    isolation: 'remote-vm',
    firstProcess: 800,
    boot: 700,
    work: 300,
    exit: 60,
    teardown: 200,
  });
  const vm = unprepared('incus:vm');
  host.cost.imageBytes = gap('not-applicable');
  host.cost.sandboxBytes = gap('not-applicable');
  const { image: _image, ...hostRow } = host;
  Object.assign(fly, {
    standIn: true,
    workspace: 'copy',
    sync: { in: 'yes', out: 'yes', live: 'no' },
    auth: { path: 'remote-secret', delivered: gap('not-reported') },
    bootMs: gap('not-reported'),
    cost: {
      memoryPeakBytes: gap('other-machine'),
      cpuMs: gap('other-machine'),
      imageBytes: gap('not-captured'),
      sandboxBytes: gap('not-attributable'),
    },
  });
  fly.phasesMs.firstProcess = gap('not-reported');
  if (n > 5 && typeof docker.startupMs === 'object' && !('gap' in docker.startupMs)) {
    const far = [...docker.startupMs.samples];
    far[1] = 912.4;
    far[n - 1] = 1004.9;
    docker.startupMs = summary(far);
    docker.outliers = [
      { run: 'docker#2', ms: 912.4 },
      { run: `docker#${n}`, ms: 1004.9 },
    ];
  }
  podman.n = n + 2;
  podman.leftovers = [
    { kind: 'container', id: 'cagematch-1' },
    { kind: 'container', id: 'cagematch-2' },
  ];
  podman.failures = [
    { run: 'podman#3', outcome: { status: 'failed', cause: 'timeout', message: 'no result after 120 s', hint: '--timeout 300' } },
    {
      run: 'podman#4',
      outcome: { status: 'failed', cause: 'sandbox', message: 'podman run ended with exit code 125: netavark: no such bridge' },
    },
  ];
  podman.options = { network: 'none', tmpfs: true, memoryMiB: 2048 };
  incus.state = 'warm';
  const modes: ModeReport[] = [hostRow, docker, runsc, podman, incus, fly, vm];
  return {
    schemaVersion: 1,
    match: {
      id: '20261121-051031-fd17',
      startedAt: '2026-11-21T05:10:31.412Z',
      endedAt: '2026-11-21T05:12:07.003Z',
      how: 'done',
      seed: 1049924677,
      runs: n,
      until: 'count',
      rounds: n,
      warmup: 1,
      concurrency: burst ? 8 : 1,
      model: 'replay',
      modelWhy: 'no credential was given, so the answers are replayed',
      task: 'hello',
      state: 'prepared',
      baseline: 'host',
      host: {
        cpu: 'Intel(R) Xeon(R) Processor @ 2.10GHz',
        cores: 2,
        memoryGiB: 23.5,
        kernel: '6.18.44',
        os: 'Debian GNU/Linux 12 (bookworm)',
        cgroup: 'v1 hybrid',
        virtualization: 'vm',
      },
      versions: { cagematch: '0.1.0', agent: '2.1.329', node: 'v20.20.2', commit: '901bc31d0f5a' },
      load: { before: [0.11, 0.3, 0.87], after: [1.92, 1.14, 0.98] },
    },
    modes,
    absent: [
      {
        entry: 'docker-sandbox',
        letter: 'B',
        title: 'Docker Sandbox',
        status: 'absent',
        reason: 'no sbx command on PATH, and the docker here has no sandbox plugin',
        hint: 'curl -fsSL https://get.docker.com | sudo REPO_ONLY=1 sh && sudo apt-get install docker-sbx (Ubuntu 24.04+, KVM)',
      },
    ],
    runs: [],
    comparisons: comparisonsOf(modes, n),
    burst: burst
      ? [curve('docker', 70, 4), curve('podman', 58, 2, true), curve('docker:runsc', 24, undefined), curve('fly', 40, undefined)]
      : [],
    recommendation: {
      pareto: ['host', 'docker', 'docker:runsc'],
      dominated: [{ entry: 'incus', by: 'docker' }],
      breakEven: [
        { entry: 'docker', against: 'host', kind: 'negligible', workMs: 4100 },
        { entry: 'docker', against: 'podman', kind: 'overtakes', workMs: 61_300 },
      ],
      profiles: [
        {
          profile: 'short tasks',
          sentence: 'docker starts 205 ms [196–214] after host, and nothing with walls starts sooner.',
          rows: ['docker', 'host'],
        },
        {
          profile: 'long tasks',
          sentence: 'After 4.1 s of work the startup of docker is less than 5 % of it: choose by isolation.',
          rows: ['docker'],
        },
        {
          profile: 'many in parallel',
          sentence: 'docker finishes 71 runs a minute at 4 at once, more than any other row.',
          rows: ['docker', 'podman'],
        },
      ],
      silent: [{ profile: 'hostile code', why: 'no row with a kernel of its own passed, other than stand-ins' }],
    },
    gaps: [
      ...Object.keys(vm.phasesMs).map((value) => ({ entry: 'incus:vm', value, gap: 'not-reached' })),
      { entry: 'fly', value: 'cost.memoryPeakBytes', gap: 'other-machine' },
      { entry: 'fly', value: 'cost.cpuMs', gap: 'other-machine' },
      { entry: 'fly', value: 'cost.sandboxBytes', gap: 'not-attributable' },
      { entry: 'host', value: 'cost.imageBytes', gap: 'not-applicable' },
    ],
    warnings: [{ code: 'busy', message: 'the load was 1.92 on 2 cores when the match ended: something else ran beside it' }],
  };
}

function comparisonsOf(modes: readonly ModeReport[], n: number): Report['comparisons'] {
  const rows = modes.flatMap((mode) => ('gap' in mode.startupMs ? [] : [{ entry: mode.entry, ms: mode.startupMs.median }]));
  return rows.flatMap((a, index) =>
    rows.slice(index + 1).map((b) => {
      const ratio = a.ms / b.ms;
      const ci95: [number, number] = [ratio * 0.95, ratio * 1.04];
      const differenceMs = { median: a.ms - b.ms, ci95: [a.ms - b.ms - 20, a.ms - b.ms + 18] as [number, number] };
      if (n < 6)
        return {
          a: a.entry,
          b: b.entry,
          n,
          ratio,
          ci95: TOO_FEW,
          differenceMs: { median: a.ms - b.ms, ci95: TOO_FEW },
          separable: TOO_FEW,
          total: TOO_FEW,
        };
      const separable = ci95[0] > 1 || ci95[1] < 1;
      return {
        a: a.entry,
        b: b.entry,
        n,
        ratio,
        ci95,
        differenceMs,
        separable,
        total: b.entry === 'fly' ? gap('not-reported') : { ratio: ratio * 1.1, ci95, differenceMs, separable },
      };
    }),
  );
}

function curve(entry: string, most: number, stopsAt: number | undefined, fails = false): Report['burst'][number] {
  const levels = [1, 2, 4, 8].slice(0, fails ? 3 : 4);
  return {
    entry,
    levels: levels.map((level, index) => {
      const n = level * 5;
      const rate = most * (1 - 0.55 ** (index + 1));
      return {
        level,
        n,
        passed: fails && level === 4 ? n - 3 : n,
        runsPerMinute: around(rate, 5, level, 0.2),
        startupMs: fails && level === 4 ? gap('not-reached') : around(300 + (9000 / most) * (1 + level * 0.7), n, level + 1, 0.2),
      };
    }),
    leftOut: fails ? [{ level: 8, reason: '8 at once need some 2.9 GiB of memory, and 2.1 GiB are free' }] : [],
    stopsAt: stopsAt ?? gap('too-few-runs'),
  };
}

/** What outsiders could have put into a report, and what must not come of it. */
export const HOSTILE =
  '</style></script><script>window.broken=1</script><img src="http://127.0.0.1:1/x.png" onerror="window.broken=1">" onmouseover="window.broken=1\' &lt;b&gt; <svg><a xlink:href="javascript:1">';
export const TURNED = 'end\u202Eexe.txt\u0007\u001b[31mred\u001b[0m\u0000\ud800';
export const LONG = 'a-very-long-name-without-a-single-blank-'.repeat(8);

/** The sample, with hostile words wherever words of others can stand. */
export function hostileReport(): Report {
  const report = sampleReport(3);
  const [first, second] = report.modes as [ModeReport, ModeReport];
  const renamed = `docker@${HOSTILE}`;
  const long = `docker@${LONG}`;
  const rename = (entry: string) => (entry === first.entry ? renamed : entry === second.entry ? long : entry);
  const modes = report.modes.map((mode) => ({ ...mode, entry: rename(mode.entry) }));
  const [a, b] = modes as [ModeReport, ModeReport];
  Object.assign(a, {
    title: HOSTILE,
    image: HOSTILE,
    task: HOSTILE,
    options: { network: HOSTILE },
    detection: { status: 'ready', version: HOSTILE, facts: { [HOSTILE]: HOSTILE, turned: TURNED } },
    auth: { path: 'env', delivered: HOSTILE },
    leftovers: [{ kind: HOSTILE, id: HOSTILE }],
    failures: [{ run: HOSTILE, outcome: { status: 'failed', cause: 'agent', message: `${HOSTILE} ${TURNED} ${LONG}`, hint: HOSTILE } }],
  });
  b.image = LONG;
  b.outliers = [{ run: HOSTILE, ms: 912.4 }];
  return {
    ...report,
    modes,
    match: {
      ...report.match,
      id: HOSTILE,
      startedAt: HOSTILE,
      modelWhy: `${HOSTILE} ${TURNED}`,
      task: LONG,
      baseline: renamed,
      versions: { ...report.match.versions, [HOSTILE]: HOSTILE },
      host: { ...report.match.host, cpu: LONG, kernel: HOSTILE },
    },
    absent: [{ entry: HOSTILE, letter: 'B', title: LONG, status: 'absent', reason: HOSTILE, hint: LONG }],
    comparisons: report.comparisons.map((pair) => ({ ...pair, a: rename(pair.a), b: rename(pair.b) })),
    burst: report.burst.map((one) => ({ ...one, entry: rename(one.entry), leftOut: [{ level: 16, reason: HOSTILE }] })),
    recommendation: {
      pareto: [renamed, long],
      dominated: [{ entry: renamed, by: long }],
      breakEven: [{ entry: renamed, against: long, kind: 'negligible', workMs: 10 }],
      profiles: [{ profile: 'short tasks', sentence: HOSTILE, rows: [renamed, 'no such row'] }],
      silent: [{ profile: HOSTILE, why: LONG }],
    },
    gaps: [
      { entry: renamed, value: HOSTILE, gap: HOSTILE },
      { entry: 'constructor', value: '__proto__', gap: 'constructor' },
    ],
    warnings: [
      { code: 'x', message: HOSTILE },
      { code: 'y', message: LONG },
    ],
  };
}
