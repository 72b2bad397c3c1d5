// Zod schema of the findings of a probe, as printed by `probe --json`. `docs/schema/probe.json` is
// generated from it.
import { z } from 'zod';
import { PROBES, sweepSchema, syncCellSchema, wallSchema } from '../../record/probe.js';
import {
  absentSchema,
  detectionSchema,
  entrySchema,
  fingerprintSchema,
  gapSchema,
  warningSchema,
} from '../../record/types.js';

const probedModeSchema = entrySchema.extend({
  detection: detectionSchema,
  /** Digest of the image that was probed. */
  image: z.string().optional(),
});
export type ProbedMode = z.infer<typeof probedModeSchema>;

/** Time of one kind of work inside, divided by that in the baseline in the same round. */
const taxSchema = z.union([
  z.strictObject({
    probe: z.string(),
    ratio: z.number(),
    ci95: z.tuple([z.number(), z.number()]).or(gapSchema),
    /** Number of rounds in which both were measured. */
    n: z.number().int(),
  }),
  z.strictObject({ probe: z.string(), gap: z.string(), detail: z.string().optional() }),
]);
export type Tax = z.infer<typeof taxSchema>;

const brokeOffSchema = z.strictObject({
  entry: z.string(),
  /** `prepare`: the row could not be prepared, and nothing was tried in it. */
  what: z.enum([...PROBES, 'prepare']),
  reason: z.string(),
});

/**
 * Printed by `probe --json`, and by `report --format json` of a probe. In each requested table,
 * every row that was entered has a list.
 */
export const probeDocumentSchema = z.strictObject({
  schemaVersion: z.literal(1),
  probe: z.strictObject({
    id: z.string(),
    startedAt: z.string(),
    endedAt: z.string().optional(),
    how: z.enum(['done', 'interrupted', 'failed', 'crashed']),
    only: z.array(z.enum(PROBES)),
    seed: z.number().int(),
    /** Number of rounds of tax. */
    rounds: z.number().int(),
    /** The row that the others' work is compared with. */
    baseline: z.string().optional(),
    host: fingerprintSchema,
    versions: z.record(z.string(), z.string()),
  }),
  modes: z.array(probedModeSchema),
  absent: z.array(absentSchema),
  sync: z.record(z.string(), z.array(syncCellSchema)),
  walls: z.record(z.string(), z.array(wallSchema)),
  residue: z.record(z.string(), z.array(sweepSchema)),
  tax: z.record(z.string(), z.array(taxSchema)),
  /** Probes that could not be completed; findings up to that point are kept. */
  brokeOff: z.array(brokeOffSchema),
  warnings: z.array(warningSchema),
});
export type ProbeDocument = z.infer<typeof probeDocumentSchema>;
