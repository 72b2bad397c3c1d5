// The record of a probe: what was tested inside each sandbox, and the results. Defines every event
// that may occur in probe.jsonl.
import { z } from 'zod';
import { authPathSchema, fingerprintSchema, gapSchema, rowEvents } from './types.js';

export const PROBE_SCHEMA_VERSION = 1;

/** The available probes. */
export const PROBES = ['sync', 'walls', 'residue', 'tax'] as const;
export type ProbeName = (typeof PROBES)[number];

/**
 * The direction of a change. `in`: made on the host before launch, checked inside. `in-live`: made
 * on the host while the sandbox runs, checked inside. `out-live`: made inside, checked on the host
 * while the sandbox runs. `out`: made inside, checked on the host after collect. `both`: both sides
 * change the same file.
 */
const directionSchema = z.enum(['in', 'in-live', 'out-live', 'out', 'both']);
export type Direction = z.infer<typeof directionSchema>;

/**
 * `differs`: present, but not as it was made. `stale`: not yet visible when it was checked, only
 * later; `detail` states how long.
 */
const verdictSchema = z.enum(['same', 'differs', 'lost', 'stale', 'not-applicable', 'gap']);
export type Verdict = z.infer<typeof verdictSchema>;

/**
 * One cell of the workspace-sync truth table. Every verdict but `same` needs a `detail`: how it
 * differs, for how long, or why not.
 */
export const syncCellSchema = z
  .strictObject({
    /** The change that was made: `create`, `exec-bit`, `shape-worktree` … */
    cell: z.string(),
    direction: directionSchema,
    verdict: verdictSchema,
    /** From the change on one side until it is visible on the other side. */
    latencyMs: z.number().nonnegative().optional(),
    detail: z.string().min(1).optional(),
  })
  .refine((cell) => cell.verdict === 'same' || cell.detail !== undefined, {
    message: 'a verdict other than same needs a detail',
  });
export type SyncCell = z.infer<typeof syncCellSchema>;

/**
 * One wall. `declared`: what the mode's own flags promise. `observed`: the result of testing it
 * from inside, with the `evidence`.
 */
export const wallSchema = z.strictObject({
  wall: z.string(),
  declared: z.enum(['open', 'closed']).optional(),
  observed: z.enum(['open', 'closed', 'gap']),
  evidence: z.string().min(1),
});
export type Wall = z.infer<typeof wallSchema>;

/**
 * One run with a canary as its credential, and where the canary was found. `delivered`: whether the
 * canary arrived (with the `gateway` path: whether the run's own token did). `detail`: what was
 * searched, or why nothing could be.
 */
export const sweepSchema = z.strictObject({
  path: authPathSchema,
  delivered: z.enum(['yes', 'no']).or(gapSchema),
  places: z.array(
    z
      .strictObject({
        place: z.string(),
        verdict: z.enum(['clean', 'found', 'gap']),
        /** `shape`: raw, base64, URL-encoded, JSON-escaped, hex or partial. */
        hits: z.array(z.strictObject({ where: z.string(), shape: z.string() })),
        detail: z.string().min(1),
      })
      .refine(({ verdict, hits }) => (verdict === 'found') === hits.length > 0, {
        message: 'found is what has hits',
      }),
  ),
});
export type Sweep = z.infer<typeof sweepSchema>;

/** The duration of one operation inside, in one round: the median of a loop. */
export const workSchema = z.strictObject({
  /** `process-spawn`, `small-files` …: `lib/probes/tax/kinds.ts` names them. */
  probe: z.string(),
  opMs: z.number().positive().or(gapSchema),
  /** Number of operations that the median is based on. */
  ops: z.number().int().nonnegative().optional(),
  /** The reason for a gap. */
  detail: z.string().min(1).optional(),
});
export type Work = z.infer<typeof workSchema>;

const base = { atMs: z.number() };
const row = { ...base, entry: z.string() };

export const probeEventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...base,
    type: z.literal('probe-started'),
    schemaVersion: z.literal(PROBE_SCHEMA_VERSION),
    probe: z.string(),
    startedAt: z.string(),
    only: z.array(z.enum(PROBES)),
    seed: z.number().int(),
    /** Rounds of `tax`. */
    rounds: z.number().int().positive(),
    versions: z.strictObject({
      cagematch: z.string(),
      agent: z.string(),
      node: z.string(),
      commit: z.string().optional(),
    }),
    host: fingerprintSchema,
  }),
  ...rowEvents,
  /** A probe of a row begins. `round`: only for `tax`. */
  z.strictObject({
    ...row,
    type: z.literal('probing'),
    what: z.enum(PROBES),
    round: z.number().int().positive().optional(),
  }),
  z.strictObject({ ...row, type: z.literal('synced'), cell: syncCellSchema }),
  z.strictObject({ ...row, type: z.literal('walled'), wall: wallSchema }),
  z.strictObject({ ...row, type: z.literal('swept'), sweep: sweepSchema }),
  z.strictObject({
    ...row,
    type: z.literal('worked'),
    round: z.number().int().positive(),
    work: workSchema,
  }),
  /** A probe of a row that could not be completed; the results up to then remain valid. */
  z.strictObject({
    ...row,
    type: z.literal('broke-off'),
    what: z.enum(PROBES),
    reason: z.string(),
  }),
  z.strictObject({
    ...base,
    type: z.literal('probe-ended'),
    endedAt: z.string(),
    how: z.enum(['done', 'interrupted', 'failed']),
  }),
]);
export type ProbeEvent = z.infer<typeof probeEventSchema>;
/** An event before it gets its timestamp. */
export type UnstampedProbe = ProbeEvent extends infer E
  ? E extends ProbeEvent
    ? Omit<E, 'atMs'>
    : never
  : never;
