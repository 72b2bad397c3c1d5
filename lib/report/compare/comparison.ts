// Zod schema of the output of `compare --json`. `docs/schema/compare.json` is generated from it.
import { z } from 'zod';
import { gapSchema, stateSchema } from '../../record/types.js';

const interval = z.tuple([z.number(), z.number()]).or(gapSchema);

/**
 * Two matches: startup, and total without model time, each divided by the baseline's in the same
 * round. Interleaved: in ms.
 */
export const MEASURES = ['startup', 'total'] as const;
export type Measure = (typeof MEASURES)[number];

const measureSchema = z
  .strictObject({
    /** Medians: of the ratios to the baseline for two matches, of ms for interleaved runs. */
    base: z.number(),
    new: z.number(),
    /** Number of rounds that count, on each side. */
    n: z.strictObject({ base: z.number().int(), new: z.number().int() }),
    /**
     * New over base: the Hodges–Lehmann estimate on a logarithmic scale, with the interval of the
     * exact test.
     */
    change: z.number(),
    /** A gap if there are too few rounds for an interval. */
    ci95: interval,
    /**
     * Two-sided: Mann–Whitney for two matches, Wilcoxon for pairs; after Holm's correction over all
     * tests of this document.
     */
    p: z.number(),
    /** Derived from `p`; a gap if there are too few rounds to reject anything. */
    direction: z.enum(['slower', 'faster', 'not separable']).or(gapSchema),
  })
  .or(gapSchema);
export type Measured = z.infer<typeof measureSchema>;

/**
 * The baseline's own change between the matches: the pace of the machine. It is not used for any
 * verdict.
 */
const controlSchema = z
  .strictObject({
    base: z.number(),
    new: z.number(),
    change: z.number(),
    ci95: interval,
    separable: z.boolean().or(gapSchema),
  })
  .or(gapSchema);
export type Control = z.infer<typeof controlSchema>;

/** Runs interrupted by the user are not counted. */
const passesSchema = z.strictObject({ passed: z.number().int(), n: z.number().int() });

const sideSchema = z.strictObject({
  match: z.string(),
  startedAt: z.string(),
  how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
  /** Interleaved only: the requested version, a match file or a checkout. */
  from: z.string().optional(),
});

export const comparisonDocument = z.strictObject({
  schemaVersion: z.literal(2),
  /**
   * `matches`: two matches, one after the other, each row compared with its baseline.
   * `interleaved`: both versions in the same rounds.
   */
  kind: z.enum(['matches', 'interleaved']),
  base: sideSchema,
  new: sideSchema,
  task: z.string(),
  state: stateSchema,
  model: z.enum(['replay', 'live']),
  /**
   * The row that startup and total are ratios to; absent if the two have none in common, or if the
   * runs are interleaved.
   */
  baseline: z.string().optional(),
  control: z
    .strictObject({ entry: z.string(), startup: controlSchema, total: controlSchema })
    .optional(),
  /**
   * Differences around the two. If one of `match` blocks, no row is judged; if one of a row blocks,
   * that row is not judged.
   */
  differences: z.array(
    z.strictObject({
      of: z.string(),
      what: z.string(),
      base: z.string(),
      new: z.string(),
      blocks: z.boolean(),
    }),
  ),
  rows: z.array(
    z.strictObject({
      entry: z.string(),
      standIn: z.boolean(),
      /** `p`: Fisher's exact test, two-sided, after Holm's correction; 1 if no run failed. */
      passes: z.strictObject({
        base: passesSchema,
        new: passesSchema,
        p: z.number(),
        fewer: z.boolean(),
      }),
      measures: z.strictObject({ startup: measureSchema, total: measureSchema }),
      /** Why this row is not judged. */
      cannotSay: z.string().optional(),
    }),
  ),
  /** Rows that cannot be compared, each with the reason. */
  notCompared: z.array(z.strictObject({ entry: z.string(), why: z.string() })),
  onlyIn: z.strictObject({ base: z.array(z.string()), new: z.array(z.string()) }),
  warnings: z.array(z.string()),
  /** Number of tests that Holm's correction covers. */
  tests: z.number().int(),
  /**
   * Percentage that the interval of a slowdown has to exceed; if absent, every separable slowdown
   * is listed.
   */
  failOver: z.number().optional(),
  /**
   * What became worse: slower by more than `failOver`, fewer passes, or a row that could no longer
   * be prepared.
   */
  regressions: z.array(
    z.strictObject({ entry: z.string(), what: z.enum([...MEASURES, 'passes', 'preparation']) }),
  ),
  /**
   * `cannot-say`: there is no regression among what could be judged, but not everything could be.
   */
  verdict: z.enum(['none', 'regression', 'cannot-say']),
  sentence: z.string(),
});
export type ComparisonDocument = z.infer<typeof comparisonDocument>;
export type ComparedRow = ComparisonDocument['rows'][number];
export type Difference = ComparisonDocument['differences'][number];
