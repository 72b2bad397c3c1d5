// The report of a match as a document: what --json prints, in zod. `docs/schema/report.json` is made from it.
import { z } from 'zod';
import {
  absentSchema,
  authSchema,
  detectionSchema,
  entrySchema,
  fingerprintSchema,
  gapSchema,
  guestSchema,
  leftoverSchema,
  outcomeSchema,
  plantedSchema,
  quietSchema,
  stateSchema,
  syncSchema,
  warningSchema,
} from '../record/types.js';
import { interval, pairedSchema, summarySchema } from '../statistics/shapes.js';

export type { Paired, Summary } from '../statistics/shapes.js';

const summary = summarySchema.or(gapSchema);
const paired = pairedSchema.or(gapSchema);
const amount = z.number().or(gapSchema);
/** What the pairs of two rows show. `too-few-runs`: so few pairs could not show it, whatever they were. */
const heldSchema = z.strictObject({
  /** a over b, paired by round: the Hodges–Lehmann estimate, the centre of the pairs' ratios. */
  ratio: z.number(),
  /** All ratios that Wilcoxon's signed-rank test does not reject; a gap under six pairs. */
  ci95: interval,
  differenceMs: pairedSchema,
  /** Of Wilcoxon's signed-rank test, adjusted (Holm) over every test of the document: all pairs of real rows, startup and total. */
  p: z.number(),
  /** `p` is under .05. */
  separable: z.boolean().or(gapSchema),
  /** The ratio was shown to lie within ±5 % of 1 (two one-sided tests, Holm over all of them). Neither this nor `separable`: not known. */
  equal: z.boolean().or(gapSchema),
  /** Standard deviation of the pairs' log ratios: .05 is some 5 % from round to round. */
  noise: amount.default({ gap: 'not-captured' }),
});

/** What a pair of usual noise would have shown in 9 of 10 matches like this one. */
const resolutionSchema = z.strictObject({
  /** Pairs, and their noise, middlemost of all pairs. */
  n: z.number(),
  noise: z.number(),
  /** A true ratio, above 1; a gap where so few pairs can show nothing. */
  detectable: amount,
  /** Rounds that would show 5 %. */
  runsForFivePercent: z.number().int(),
});

/** Whether the machine's pace changed from round to round. */
const driftSchema = z.strictObject({
  rounds: z.number().int(),
  /** Correlation of a round's pace with the one before. */
  lag1: z.number(),
  /** Pace of the second half of the rounds over that of the first. */
  secondHalf: z.number(),
  /** Of the rank-sum test between the halves. */
  halvesP: z.number(),
  /** Then intervals of ms are too narrow, and only ratios are to be trusted. */
  drifted: z.boolean(),
});

