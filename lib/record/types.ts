// The record of a match: every event that may occur in events.jsonl, with the schemas that validate
// it when it is read back.
import { z } from 'zod';

export const SCHEMA_VERSION = 1;

/** A value that could not be measured, with the reason; never recorded as a 0. */
export const gapSchema = z.strictObject({
  gap: z.enum([
    'not-reached',
    'not-reported',
    'no-baseline',
    'too-few-runs',
    'not-exercised',
    'not-applicable',
    // For teardown: the sandbox was gone before its removal began, so its end is part of `exit`.
    'in-exit',
    // For costs: they were not captured, or could not be for one of these reasons.
    'not-captured',
    'other-machine',
    'not-attributable',
    'platform',
    'vanished',
  ]),
});
export type Gap = z.infer<typeof gapSchema>;

/**
 * Negative if the two moments were reported through different pipes and the later one arrived
 * first.
 */
const ms = z.union([z.number(), gapSchema]);
export type Ms = z.infer<typeof ms>;

export const isGap = (value: unknown): value is Gap =>
  typeof value === 'object' && value !== null && 'gap' in value;

/**
 * All values are in ms from one monotonic clock; `docs/design.md` defines where each clock starts
 * and ends.
 */
const clocksSchema = z.strictObject({
  /** Only if the image was absent at the start of the run (`cold`). */
  image: ms.default({ gap: 'not-applicable' }),
  launch: ms,
  firstProcess: ms,
  startup: ms,
  work: ms,
  model: ms,
  exit: ms,
  collect: ms,
  teardown: ms,
  total: ms,
});
export type Clocks = z.infer<typeof clocksSchema>;
export type ClockName = keyof Clocks;

const amount = z.union([z.number().nonnegative(), gapSchema]);

/**
 * Resource usage of the sandbox's own processes, including its monitor, sentry or VMM but not the
 * runtime's client, from launch (`warm`: from exec) until the agent's result. `memoryPeakBytes` is
 * the sum of each process's own peak of resident memory.
 */
export const costSchema = z.strictObject({
  memoryPeakBytes: amount,
  cpuUserMs: amount,
  cpuSystemMs: amount,
});
export type Cost = z.infer<typeof costSchema>;

/**
 * Activity of this machine from just before the launch until the sandbox was gone; read outside of
 * the clocks. `cpuMs`: CPU time of all CPUs, without idle and stolen time. `otherMs`: the part of
 * `cpuMs` used neither by the sandbox's own processes nor by this one, so by the runtime's daemons
 * and clients and by unrelated processes. `waitingMs`: the time during which some task waited for a
 * CPU.
 */
const conditionsSchema = z.strictObject({
  wallMs: z.number().nonnegative(),
  cpuMs: z.number().nonnegative(),
  stealMs: z.number().nonnegative(),
  otherMs: amount,
  waitingMs: amount,
});
export type Conditions = z.infer<typeof conditionsSchema>;

/**
 * How busy the machine was before the match, as shares of its CPU time (`waitingShare`: of the
 * observed time).
 */
export const quietSchema = z.strictObject({
  lookMs: z.number().nonnegative(),
  otherShare: z.number().nonnegative(),
  stealShare: z.number().nonnegative(),
  waitingShare: amount,
});
export type Quiet = z.infer<typeof quietSchema>;

const limit = z.union([z.number().nonnegative(), z.literal('none'), gapSchema]);
const word = z.union([z.string().min(1), gapSchema]);

/**
 * Properties of a sandbox as seen from inside, queried once per row; the limits are those in effect
 * there.
 */
export const guestSchema = z.strictObject({
  nodeVersion: word,
  gitVersion: word,
  libc: word,
  os: word,
  uid: amount,
  memoryBytes: limit,
  pids: limit,
});
export type Guest = z.infer<typeof guestSchema>;

/** Disk usage of an image and of one idle sandbox. */
const diskSchema = z.strictObject({ imageBytes: amount, sandboxBytes: amount });
export type Disk = z.infer<typeof diskSchema>;

