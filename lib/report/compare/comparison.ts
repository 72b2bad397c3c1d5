// What `compare --json` prints, in zod. `docs/schema/compare.json` is made from it.
import { z } from 'zod';
import { gapSchema, stateSchema } from '../../record.js';

const interval = z.tuple([z.number(), z.number()]).or(gapSchema);

/** Startup and total in ms; tax: (total − model) over the baseline's in the same round; work: ms, model time taken out. */
export const MEASURES = ['startup', 'total', 'tax', 'work'] as const;
export type Measure = (typeof MEASURES)[number];

const measureSchema = z
  .strictObject({
    /** Medians. */
    base: z.number(),
    new: z.number(),
    n: z.strictObject({ base: z.number().int(), new: z.number().int() }),
    /** New over base; its interval is a two-sample bootstrap's. */
    ratio: z.number(),
    ci95: interval,
    /** A gap with fewer than six on a side. */
    direction: z.enum(['slower', 'faster', 'not separable']).or(gapSchema),
  })
  .or(gapSchema);
export type Measured = z.infer<typeof measureSchema>;

/** Runs that the user cut short are not counted. */
const passesSchema = z.strictObject({ passed: z.number().int(), n: z.number().int() });

const sideSchema = z.strictObject({
  match: z.string(),
  startedAt: z.string(),
  how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
});

export const comparisonDocument = z.strictObject({
  schemaVersion: z.literal(1),
  base: sideSchema,
  new: sideSchema,
  task: z.string(),
  state: stateSchema,
  model: z.enum(['replay', 'live']),
  /** What is not the same around the two. Where one of them `blocks`, nothing is called a regression. */
  differences: z.array(z.strictObject({ of: z.string(), what: z.string(), base: z.string(), new: z.string(), blocks: z.boolean() })),
  rows: z.array(
    z.strictObject({
      entry: z.string(),
      standIn: z.boolean(),
      passes: z.strictObject({ base: passesSchema, new: passesSchema, lost: z.boolean() }),
      measures: z.strictObject({ startup: measureSchema, total: measureSchema, tax: measureSchema, work: measureSchema }),
    }),
  ),
  /** Rows of both that do not ask the same. */
  notCompared: z.array(z.strictObject({ entry: z.string(), why: z.string() })),
  onlyIn: z.strictObject({ base: z.array(z.string()), new: z.array(z.string()) }),
  warnings: z.array(z.string()),
  /** Percent; absent: any separable slow-down is named, and none fails. */
  failOver: z.number().optional(),
  /** What is worse by more than `failOver`; empty where the surroundings differ. */
  regressions: z.array(z.strictObject({ entry: z.string(), what: z.enum([...MEASURES, 'passed']) })),
  verdict: z.enum(['none', 'regression', 'withheld']),
  sentence: z.string(),
});
export type ComparisonDocument = z.infer<typeof comparisonDocument>;
export type ComparedRow = ComparisonDocument['rows'][number];
export type Difference = ComparisonDocument['differences'][number];