const modeReportSchema = entrySchema.extend({
  detection: detectionSchema,
  /** Digest of the image that was run. */
  image: z.string().optional(),
  /** Digest of what that image is made of; a rebuild without changes has the same. */
  content: z.string().optional(),
  n: z.number().int(),
  passed: z.number().int(),
  /** Of these n, the runs that were cut short from outside: they count neither for the row nor against it. */
  interrupted: z.number().int().default(0),
  /** Wilson's 95 % interval of the share that passes, of the runs that were not interrupted. */
  successCi95: z.tuple([z.number(), z.number()]).or(gapSchema).default({ gap: 'not-captured' }),
  startupMs: summary,
  /** Startup over the baseline's in the same round. */
  startupRatio: paired,
  /** Per round, against the baseline. */
  startupDifferenceMs: paired,
  /** Startup of the row's first warm-up run, which is in no other number; absent where there was none. */
  firstRunMs: amount.optional(),
  /** The agent's own part of startup: first process to first request. */
  bootMs: summary,
  /** Total, live less the time that the model was asked, against the baseline in the same round. */
  taxRatio: paired,
  taxMs: paired,
  /** Work, live less the time that the model was asked, against the baseline in the same round. */
  workRatio: paired,
  phasesMs: z.record(z.string(), summary),
  imageMs: amount,
  cost: z.strictObject({ memoryPeakBytes: summary, cpuMs: summary, imageBytes: amount, sandboxBytes: amount }),
  /** What this machine did around the runs that passed; absent in older records. */
  machine: z
    .strictObject({
      /** CPU time of the whole machine in a run, daemons and clients included. */
      cpuMs: summary,
      /** Runs that were looked at. */
      judged: z.number().int(),
      /** `steal`: the host of this machine took more than 5 % of its CPU time. `other`: more than 5 % beyond what the row's quieter runs have. */
      disturbed: z.array(z.strictObject({ run: z.string(), cause: z.enum(['steal', 'other']), share: z.number() })),
    })
    .optional(),
  /** The row's sandbox from inside; absent in older records. */
  guest: guestSchema.or(gapSchema).optional(),
  /** Startups beyond four interquartile ranges from the quartiles; they are in every number above. */
  outliers: z.array(z.strictObject({ run: z.string(), ms: z.number() })),
  auth: authSchema.or(gapSchema),
  sync: syncSchema.or(gapSchema),
  /** A gap where the runtime could not say what it still lists. */
  leftovers: z.array(leftoverSchema).or(gapSchema),
  /** Of these n, the runs that left something. */
  leftoverRuns: z.number().int().default(0),
  /** Files that run by themselves and that an agent added, changed or removed: of any run that counts, the first 1000. */
  planted: z
    .array(plantedSchema.extend({ run: z.string() }))
    .or(gapSchema)
    .default({ gap: 'not-captured' }),
  failures: z.array(z.strictObject({ run: z.string(), outcome: outcomeSchema })),
  /** What agents committed in workspaces that were copied: git bundles, relative to the match's folder; of the first 1000 runs. */
  bundles: z.array(z.strictObject({ run: z.string(), file: z.string() })).default([]),
});
export type ModeReport = z.infer<typeof modeReportSchema>;

/** Of two rows of one task and one state, whose options are the same unless they are two rows of one mode and variant. */
const comparisonSchema = z.strictObject({
  a: z.string(),
  b: z.string(),
  /** One of them is a stand-in: this is no finding. */
  standIn: z.literal(true).optional(),
  /** Rounds in which both passed. */
  n: z.number().int(),
  /** Of startup. */
  ...heldSchema.shape,
  /** Of what a run takes in all, less the time that a live model was asked. */
  total: heldSchema.or(gapSchema),
});

const burstSchema = z.strictObject({
  entry: z.string(),
  levels: z.array(
    z.strictObject({
      level: z.number().int(),
      n: z.number().int(),
      passed: z.number().int(),
      /** Of every wave: runs that passed, over the time from first launch to last teardown. */
      runsPerMinute: summary,
      startupMs: summary,
    }),
  ),
  leftOut: z.array(z.strictObject({ level: z.number().int(), reason: z.string() })),
  /** The level after which more at once no longer brings more a minute (10 %). */
  stopsAt: z.number().int().or(gapSchema),
});

/** Of the runs that count and got as far as a machine of their runtime: at one level of one row, on one of these. */
const placeSchema = z.strictObject({
  entry: z.string(),
  level: z.number().int(),
  /** By its name there: a cluster's member, a node, a region. */
  place: z.string(),
  n: z.number().int(),
  passed: z.number().int(),
  startupMs: summary,
});

/** One line of a fit compared with another, paired by round. */
const lineDifference = z.strictObject({
  difference: pairedSchema,
  /** After Holm's correction over all slopes and intercepts. */
  p: z.number(),
  separable: z.boolean().or(gapSchema),
});

/** Several tasks in one match: of each round a line through the tasks, total = intercept + slope × the baseline's work on the task. */
const lengthsSchema = z.strictObject({
  /** The sandbox whose work is the measure of a task's length. */
  baseline: z.string(),
  tasks: z.array(z.string()),
  fits: z.array(
    z.strictObject({
      /** A sandbox, whichever task it runs: its rows' name without the label of the task. */
      sandbox: z.string(),
      entries: z.array(z.string()),
      /** Rounds in which it and the baseline passed every task. */
      n: z.number().int(),
      interceptMs: pairedSchema,
      slope: pairedSchema,
    }),
  ),
  comparisons: z.array(
    z.strictObject({
      a: z.string(),
      b: z.string(),
      n: z.number().int(),
      /** In ms. */
      intercept: lineDifference,
      slope: lineDifference,
      /** The baseline's work at which both take equally long, where both differ significantly and in opposite directions. */
      equalAtMs: paired,
    }),
  ),
});

