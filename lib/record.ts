// The record of a match: every event that may stand in events.jsonl, and what reads it back.
import { z } from 'zod';

export const SCHEMA_VERSION = 1;

/** A value that could not be measured, and why; never a 0. */
export const gapSchema = z.strictObject({
  gap: z.enum(['not-reached', 'not-reported', 'no-baseline', 'too-few-runs', 'not-exercised', 'not-applicable']),
});
export type Gap = z.infer<typeof gapSchema>;

const ms = z.union([z.number().nonnegative(), gapSchema]);
export type Ms = z.infer<typeof ms>;

export const isGap = (value: unknown): value is Gap => typeof value === 'object' && value !== null && 'gap' in value;

/** All in ms from one monotonic clock; `docs/design.md` says from which moment to which. */
const clocksSchema = z.strictObject({
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

/** Whom a failed run blames. */
const causeSchema = z.enum([
  'auth',
  'rate-limit',
  'model',
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
const authPath = z.enum(['env', 'file', 'gateway', 'runtime-proxy', 'remote-secret']);

/** Delivered: which header the gateway saw the run's token in. */
export const authSchema = z.strictObject({ path: authPath, delivered: z.string().or(gapSchema) });
export type Auth = z.infer<typeof authSchema>;

export const leftoverSchema = z.strictObject({ kind: z.string(), id: z.string() });
export type Leftover = z.infer<typeof leftoverSchema>;

const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
export const detectionSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('ready'),
    version: z.string(),
    facts,
    variants: z.array(z.object({ id: z.string(), isolation, onRequest: z.boolean().optional() })).optional(),
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

/** One row's identity: a mode, or a variant of it. */
export const entrySchema = z.strictObject({
  entry: z.string(),
  mode: z.string(),
  variant: z.string().optional(),
  letter: z.string(),
  title: z.string(),
  isolation,
  workspace: z.enum(['bind', 'copy']),
  required: z.boolean(),
  /** The runtime is a stand-in that enforces a contract: its numbers are no finding. */
  standIn: z.boolean(),
});
export type Entry = z.infer<typeof entrySchema>;

/** `atMs`: since the match started. */
const base = { atMs: z.number() };

export const eventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...base,
    type: z.literal('match-started'),
    schemaVersion: z.literal(SCHEMA_VERSION),
    match: z.string(),
    startedAt: z.string(),
    seed: z.number().int(),
    runs: z.number().int().positive(),
    warmup: z.number().int().nonnegative(),
    model: z.enum(['replay', 'live']),
    modelWhy: z.string(),
    task: z.string(),
    state: z.literal('prepared'),
    versions: z.strictObject({ cagematch: z.string(), agent: z.string(), node: z.string() }),
    host: fingerprintSchema,
  }),
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
  z.strictObject({
    ...base,
    type: z.literal('left-out'),
    entry: z.string(),
    letter: z.string(),
    title: z.string(),
    status: z.string(),
    reason: z.string(),
    hint: z.string(),
  }),
  z.strictObject({ ...base, type: z.literal('prepared'), entry: z.string(), imageMs: z.number().nonnegative() }),
  z.strictObject({ ...base, type: z.literal('unprepared'), entry: z.string(), outcome: outcomeSchema }),
  z.strictObject({ ...base, type: z.literal('round-started'), round: z.number().int(), order: z.array(z.string()) }),
  z.strictObject({
    ...base,
    type: z.literal('run-started'),
    run: z.string(),
    entry: z.string(),
    round: z.number().int(),
    warmup: z.boolean(),
  }),
  z.strictObject({ ...base, type: z.literal('phase'), run: z.string(), phase: z.enum(['launch', 'work', 'collect', 'destroy']) }),
  z.strictObject({
    ...base,
    type: z.literal('run-ended'),
    run: z.string(),
    entry: z.string(),
    round: z.number().int(),
    warmup: z.boolean(),
    outcome: outcomeSchema,
    clocks: clocksSchema,
    auth: authSchema,
    sync: syncSchema,
    leftovers: z.array(leftoverSchema).or(gapSchema),
  }),
  z.strictObject({ ...base, type: z.literal('warning'), code: z.string(), message: z.string() }),
  z.strictObject({ ...base, type: z.literal('match-ended'), endedAt: z.string(), how: z.enum(['done', 'interrupted', 'failed']) }),
]);

export type MatchEvent = z.infer<typeof eventSchema>;
export type EventOf<T extends MatchEvent['type']> = Extract<MatchEvent, { type: T }>;
/** An event before its time is put on. */
export type Unstamped = MatchEvent extends infer E ? (E extends MatchEvent ? Omit<E, 'atMs'> : never) : never;
