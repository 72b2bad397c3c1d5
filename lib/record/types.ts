// The record of a match: every event that may stand in events.jsonl, and what reads it back.
import { z } from 'zod';

export const SCHEMA_VERSION = 1;

/** A value that could not be measured, and why; never a 0. */
export const gapSchema = z.strictObject({
  gap: z.enum([
    'not-reached',
    'not-reported',
    'no-baseline',
    'too-few-runs',
    'not-exercised',
    'not-applicable',
    // Of teardown: the sandbox was gone before it was to be removed, so that its end lies in exit.
    'in-exit',
    // Of costs: nobody looked; or why nobody could.
    'not-captured',
    'other-machine',
    'not-attributable',
    'platform',
    'vanished',
  ]),
});
export type Gap = z.infer<typeof gapSchema>;

/** Below zero where two moments came through different pipes, the later one first. */
const ms = z.union([z.number(), gapSchema]);
export type Ms = z.infer<typeof ms>;

export const isGap = (value: unknown): value is Gap => typeof value === 'object' && value !== null && 'gap' in value;

/** All in ms from one monotonic clock; `docs/design.md` says from which moment to which. */
const clocksSchema = z.strictObject({
  /** Only where the image was absent at the start of the run (`cold`). */
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
 * What the sandbox's own processes used, its monitor, sentry or VMM included and the runtime's client not, from launch
 * (`warm`: from exec) until the agent's result. Peak: the sum of every process' own peak of resident memory.
 */
export const costSchema = z.strictObject({ memoryPeakBytes: amount, cpuUserMs: amount, cpuSystemMs: amount });
export type Cost = z.infer<typeof costSchema>;

/**
 * What this machine did from just before the launch until the sandbox was gone; outside of the clocks. `cpuMs`: of all its CPUs, idle and
 * stolen time left out. `otherMs`: of that what neither the sandbox' own processes nor this one used: the runtime's daemons and
 * clients, and whatever is foreign. `waitingMs`: the time in which some task waited for a CPU.
 */
const conditionsSchema = z.strictObject({
  wallMs: z.number().nonnegative(),
  cpuMs: z.number().nonnegative(),
  stealMs: z.number().nonnegative(),
  otherMs: amount,
  waitingMs: amount,
});
export type Conditions = z.infer<typeof conditionsSchema>;

/** How busy the machine was before the match, as shares: of its CPU time; of the time that was looked at (`waiting`). */
export const quietSchema = z.strictObject({
  lookMs: z.number().nonnegative(),
  otherShare: z.number().nonnegative(),
  stealShare: z.number().nonnegative(),
  waitingShare: amount,
});
export type Quiet = z.infer<typeof quietSchema>;

const limit = z.union([z.number().nonnegative(), z.literal('none'), gapSchema]);
const word = z.union([z.string().min(1), gapSchema]);

/** What a sandbox is from inside, asked once a row; the limits are those in effect there. */
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

/** What an image and one idle sandbox take on disk. */
const diskSchema = z.strictObject({ imageBytes: amount, sandboxBytes: amount });
export type Disk = z.infer<typeof diskSchema>;

/** `prepared`: image present, new sandbox. `warm`: the sandbox idles, the agent is exec'd. `cold`: image absent. */
export const stateSchema = z.enum(['prepared', 'warm', 'cold']);
export type State = z.infer<typeof stateSchema>;

/** What may be changed for one entry, where its mode knows how. */
export const optionsSchema = z.strictObject({
  /** The runtime's own name of a network: bridge, host, none … */
  network: z.string().min(1).optional(),
  /** /tmp of the sandbox in memory. */
  tmpfs: z.boolean().optional(),
  cpus: z.number().positive().optional(),
  memoryMiB: z.number().int().positive().optional(),
  /** Which of the runtime's machines; absent: they take turns. */
  target: z.string().min(1).optional(),
});

/** Averages over 1, 5 and 15 minutes. */
const loadSchema = z.tuple([z.number(), z.number(), z.number()]);

/** Whom a failed run blames. */
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
  z.strictObject({ status: z.literal('failed'), cause: causeSchema, message: z.string(), hint: z.string().optional() }),
]);
export type Outcome = z.infer<typeof outcomeSchema>;

const way = z.enum(['yes', 'no']).or(gapSchema);
/** In: the seed reached the agent. Out: its file is on the host after collect. Live: it was there before the agent ended. */
export const syncSchema = z.strictObject({ in: way, out: way, live: way });
export type Sync = z.infer<typeof syncSchema>;

const isolation = z.enum(['none', 'os-sandbox', 'container', 'user-kernel', 'microvm', 'system-container', 'remote-vm']);
export const authPathSchema = z.enum(['env', 'file', 'gateway', 'runtime-proxy', 'remote-secret']);

/**
 * Which way the credential went into the guest. Delivered: `yes`, the gateway saw by its fingerprint that this very one arrived; `no`,
 * another one did. `header`: in which. (Records of before have the header in `delivered`.)
 */
