// Zod schema of the report of a match, as printed by --json. `docs/schema/report.json` is generated
// from it.
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
/**
 * What the pairs of two rows show. `too-few-runs`: this few pairs could not show it, whatever their
 * values.
 */
const heldSchema = z.strictObject({
  /** a over b, paired by round: the Hodges–Lehmann estimate, the centre of the pairs' ratios. */
  ratio: z.number(),
  /**
   * All ratios that Wilcoxon's signed-rank test does not reject; a gap with fewer than six pairs.
   */
  ci95: interval,
  differenceMs: pairedSchema,
  /**
   * From Wilcoxon's signed-rank test, adjusted (Holm) over every test of the document: all pairs of
   * real rows, startup and total.
   */
  p: z.number(),
  /** True if `p` is below .05. */
  separable: z.boolean().or(gapSchema),
  /**
   * The ratio was shown to lie within ±5 % of 1 (two one-sided tests, Holm over all). If neither
   * this nor `separable`: undecided.
   */
  equal: z.boolean().or(gapSchema),
  /** Standard deviation of the pairs' log ratios: .05 is about 5 % from round to round. */
  noise: amount.default({ gap: 'not-captured' }),
});

/**
 * The difference that a pair with typical noise would have shown in 9 of 10 matches like this one.
 */
const resolutionSchema = z.strictObject({
  /** Number of pairs and their noise, each the median over all pairs of rows. */
  n: z.number(),
  noise: z.number(),
  /** A true ratio, above 1; a gap if this few pairs cannot show anything. */
  detectable: amount,
  /** Number of rounds that would show a difference of 5 %. */
  runsForFivePercent: z.number().int(),
});

/** Whether the machine's pace changed from round to round. */
const driftSchema = z.strictObject({
  rounds: z.number().int(),
  /** Correlation between the pace of a round and that of the previous one. */
  lag1: z.number(),
  /** Pace of the second half of the rounds divided by that of the first. */
  secondHalf: z.number(),
  /** p of the rank-sum test between the halves. */
  halvesP: z.number(),
  /** If true, intervals of ms are too narrow, and only ratios can be trusted. */
  drifted: z.boolean(),
});

const modeReportSchema = entrySchema.extend({
  detection: detectionSchema,
  /** Digest of the image that was used. */
  image: z.string().optional(),
  /** Digest of the image's content; it is the same after a rebuild without changes. */
  content: z.string().optional(),
  n: z.number().int(),
  passed: z.number().int(),
  /**
   * How many of these n runs were cut short from outside: they count neither for the row nor
   * against it.
   */
  interrupted: z.number().int().default(0),
  /** Wilson's 95 % interval of the pass rate of the runs that were not interrupted. */
  successCi95: z.tuple([z.number(), z.number()]).or(gapSchema).default({ gap: 'not-captured' }),
  startupMs: summary,
  /** Startup divided by the baseline's in the same round. */
  startupRatio: paired,
  /** Startup minus the baseline's in the same round. */
  startupDifferenceMs: paired,
  /**
   * Startup of the row's first warm-up run, which is in no other number; absent if there was none.
   */
  firstRunMs: amount.optional(),
  /** The agent's own part of startup: first process to first request. */
  bootMs: summary,
  /**
   * Total, when live minus the time spent on model requests, relative to the baseline in the same
   * round.
   */
  taxRatio: paired,
  taxMs: paired,
  /**
   * Work, when live minus the time spent on model requests, relative to the baseline in the same
   * round.
   */
  workRatio: paired,
  phasesMs: z.record(z.string(), summary),
  imageMs: amount,
  cost: z.strictObject({
    memoryPeakBytes: summary,
    cpuMs: summary,
    imageBytes: amount,
    sandboxBytes: amount,
  }),
  /** Activity of this machine around the runs that passed; absent in older records. */
  machine: z
    .strictObject({
      /** CPU time of the whole machine during a run, including daemons and clients. */
      cpuMs: summary,
      /** Number of runs that were examined. */
      judged: z.number().int(),
      /**
       * `steal`: this machine's host took more than 5 % of its CPU time. `other`: more than 5 %
       * above the row's quieter runs.
       */
      disturbed: z.array(
        z.strictObject({ run: z.string(), cause: z.enum(['steal', 'other']), share: z.number() }),
      ),
    })
    .optional(),
  /** Properties of the row's sandbox from inside; absent in older records. */
  guest: guestSchema.or(gapSchema).optional(),
  /**
   * Startups beyond four interquartile ranges from the quartiles; they are included in every number
   * above.
   */
  outliers: z.array(z.strictObject({ run: z.string(), ms: z.number() })),
  auth: authSchema.or(gapSchema),
  sync: syncSchema.or(gapSchema),
  /** A gap if the runtime could not report what it still lists. */
  leftovers: z.array(leftoverSchema).or(gapSchema),
  /** How many of these n runs left something behind. */
  leftoverRuns: z.number().int().default(0),
  /**
   * Files that run by themselves and that an agent added, changed or removed, from all counted
   * runs; the first 1000.
   */
  planted: z
    .array(plantedSchema.extend({ run: z.string() }))
    .or(gapSchema)
    .default({ gap: 'not-captured' }),
  failures: z.array(z.strictObject({ run: z.string(), outcome: outcomeSchema })),
  /**
   * What agents committed in copied workspaces: git bundles, relative to the match's folder; from
   * the first 1000 runs.
   */
  bundles: z.array(z.strictObject({ run: z.string(), file: z.string() })).default([]),
});
export type ModeReport = z.infer<typeof modeReportSchema>;