/**
 * `prepared`: image present, new sandbox. `warm`: the sandbox is idle and the agent is exec'd in
 * it. `cold`: image absent.
 */
export const stateSchema = z.enum(['prepared', 'warm', 'cold']);
export type State = z.infer<typeof stateSchema>;

/** `example.com`, or `*.example.com` for all domains below it. */
const DOMAIN = /^(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+$/i;

/** Settings that may be changed for one entry, if its mode supports them. */
export const optionsSchema = z.strictObject({
  /** The runtime's own name for a network: bridge, host, none … */
  network: z.string().min(1).optional(),
  /** Keep the sandbox's /tmp in memory. */
  tmpfs: z.boolean().optional(),
  cpus: z.number().positive().optional(),
  memoryMiB: z.number().int().positive().optional(),
  /** Which of the runtime's machines to use. Absent: the machines take turns. */
  target: z.string().min(1).optional(),
  /**
   * What the sandbox may connect to: only the gateway, also the internet, or also these domains.
   * Absent: what the mode allows.
   */
  egress: z
    .union([z.enum(['gateway', 'internet']), z.array(z.string().regex(DOMAIN, 'must be a domain'))])
    .optional(),
});

/** Load averages over 1, 5 and 15 minutes. */
const loadSchema = z.tuple([z.number(), z.number(), z.number()]);

/** What a failed run is attributed to. */
const causeSchema = z.enum([
  'auth',
  'rate-limit',
  'model',
  'cassette',
  'agent',
  'sandbox',
  'sync',
  'verifier',
  'harness',
  'timeout',
  'image',
  'interrupted',
]);

export const outcomeSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('passed') }),
  z.strictObject({
    status: z.literal('failed'),
    cause: causeSchema,
    message: z.string(),
    hint: z.string().optional(),
  }),
]);
export type Outcome = z.infer<typeof outcomeSchema>;

const way = z.enum(['yes', 'no']).or(gapSchema);
/**
 * `in`: the seed reached the agent. `out`: the agent's file is on the host after collect. `live`:
 * it was there before the agent ended.
 */
export const syncSchema = z.strictObject({ in: way, out: way, live: way });
export type Sync = z.infer<typeof syncSchema>;

const isolation = z.enum([
  'none',
  'os-sandbox',
  'container',
  'user-kernel',
  'microvm',
  'system-container',
  'remote-vm',
]);
export const authPathSchema = z.enum(['env', 'file', 'gateway', 'runtime-proxy', 'remote-secret']);

/**
 * How the credential was delivered to the guest. `delivered`: `yes` if the fingerprint at the
 * gateway shows that this very credential arrived, `no` if another one did. `header`: the header it
 * arrived in. (Older records have the header in `delivered`.)
 */
export const authSchema = z.strictObject({
  path: authPathSchema,
  delivered: z.string().or(gapSchema),
  header: z.string().optional(),
});
export type Auth = z.infer<typeof authSchema>;

export const leftoverSchema = z.strictObject({ kind: z.string(), id: z.string() });
export type Leftover = z.infer<typeof leftoverSchema>;

/**
 * A file that runs by itself on the host when somebody works in the workspace (a hook, an editor
 * task), and what the agent did to it.
 */
export const plantedSchema = z.strictObject({
  path: z.string(),
  how: z.enum(['added', 'changed', 'removed']),
  /** The target, if the file is now a link. */
  link: z.string().optional(),
});
export type Planted = z.infer<typeof plantedSchema>;

const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
export const detectionSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('ready'),
    version: z.string(),
    facts,
    isolation: isolation.optional(),
    variants: z
      .array(
        z.object({
          id: z.string(),
          isolation,
          workspace: z.enum(['bind', 'copy']).optional(),
          onRequest: z.boolean().optional(),
          mainProcessOnly: z.boolean().optional(),
        }),
      )
      .optional(),
    elsewhere: z.literal(true).optional(),
  }),
  z.object({
    status: z.enum(['absent', 'broken', 'unconfigured']),
    reason: z.string(),
    hint: z.string(),
  }),
]);

