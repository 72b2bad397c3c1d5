// A probe that never was: seven rows, some forty cells, walls and kinds of work, with every verdict
// and gap that there is to show.
import type { Direction, ProbeEvent, Sweep, SyncCell, Wall } from '../../lib/record/probe.js';
import type { MatchEvent } from '../../lib/record/types.js';
import type { ProbeDocument } from '../../lib/report/probe/document.js';
import { createProbeFold } from '../../lib/report/probe/fold.js';
import { HOST, row, VERSIONS } from './hand-made-record.js';

type Of<T extends ProbeEvent['type']> = Extract<ProbeEvent, { type: T }>;

export const probeStarted = (change: Partial<Of<'probe-started'>> = {}): ProbeEvent => ({
  type: 'probe-started',
  atMs: 0,
  schemaVersion: 1,
  probe: '20261121-100000-beef',
  startedAt: '2026-11-21T10:00:00.000Z',
  only: ['sync', 'walls', 'residue', 'tax'],
  seed: 7,
  rounds: 6,
  versions: { ...VERSIONS },
  host: { ...HOST },
  ...change,
});

export const probeEnded = (how: Of<'probe-ended'>['how'] = 'done'): ProbeEvent => ({
  type: 'probe-ended',
  atMs: 90_000,
  endedAt: '2026-11-21T10:01:30.000Z',
  how,
});

export const synced = (entry: string, cell: SyncCell): ProbeEvent => ({
  type: 'synced',
  atMs: 10,
  entry,
  cell,
});
export const walled = (entry: string, wall: Wall): ProbeEvent => ({
  type: 'walled',
  atMs: 20,
  entry,
  wall,
});
const swept = (entry: string, sweep: Sweep): ProbeEvent => ({
  type: 'swept',
  atMs: 25,
  entry,
  sweep,
});
export const worked = (entry: string, round: number, work: Of<'worked'>['work']): ProbeEvent => ({
  type: 'worked',
  atMs: 30,
  entry,
  round,
  work,
});
/** What a match and a probe have in common. */
export const rowOf = (...args: Parameters<typeof row>): ProbeEvent[] =>
  row(...args) as Extract<MatchEvent, ProbeEvent>[];

const ROWS: Parameters<typeof row>[] = [
  ['host', { letter: '-', title: 'Host', isolation: 'none' }],
  ['native', { letter: 'N', title: 'OS sandbox', isolation: 'os-sandbox' }],
  ['docker', { title: 'Docker' }],
  ['docker:runsc', { title: 'Docker', isolation: 'user-kernel', required: true }],
  ['podman', { title: 'Podman' }],
  ['podman:rootless', { title: 'Podman' }],
  ['incus', { letter: 'D', title: 'Incus', isolation: 'system-container' }],
];
export const ENTRIES = ROWS.map(([entry]) => entry);

/**
 * A variable is where it has to be; a file too; and in one row the gateway's way leaks, and one
 * place could not be looked at.
 */
function sweepsOf(entry: string): Sweep[] {
  const clean = (place: string) => ({
    place,
    verdict: 'clean' as const,
    hits: [],
    detail: '41 looks at 120 processes',
  });
  const found = (place: string, ...hits: [where: string, shape: string][]) => ({
    place,
    verdict: 'found' as const,
    hits: hits.map(([where, shape]) => ({ where, shape })),
    detail: '9 of 7000 files, 150 KiB',
  });
  const gateway =
    entry === 'docker:runsc'
      ? [
          found('argv', ['curl (pid 4711)', 'raw']),
          {
            place: 'logs',
            verdict: 'gap' as const,
            hits: [],
            detail: 'docker logs: no such container',
          },
        ]
      : [clean('argv'), clean('logs')];
  return [
    { path: 'gateway', delivered: 'yes', places: gateway },
    {
      path: 'env',
      delivered: 'yes',
      places: [clean('argv'), found('guest-environ', ['what the agent was started with', 'raw'])],
    },
    {
      path: 'file',
      delivered: entry === 'incus' ? 'no' : 'yes',
      places: [found('guest-files', [`/dev/shm/${entry}.json`, 'base64'])],
    },
  ];
}

const ALL: Direction[] = ['in', 'in-live', 'out-live', 'out'];
const CELLS = [
  'create modify append delete rename replace exec-bit mode-bits mtime symlink-relative symlink-absolute symlink-dangling',
  'hardlink empty-folder deep-path spaces unicode-nfc unicode-nfd case-only dotfile gitignored small-files large-file sparse',
  'watch fsync-kill uid gid shape-plain shape-dirty shape-worktree shape-submodule shape-nested-git shape-shallow-clone',
].flatMap((line) => line.split(' '));

/** What is not the same, by row and `cell direction`. */
const NOT_SAME: Record<string, Record<string, Pick<SyncCell, 'verdict' | 'detail'>>> = {
  'docker:runsc': {
    'mtime out-live': { verdict: 'differs', detail: 'cut to whole seconds' },
    'mtime out': { verdict: 'differs', detail: 'cut to whole seconds' },
    'watch in-live': { verdict: 'lost', detail: 'no event within 5 s' },
    'create in-live': { verdict: 'stale', detail: 'seen only after 1012 ms' },
  },
  docker: { 'watch in-live': { verdict: 'lost', detail: 'no event within 5 s' } },
  podman: { 'sparse out': { verdict: 'differs', detail: '16 MiB on disk, 64 KiB before' } },
  'podman:rootless': {
    'uid in': { verdict: 'differs', detail: 'uid 1000 on the host is uid 0 inside' },
    'gid in': { verdict: 'differs', detail: 'gid 1000 on the host is gid 0 inside' },
  },
  incus: {
    'shape-worktree in': { verdict: 'gap', detail: 'git says: detected dubious ownership' },
    'large-file out': { verdict: 'gap', detail: '512 MiB did not fit on the disk' },
  },
};