/**
 * Two rows with the same task and state; their options are equal unless both rows have the same
 * mode and variant.
 */
const comparisonSchema = z.strictObject({
  a: z.string(),
  b: z.string(),
  /** Present if one of the rows is a stand-in: the comparison is then not a finding. */
  standIn: z.literal(true).optional(),
  /** Number of rounds in which both passed. */
  n: z.number().int(),
  /** Comparison of startup. */
  ...heldSchema.shape,
  /** Comparison of the total time of a run, minus the time spent on requests to a live model. */
  total: heldSchema.or(gapSchema),
});

const burstSchema = z.strictObject({
  entry: z.string(),
  levels: z.array(
    z.strictObject({
      level: z.number().int(),
      n: z.number().int(),
      passed: z.number().int(),
      /** Per wave: runs that passed, divided by the time from first launch to last teardown. */
      runsPerMinute: summary,
      startupMs: summary,
    }),
  ),
  leftOut: z.array(z.strictObject({ level: z.number().int(), reason: z.string() })),
  /** The level above which more concurrency no longer increases runs per minute (by 10 %). */
  stopsAt: z.number().int().or(gapSchema),
});

/**
 * The counted runs of one row at one level that reached one particular machine of their runtime.
 */
const placeSchema = z.strictObject({
  entry: z.string(),
  level: z.number().int(),
  /** Name of the machine within the runtime: a cluster's member, a node, a region. */
  place: z.string(),
  n: z.number().int(),
  passed: z.number().int(),
  startupMs: summary,
});

/** Slope or intercept of a fit compared with another fit's, paired by round. */
const lineDifference = z.strictObject({
  difference: pairedSchema,
  /** Adjusted by Holm's correction over all slopes and intercepts. */
  p: z.number(),
  separable: z.boolean().or(gapSchema),
});

/**
 * Several tasks in one match: per round a line through the tasks, total = intercept + slope × the
 * baseline's work on the task.
 */