export const authSchema = z.strictObject({ path: authPathSchema, delivered: z.string().or(gapSchema), header: z.string().optional() });
export type Auth = z.infer<typeof authSchema>;

export const leftoverSchema = z.strictObject({ kind: z.string(), id: z.string() });
export type Leftover = z.infer<typeof leftoverSchema>;

/** A file that runs by itself on the host when somebody works in the workspace (a hook, an editor's task), and what the agent did to it. */
export const plantedSchema = z.strictObject({
  path: z.string(),
  how: z.enum(['added', 'changed', 'removed']),
  /** Where it leads, where it is a link now. */
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
  z.object({ status: z.enum(['absent', 'broken', 'unconfigured']), reason: z.string(), hint: z.string() }),
]);

/** What a comparison depends on besides the runtimes themselves. */
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

/** One row's identity: a mode, or a variant of it; under a label, where it is entered more than once (`docker:runsc@a`). */
export const entrySchema = z.strictObject({
  entry: z.string(),
  mode: z.string(),
  variant: z.string().optional(),
  label: z.string().optional(),
  options: optionsSchema.default({}),
  state: stateSchema.default('prepared'),
  task: z.string().default('hello'),
  /** Which way the credential is to go; older records do not say. */
  deliver: authPathSchema.optional(),
  /** Of all that the task is made of, the cassette only where it was replayed; absent in records from before there were task folders. */
  taskDigest: z.string().optional(),
  letter: z.string(),
  title: z.string(),
  isolation,
  workspace: z.enum(['bind', 'copy']),
  required: z.boolean(),
  /** The runtime is a stand-in that enforces a contract: its numbers are no finding. */
  standIn: z.boolean(),
});
export type Entry = z.infer<typeof entrySchema>;

/** A mode or variant without a row of its own, and why. */
export const absentSchema = z.strictObject({
  entry: z.string(),
  letter: z.string(),
  title: z.string(),
  status: z.string(),
  reason: z.string(),
  hint: z.string(),
});

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });

/** `atMs`: since the match started. */
const base = { atMs: z.number() };

/** What rows there are, and whether they could be made ready: in the record of a match and of a probe alike. */
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
    /** The digest or fingerprint by which the runtime knows the image. */
    image: z.string().optional(),
    /** A digest of what the image is made of, which a rebuild without changes has too. */
    content: z.string().optional(),
  }),
  z.strictObject({ ...base, type: z.literal('unprepared'), entry: z.string(), outcome: outcomeSchema }),
  z.strictObject({ ...base, type: z.literal('warning'), ...warningSchema.shape }),
] as const;

/** How many runs of the entry were started at once; 1 but in a burst. */
const level = z.number().int().positive().default(1);

export const eventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...base,
    type: z.literal('match-started'),
    schemaVersion: z.literal(SCHEMA_VERSION),
    match: z.string(),
    startedAt: z.string(),
    seed: z.number().int(),
    /** The most rounds there may be. */
    runs: z.number().int().positive(),
    /** `count`: that many. `precise`: until every row's startup is known well enough. */
    until: z.enum(['count', 'precise']).default('count'),
    warmup: z.number().int().nonnegative(),
    /** The highest level of a burst. */
    concurrency: z.number().int().positive().default(1),
    model: z.enum(['replay', 'live']),
    modelWhy: z.string(),
    task: z.string(),
    /** Of the rows that say nothing else. */
    state: stateSchema,
    /** `commit`: of cagematch's own checkout, where it is one. */
    versions: z.strictObject({ cagematch: z.string(), agent: z.string(), node: z.string(), commit: z.string().optional() }),
    host: fingerprintSchema,
    load: loadSchema.optional(),
    /** Absent where nobody looked, or the platform keeps no such counters. */
    quiet: quietSchema.optional(),
  }),
  ...rowEvents,
  /** In a burst, what is at a higher level than 1 is written `docker*4`. */
  z.strictObject({ ...base, type: z.literal('round-started'), round: z.number().int(), order: z.array(z.string()) }),
  /** A level of a burst that this machine has no room for. */
  z.strictObject({ ...base, type: z.literal('level-left-out'), entry: z.string(), level, reason: z.string() }),
  /** All runs of one level in one round have ended. `wallMs`: from the first launch to the last teardown. */
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
  /** The rounds are over. `precise`: every interval is narrow enough. `wide`: the rows whose interval is not. */
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
    /** Which of the runtime's machines it was on, where there are several: a cluster's member, a region. */
    place: z.string().optional(),
    /** Of what was committed in a workspace that was copied: the git bundle, relative to the match's folder. */
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
/** An event before its time is put on. */
export type Unstamped = MatchEvent extends infer E ? (E extends MatchEvent ? Omit<E, 'atMs'> : never) : never;
/** What is told of a row, in a match as in a probe. */
export type RowEvent = Extract<Unstamped, Pick<z.infer<(typeof rowEvents)[number]>, 'type'>>;