function cellsOf(entry: string): SyncCell[] {
  const cells = CELLS.flatMap((cell, place) =>
    ALL.map((direction): SyncCell => {
      if (cell.startsWith('shape-') && direction.endsWith('live'))
        return {
          cell,
          direction,
          verdict: 'not-applicable',
          detail: 'a shape is whole before launch or after collect',
        };
      const other = NOT_SAME[entry]?.[`${cell} ${direction}`];
      return {
        cell,
        direction,
        verdict: 'same',
        latencyMs: direction.endsWith('live') ? 1 + place / 10 : 40 + place,
        ...other,
      };
    }),
  );
  return [
    ...cells,
    { cell: 'modify', direction: 'both', verdict: 'differs', detail: 'the last to write wins' },
  ];
}

const WALLS =
  'kernel root capabilities seccomp no-new-privileges user-namespaces processes docker-socket podman-socket incus-socket host-files-read host-files-write devices host-gateway loopback dns metadata tcp-out udp-out git-push ssh-agent env-credentials file-credentials fork-limit memory-limit git-hooks git-config claude-folder vscode-folder mcp-json'.split(
    ' ',
  );

function wallsOf(entry: string): Wall[] {
  const none = entry === 'host';
  return WALLS.map((wall, place): Wall => {
    if (wall === 'metadata')
      return {
        wall,
        observed: 'gap',
        evidence: 'no route to 169.254.169.254 on this machine either',
      };
    if (entry === 'docker:runsc' && wall === 'fork-limit')
      return {
        wall,
        declared: 'closed',
        observed: 'open',
        evidence: 'made 600 processes; the limit is 512',
      };
    const open = none || place > 24 || wall === 'dns' || (wall === 'tcp-out' && entry !== 'native');
    const promised =
      none || place % 3 === 0 ? {} : { declared: open ? ('open' as const) : ('closed' as const) };
    return {
      wall,
      ...promised,
      observed: open ? 'open' : 'closed',
      evidence: `${wall} of ${entry}: ${open ? 'it was there' : 'EPERM'}`,
    };
  });
}

const KINDS =
  'spawn small-files git-init git-status git-commit write-sequential read-sequential write-random read-random write-off-workspace unpack cpu-hash memory loopback-http dns'.split(
    ' ',
  );

const worksOf = (entry: string, place: number, round: number): ProbeEvent[] =>
  KINDS.map((probe, kind) => {
    if (probe === 'dns' && entry !== 'host')
      return worked(entry, round, {
        probe,
        opMs: { gap: 'not-applicable' },
        detail: 'no resolver inside answers for this machine',
      });
    const slow = entry === 'docker:runsc' && probe === 'spawn' ? 40 : 1;
    return worked(entry, round, {
      probe,
      opMs: slow * (1 + place * (0.1 + kind / 20)) * (1 + ((round * 7 + place) % 5) / 100),
      ops: 50,
    });
  });

const BROKE_OFF: ProbeEvent = {
  type: 'broke-off',
  atMs: 40,
  entry: 'incus',
  what: 'sync',
  reason: 'a script of ours ended inside with exit 137',
};

export function sampleProbeEvents(): ProbeEvent[] {
  return [
    probeStarted(),
    ...ROWS.flatMap((args) => rowOf(...args)),
    {
      type: 'left-out',
      atMs: 3,
      entry: 'fly',
      letter: 'C',
      title: 'Fly.io',
      status: 'unconfigured',
      reason: 'FLY_API_TOKEN is not set',
      hint: 'fly tokens create deploy',
    },
    ...ENTRIES.map(
      (entry): ProbeEvent => ({
        type: 'prepared',
        atMs: 4,
        entry,
        imageMs: 12,
        image: `sha256:${entry}`,
      }),
    ),
    ...ENTRIES.flatMap((entry): ProbeEvent[] => [
      { type: 'probing', atMs: 5, entry, what: 'sync' },
      ...cellsOf(entry)
        .filter((cell) => entry !== 'incus' || cell.cell !== 'gid')
        .map((cell) => synced(entry, cell)),
      ...(entry === 'incus' ? [BROKE_OFF] : []),
      { type: 'probing', atMs: 6, entry, what: 'walls' },
      ...wallsOf(entry).map((wall) => walled(entry, wall)),
      { type: 'probing', atMs: 7, entry, what: 'residue' },
      ...sweepsOf(entry).map((sweep) => swept(entry, sweep)),
    ]),
    ...[1, 2, 3, 4, 5, 6].flatMap((round) =>
      ENTRIES.flatMap((entry, place): ProbeEvent[] => [
        { type: 'probing', atMs: 30, entry, what: 'tax', round },
        ...worksOf(entry, place, round),
      ]),
    ),
    {
      type: 'warning',
      atMs: 50,
      code: 'swept',
      message: 'podman: removed container x, which its run had left',
    },
    probeEnded(),
  ];
}

export function foldProbe(events: ProbeEvent[]): ProbeDocument {
  const fold = createProbeFold();
  for (const event of events) fold.push(event);
  return fold.finish();
}

export const sampleProbe = (): ProbeDocument => foldProbe(sampleProbeEvents());