const lengthsSchema = z.strictObject({
  /** The sandbox whose work measures a task's length. */
  baseline: z.string(),
  tasks: z.array(z.string()),
  fits: z.array(
    z.strictObject({
      /** A sandbox, whichever task it runs: the name of its rows without the task label. */
      sandbox: z.string(),
      entries: z.array(z.string()),
      /** Number of rounds in which this sandbox and the baseline passed every task. */
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
      /** Difference in ms. */
      intercept: lineDifference,
      slope: lineDifference,
      /**
       * The baseline's work at which both take equally long, if slope and intercept differ
       * significantly and in opposite directions.
       */
      equalAtMs: paired,
    }),
  ),
});

const recommendationSchema = z.strictObject({
  /**
   * Rows that no other row was shown to dominate in declared isolation, startup, total, success,
   * sync and leftovers.
   */
  pareto: z.array(z.string()),
  /**
   * `by` is better in at least one of these criteria, by a declared or significant difference, and
   * equal or better in the others.
   */
  dominated: z.array(z.strictObject({ entry: z.string(), by: z.string() })),
  breakEven: z.array(
    z.strictObject({
      entry: z.string(),
      against: z.string(),
      /**
       * `negligible`: for longer work, extra start and end are less than 5 % of it. `overtakes`:
       * for longer work, `entry` is faster.
       */
      kind: z.enum(['negligible', 'overtakes']),
      /** Task length, as the baseline's work. */
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
      /** The rows that the sentence names as best; with several tasks, the sandboxes. */
      best: z.array(z.string()),
    }),
  ),
  /** Why there is no sentence for a profile. */
  silent: z.array(z.strictObject({ profile: z.string(), why: z.string() })),
});
export type Recommendation = z.infer<typeof recommendationSchema>;

const load = z.tuple([z.number(), z.number(), z.number()]).optional();

/** Printed by `run --json` and by `report --format json`. */
export const reportSchema = z.strictObject({
  schemaVersion: z.literal(1),
  match: z.strictObject({
    id: z.string(),
    startedAt: z.string(),
    endedAt: z.string().optional(),
    how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
    seed: z.number(),
    /** Maximum number of rounds. */
    runs: z.number(),
    until: z.enum(['count', 'precise']),
    /** Number of rounds begun, without warm-up. */
    rounds: z.number(),
    warmup: z.number(),
    concurrency: z.number(),
    model: z.enum(['replay', 'live']),
    modelWhy: z.string(),
    task: z.string(),
    state: stateSchema,
    /** The row that all others are compared with. */
    baseline: z.string().optional(),
    host: fingerprintSchema,
    versions: z.record(z.string(), z.string()),
    load: z.strictObject({ before: load, after: load }),
    /** How busy the machine was before the match. */
    quiet: quietSchema.optional(),
  }),
  modes: z.array(modeReportSchema),
  absent: z.array(absentSchema),
  /** Every run as recorded, in order; empty if only the summaries were requested. */
  runs: z.array(z.record(z.string(), z.unknown())),
  comparisons: z.array(comparisonSchema),
  /** Absent if fewer than two sandboxes ran several tasks. */
  lengths: lengthsSchema.optional(),
  resolution: z
    .strictObject({
      /**
       * Number of tests over pairs of real rows, and the fewest rounds with which they can find
       * anything.
       */
      tests: z.number().int(),
      fewestPairs: z.number().int(),
      startup: resolutionSchema.or(gapSchema),
      total: resolutionSchema.or(gapSchema),
    })
    .default({
      tests: 0,
      fewestPairs: 0,
      startup: { gap: 'not-captured' },
      total: { gap: 'not-captured' },
    }),
  drift: driftSchema.or(gapSchema).default({ gap: 'not-captured' }),
  burst: z.array(burstSchema),
  /** For runtimes with several machines; empty if there are none. */
  places: z.array(placeSchema).default([]),
  recommendation: recommendationSchema,
  gaps: z.array(z.strictObject({ entry: z.string(), value: z.string(), gap: z.string() })),
  warnings: z.array(warningSchema),
});
export type Report = z.infer<typeof reportSchema>;
