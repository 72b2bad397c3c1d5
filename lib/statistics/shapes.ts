// Samples and paired values as they are reported.
import { z } from 'zod';
import { gapSchema } from '../record/types.js';

/** 95 %; a gap under six samples, of which no interval covers that. */
export const interval = z.tuple([z.number(), z.number()]).or(gapSchema);

export const summarySchema = z.strictObject({
  median: z.number(),
  ci95: interval,
  min: z.number(),
  max: z.number(),
  /** A gap where no upper bound can be had: under 59 samples (in a burst: waves). */
  p95: z.number().or(gapSchema),
  /** The value that the true p95 lies below with 95 % confidence (order statistics). */
  p95Below: z.number().or(gapSchema).default({ gap: 'not-captured' }),
  /** The same; a gap under 299. */
  p99: z.number().or(gapSchema),
  p99Below: z.number().or(gapSchema).default({ gap: 'not-captured' }),
  /** In the order in which they were measured; nothing is dropped. */
  samples: z.array(z.number()),
});
export type Summary = z.infer<typeof summarySchema>;

/** Of paired values: `median` is the Hodges–Lehmann estimate (of all means of two of the pairs, the median), and its interval. */
export const pairedSchema = z.strictObject({ median: z.number(), ci95: interval });
export type Paired = z.infer<typeof pairedSchema>;
