// Schemas of summaries of samples and of paired values, as they are reported.
import { z } from 'zod';
import { gapSchema } from '../record/types.js';

/**
 * A 95 % confidence interval; a gap under six samples, with which no interval has that coverage.
 */
export const interval = z.tuple([z.number(), z.number()]).or(gapSchema);

export const summarySchema = z.strictObject({
  median: z.number(),
  ci95: interval,
  min: z.number(),
  max: z.number(),
  /** The 95th percentile; a gap if it has no upper bound: under 59 samples (in a burst: waves). */
  p95: z.number().or(gapSchema),
  /** Upper bound of the true p95, with 95 % confidence (from order statistics). */
  p95Below: z.number().or(gapSchema).default({ gap: 'not-captured' }),
  /** The 99th percentile; a gap under 299 samples or waves. */
  p99: z.number().or(gapSchema),
  p99Below: z.number().or(gapSchema).default({ gap: 'not-captured' }),
  /** In the order in which they were measured; nothing is dropped. */
  samples: z.array(z.number()),
});
export type Summary = z.infer<typeof summarySchema>;

/**
 * Summary of paired values: `median` is the Hodges–Lehmann estimate (the median of all pairwise
 * means), `ci95` its confidence interval.
 */
export const pairedSchema = z.strictObject({ median: z.number(), ci95: interval });
export type Paired = z.infer<typeof pairedSchema>;
