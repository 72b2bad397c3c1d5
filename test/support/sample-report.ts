// A report of a match that never was: every kind of row, gap and trouble that a page has to show.
import type { ModeReport, Report } from '../../lib/report/document.js';
import { gap, row, summary, summaryAround, TOO_FEW, unprepared } from './sample-rows.js';

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
  const { image, ...hostRow } = host;
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
    {
      run: 'podman#3',
      outcome: {
        status: 'failed',
        cause: 'timeout',
        message: 'no result after 120 s',
        hint: '--timeout 300',
      },
    },
    {
      run: 'podman#4',
      outcome: {
        status: 'failed',
        cause: 'sandbox',
        message: 'podman run ended with exit code 125: netavark: no such bridge',
      },
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
    resolution: {
      tests: 42,
      fewestPairs: 11,
      startup: { n: 10, noise: 0.05, detectable: TOO_FEW, runsForFivePercent: 26 },
      total: { n: 10, noise: 0.04, detectable: 1.09, runsForFivePercent: 19 },
    },
    drift: { rounds: 10, lag1: 0.1, secondHalf: 1.01, halvesP: 0.5, drifted: false },
    comparisons: comparisonsOf(modes, n),
    places: [],
    burst: burst
      ? [
          curve('docker', 70, 4),
          curve('podman', 58, 2, true),
          curve('docker:runsc', 24, undefined),
          curve('fly', 40, undefined),
        ]
      : [],
    recommendation: {
      pareto: ['host', 'docker', 'docker:runsc'],
      dominated: [{ entry: 'incus', by: 'docker' }],
      breakEven: [
        { entry: 'docker', against: 'host', kind: 'negligible', workMs: 4100, ci95: [3900, 4300] },
        {
          entry: 'docker',
          against: 'podman',
          kind: 'overtakes',
          workMs: 61_300,
          ci95: [44_000, 93_000],
        },
      ],
      profiles: [
        {
          profile: 'short tasks',
          sentence:
            'docker starts 205 ms [196–214] after host, and nothing with walls starts sooner.',
          rows: ['docker', 'host'],
          best: ['docker'],
        },
        {
          profile: 'long tasks',
          sentence:
            'After 4.1 s of work the startup of docker is less than 5 % of it: choose by isolation.',
          rows: ['docker'],
          best: ['docker'],
        },
        {
          profile: 'many in parallel',
          sentence: 'docker finishes 71 runs a minute at 4 at once, more than any other row.',
          rows: ['docker', 'podman'],
          best: ['docker'],
        },
      ],
      silent: [
        {
          profile: 'hostile code',
          why: 'no row with a kernel of its own passed, other than stand-ins',
        },
      ],
    },
    gaps: [
      ...Object.keys(vm.phasesMs).map((value) => ({
        entry: 'incus:vm',
        value,
        gap: 'not-reached',
      })),
      { entry: 'fly', value: 'cost.memoryPeakBytes', gap: 'other-machine' },
      { entry: 'fly', value: 'cost.cpuMs', gap: 'other-machine' },
      { entry: 'fly', value: 'cost.sandboxBytes', gap: 'not-attributable' },
      { entry: 'host', value: 'cost.imageBytes', gap: 'not-applicable' },
    ],
    warnings: [
      {
        code: 'busy',
        message: 'the load was 1.92 on 2 cores when the match ended: something else ran beside it',
      },
    ],
  };
}

function comparisonsOf(modes: readonly ModeReport[], n: number): Report['comparisons'] {
  const rows = modes.flatMap((mode) =>
    'gap' in mode.startupMs ? [] : [{ entry: mode.entry, ms: mode.startupMs.median }],
  );
  return rows.flatMap((a, index) =>
    rows.slice(index + 1).map((b) => {
      const ratio = a.ms / b.ms;
      const ci95: [number, number] = [ratio * 0.95, ratio * 1.04];
      const differenceMs = {
        median: a.ms - b.ms,
        ci95: [a.ms - b.ms - 20, a.ms - b.ms + 18] as [number, number],
      };
      if (n < 6)
        return {
          a: a.entry,
          b: b.entry,
          n,
          ratio,
          ci95: TOO_FEW,
          differenceMs: { median: a.ms - b.ms, ci95: TOO_FEW },
          p: 1,
          separable: TOO_FEW,
          equal: TOO_FEW,
          noise: TOO_FEW,
          total: TOO_FEW,
        };
      const separable = ci95[0] > 1 || ci95[1] < 1;
      const verdict = { p: separable ? 0.002 : 1, separable, equal: false, noise: 0.05 };
      return {
        a: a.entry,
        b: b.entry,
        n,
        ratio,
        ci95,
        differenceMs,
        ...verdict,
        total:
          b.entry === 'fly'
            ? gap('not-reported')
            : { ratio: ratio * 1.1, ci95, differenceMs, ...verdict },
      };
    }),
  );
}

function curve(
  entry: string,
  most: number,
  stopsAt: number | undefined,
  fails = false,
): Report['burst'][number] {
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
        runsPerMinute: summaryAround(rate, 5, level, 0.2),
        startupMs:
          fails && level === 4
            ? gap('not-reached')
            : summaryAround(300 + (9000 / most) * (1 + level * 0.7), n, level + 1, 0.2),
      };
    }),
    leftOut: fails
      ? [{ level: 8, reason: '8 at once need some 2.9 GiB of memory, and 2.1 GiB are free' }]
      : [],
    stopsAt: stopsAt ?? gap('too-few-runs'),
  };
}