/** Properties of the host that a comparison depends on besides the runtimes themselves. */
export const fingerprintSchema = z.strictObject({
  cpu: z.string(),
  cores: z.number().int().positive(),
  memoryGiB: z.number().positive(),
  kernel: z.string(),
  os: z.string(),
  cgroup: z.string(),
  virtualization: z.string(),
});
export type Fingerprint = z.infer<typeof fingerprintSchema>;

/**
 * One row's identity: a mode or a variant of it, with a label if it is entered more than once
 * (`docker:runsc@a`).
 */
export const entrySchema = z.strictObject({
  entry: z.string(),
  mode: z.string(),
  variant: z.string().optional(),
  label: z.string().optional(),
  options: optionsSchema.default({}),
  state: stateSchema.default('prepared'),
  task: z.string().default('hello'),
  /** How the credential is to be delivered; absent in older records. */
  deliver: authPathSchema.optional(),
  /**
   * Digest of the whole task, with its cassette only if that is replayed; absent in records from
   * before there were task folders.
   */
  taskDigest: z.string().optional(),
  letter: z.string(),
  title: z.string(),
  isolation,
  workspace: z.enum(['bind', 'copy']),
  required: z.boolean(),
  /** The runtime is a stand-in that enforces a contract: its numbers are not findings. */
  standIn: z.boolean(),
});
export type Entry = z.infer<typeof entrySchema>;

/** A mode or variant without a row of its own, with the reason. */
export const absentSchema = z.strictObject({
  entry: z.string(),
  letter: z.string(),
  title: z.string(),
  status: z.string(),
  reason: z.string(),
  hint: z.string(),
});

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });

/** `atMs`: time since the match started. */
const base = { atMs: z.number() };

/**
 * Events about the rows and whether they could be made ready; the record of a match and that of a
 * probe both contain them.
 */
export const rowEvents = [
  z.strictObject({
    ...base,
    type: z.literal('detected'),
    mode: z.string(),
    letter: z.string(),
    title: z.string(),
    isolation,
    detection: detectionSchema,
  }),
  entrySchema.extend({ ...base, type: z.literal('entered') }),
  z.strictObject({ ...base, type: z.literal('left-out'), ...absentSchema.shape }),
  z.strictObject({
    ...base,
    type: z.literal('prepared'),
    entry: z.string(),
    imageMs: z.number().nonnegative(),
    /** The digest or fingerprint by which the runtime identifies the image. */
    image: z.string().optional(),
    /** A digest of the image's ingredients; a rebuild without changes has the same one. */
    content: z.string().optional(),
  }),
  z.strictObject({
    ...base,
    type: z.literal('unprepared'),
    entry: z.string(),
    outcome: outcomeSchema,
  }),
  z.strictObject({ ...base, type: z.literal('warning'), ...warningSchema.shape }),
] as const;

/** How many runs of the entry were started at once; always 1 except in a burst. */
const level = z.number().int().positive().default(1);