const recommendationSchema = z.strictObject({
  /** Rows that no other was shown to dominate in declared isolation, startup, total, success, sync and leftovers. */
  pareto: z.array(z.string()),
  /** `by` is better in at least one of these, by a difference that is declared or significant, and equal or better in the others. */
  dominated: z.array(z.strictObject({ entry: z.string(), by: z.string() })),
  breakEven: z.array(
    z.strictObject({
      entry: z.string(),
      against: z.string(),
      /** `negligible`: longer work makes the extra start and end less than 5 % of it. `overtakes`: longer work makes `entry` the faster. */
      kind: z.enum(['negligible', 'overtakes']),
      /** Of the baseline's work. */
      workMs: z.number(),
      ci95: interval,
    }),
  ),
  profiles: z.array(
    z.strictObject({
      profile: z.enum(['short tasks', 'long tasks', 'hostile code', 'many in parallel']),
      sentence: z.string(),
      /** The rows that the sentence rests on. */
      rows: z.array(z.string()),
      /** The rows, or sandboxes of several tasks, that it names as best. */
      best: z.array(z.string()),
    }),
  ),
  /** Why there is no sentence for a profile. */
  silent: z.array(z.strictObject({ profile: z.string(), why: z.string() })),
});
export type Recommendation = z.infer<typeof recommendationSchema>;

const load = z.tuple([z.number(), z.number(), z.number()]).optional();

/** Printed by `run --json`, and by `report --format json`. */
export const reportSchema = z.strictObject({
  schemaVersion: z.literal(1),
  match: z.strictObject({
    id: z.string(),
    startedAt: z.string(),
    endedAt: z.string().optional(),
    how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
    seed: z.number(),
    /** The most rounds there could be. */
    runs: z.number(),
    until: z.enum(['count', 'precise']),
    /** Rounds that were begun, warm-up not counted. */
    rounds: z.number(),
    warmup: z.number(),
    concurrency: z.number(),
    model: z.enum(['replay', 'live']),
    modelWhy: z.string(),
    task: z.string(),
    state: stateSchema,
    /** The row that all others are held against. */
    baseline: z.string().optional(),
    host: fingerprintSchema,
    versions: z.record(z.string(), z.string()),
    load: z.strictObject({ before: load, after: load }),
    /** How busy the machine was before the match. */
    quiet: quietSchema.optional(),
  }),
  modes: z.array(modeReportSchema),
  absent: z.array(absentSchema),
  /** Every run as it was recorded, in order; empty where only the summaries were asked for. */
  runs: z.array(z.record(z.string(), z.unknown())),
  comparisons: z.array(comparisonSchema),
  /** Absent where fewer than two sandboxes ran several tasks. */
  lengths: lengthsSchema.optional(),
  resolution: z
    .strictObject({
      /** In the family of pairs of real rows, and how many rounds it needs to find anything. */
      tests: z.number().int(),
      fewestPairs: z.number().int(),
      startup: resolutionSchema.or(gapSchema),
      total: resolutionSchema.or(gapSchema),
    })
    .default({ tests: 0, fewestPairs: 0, startup: { gap: 'not-captured' }, total: { gap: 'not-captured' } }),
  drift: driftSchema.or(gapSchema).default({ gap: 'not-captured' }),
  burst: z.array(burstSchema),
  /** Where a runtime has several machines; empty where none has. */
  places: z.array(placeSchema).default([]),
  recommendation: recommendationSchema,
  gaps: z.array(z.strictObject({ entry: z.string(), value: z.string(), gap: z.string() })),
  warnings: z.array(warningSchema),
});
export type Report = z.infer<typeof reportSchema>;
