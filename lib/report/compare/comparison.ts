// What `compare --json` prints, in zod. `docs/schema/compare.json` is made from it.
import { z } from 'zod';
import { gapSchema, stateSchema } from '../../record/types.js';

const interval = z.tuple([z.number(), z.number()]).or(gapSchema);

/** In a comparison of two matches: startup, and total without model time, each over the baseline's in the same round. Interleaved: in ms. */
export const MEASURES = ['startup', 'total'] as const;
export type Measure = (typeof MEASURES)[number];

const measureSchema = z
  .strictObject({
    /** Medians: of the ratios to the baseline in two matches, of ms where the runs are interleaved. */
    base: z.number(),
    new: z.number(),
    /** Rounds that count, on each side. */
    n: z.strictObject({ base: z.number().int(), new: z.number().int() }),
    /** New over base, by Hodges and Lehmann's estimate on a logarithmic scale; its interval is the exact test's. */
    change: z.number(),
    /** A gap where there are too few rounds for an interval. */
    ci95: interval,
    /** Two-sided: Mann and Whitney's of two matches, Wilcoxon's of pairs; after Holm's correction over all tests of this document. */
    p: z.number(),
    /** By `p`; a gap where the rounds are too few to reject anything. */
    direction: z.enum(['slower', 'faster', 'not separable']).or(gapSchema),
  })
  .or(gapSchema);
export type Measured = z.infer<typeof measureSchema>;

/** The baseline's own change from match to match: the pace of the machine. It judges nothing. */
const controlSchema = z
  .strictObject({ base: z.number(), new: z.number(), change: z.number(), ci95: interval, separable: z.boolean().or(gapSchema) })
  .or(gapSchema);
export type Control = z.infer<typeof controlSchema>;

/** Runs that the user interrupted are not counted. */
const passesSchema = z.strictObject({ passed: z.number().int(), n: z.number().int() });

const sideSchema = z.strictObject({
  match: z.string(),
  startedAt: z.string(),
  how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
  /** Interleaved: what was asked for, a match file or a checkout. */
  from: z.string().optional(),
});

export const comparisonDocument = z.strictObject({
  schemaVersion: z.literal(2),
  /** `matches`: two that ran one after the other, each row held against its baseline. `interleaved`: both in the same rounds. */
  kind: z.enum(['matches', 'interleaved']),
  base: sideSchema,
  new: sideSchema,
  task: z.string(),
  state: stateSchema,
  model: z.enum(['replay', 'live']),
  /** The row that startup and total are ratios to; absent where there is none in both, and where the runs are interleaved. */
  baseline: z.string().optional(),
  control: z.strictObject({ entry: z.string(), startup: controlSchema, total: controlSchema }).optional(),
  /** What is not the same around the two. Where one of the `match` blocks, nothing is judged; where one of a row does, that row is not. */
  differences: z.array(z.strictObject({ of: z.string(), what: z.string(), base: z.string(), new: z.string(), blocks: z.boolean() })),
  rows: z.array(
    z.strictObject({
      entry: z.string(),
      standIn: z.boolean(),
      /** `p`: Fisher's exact test, two-sided, after Holm's correction; 1 where no run failed. */
      passes: z.strictObject({ base: passesSchema, new: passesSchema, p: z.number(), fewer: z.boolean() }),
      measures: z.strictObject({ startup: measureSchema, total: measureSchema }),
      /** Why this row is not judged. */
      cannotSay: z.string().optional(),
    }),
  ),
  /** Rows of both that do not ask the same. */
  notCompared: z.array(z.strictObject({ entry: z.string(), why: z.string() })),
  onlyIn: z.strictObject({ base: z.array(z.string()), new: z.array(z.string()) }),
  warnings: z.array(z.string()),
  /** How many tests Holm's correction is over. */
  tests: z.number().int(),
  /** Percent that the interval of a slow-down has to clear; absent: any separable slow-down is named. */
  failOver: z.number().optional(),
  /** What is worse: slower by more than `failOver`, fewer passes, or a row that could not be prepared any more. */
  regressions: z.array(z.strictObject({ entry: z.string(), what: z.enum([...MEASURES, 'passes', 'preparation']) })),
  /** `cannot-say`: there is no regression among what could be judged, and not all could be. */
  verdict: z.enum(['none', 'regression', 'cannot-say']),
  sentence: z.string(),
});
export type ComparisonDocument = z.infer<typeof comparisonDocument>;
export type ComparedRow = ComparisonDocument['rows'][number];
export type Difference = ComparisonDocument['differences'][number];