export const eventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...base,
    type: z.literal('match-started'),
    schemaVersion: z.literal(SCHEMA_VERSION),
    match: z.string(),
    startedAt: z.string(),
    seed: z.number().int(),
    /** The maximum number of rounds. */
    runs: z.number().int().positive(),
    /**
     * `count`: exactly `runs` rounds. `precise`: until every row's startup time is known precisely
     * enough.
     */
    until: z.enum(['count', 'precise']).default('count'),
    warmup: z.number().int().nonnegative(),
    /** The highest level of a burst. */
    concurrency: z.number().int().positive().default(1),
    model: z.enum(['replay', 'live']),
    modelWhy: z.string(),
    task: z.string(),
    /** State of the rows that do not set their own. */
    state: stateSchema,
    /** `commit`: that of cagematch's own checkout, if it runs from one. */
    versions: z.strictObject({
      cagematch: z.string(),
      agent: z.string(),
      node: z.string(),
      commit: z.string().optional(),
    }),
    host: fingerprintSchema,
    load: loadSchema.optional(),
    /** Absent if it was not measured, or the platform has no such counters. */
    quiet: quietSchema.optional(),
  }),
  ...rowEvents,
  /** In a burst, an entry at a level above 1 is written `docker*4`. */
  z.strictObject({
    ...base,
    type: z.literal('round-started'),
    round: z.number().int(),
    order: z.array(z.string()),
  }),
  /** A level of a burst that this machine does not have enough capacity for. */
  z.strictObject({
    ...base,
    type: z.literal('level-left-out'),
    entry: z.string(),
    level,
    reason: z.string(),
  }),
  /**
   * All runs of one level in one round have ended. `wallMs`: from the first launch to the last
   * teardown.
   */
  z.strictObject({
    ...base,
    type: z.literal('wave-ended'),
    entry: z.string(),
    round: z.number().int(),
    warmup: z.boolean(),
    level,
    wallMs: z.number().nonnegative(),
    passed: z.number().int().nonnegative(),
  }),
  /**
   * The rounds are over. `precise`: every interval is narrow enough. `wide`: the rows whose
   * interval is not.
   */
  z.strictObject({
    ...base,
    type: z.literal('settled'),
    round: z.number().int(),
    how: z.enum(['precise', 'limit']),
    wide: z.array(z.string()),
  }),
  z.strictObject({
    ...base,
    type: z.literal('appraised'),
    entry: z.string(),
    disk: diskSchema,
    /** Absent in older records. */
    guest: guestSchema.or(gapSchema).optional(),
  }),
  z.strictObject({
    ...base,
    type: z.literal('run-started'),
    run: z.string(),
    entry: z.string(),
    round: z.number().int(),
    warmup: z.boolean(),
    level,
  }),
  z.strictObject({
    ...base,
    type: z.literal('phase'),
    run: z.string(),
    phase: z.enum(['prepare', 'launch', 'work', 'collect', 'destroy', 'verify']),
  }),
  z.strictObject({
    ...base,
    type: z.literal('run-ended'),
    run: z.string(),
    entry: z.string(),
    round: z.number().int(),
    warmup: z.boolean(),
    level,
    outcome: outcomeSchema,
    clocks: clocksSchema,
    cost: costSchema.or(gapSchema).default({ gap: 'not-captured' }),
    /** Absent in older records. */
    conditions: conditionsSchema.or(gapSchema).optional(),
    /**
     * Which of the runtime's machines the sandbox was on, if there are several: a cluster's member,
     * a region.
     */
    place: z.string().optional(),
    /**
     * Path, relative to the match's folder, of the git bundle with what was committed in a copied
     * workspace.
     */
    bundle: z.string().optional(),
    auth: authSchema,
    sync: syncSchema,
    leftovers: z.array(leftoverSchema).or(gapSchema),
    planted: z.array(plantedSchema).or(gapSchema).default({ gap: 'not-captured' }),
  }),
  z.strictObject({
    ...base,
    type: z.literal('match-ended'),
    endedAt: z.string(),
    how: z.enum(['done', 'interrupted', 'failed']),
    load: loadSchema.optional(),
  }),
]);

export type MatchEvent = z.infer<typeof eventSchema>;
export type EventOf<T extends MatchEvent['type']> = Extract<MatchEvent, { type: T }>;
/** An event before it gets its timestamp. */
export type Unstamped = MatchEvent extends infer E
  ? E extends MatchEvent
    ? Omit<E, 'atMs'>
    : never
  : never;
/** An event about a row, in a match or in a probe. */
export type RowEvent = Extract<Unstamped, Pick<z.infer<(typeof rowEvents)[number]>, 'type'>>;
