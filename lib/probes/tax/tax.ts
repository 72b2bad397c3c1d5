// What work costs inside: the same loops in every row, once a round.
import { rounds } from '../../match/plan.js';
import type { Work } from '../../probe-record.js';
import { inSandbox, type Subject } from '../sandbox.js';

/** Where results go, and what bounds a try that fails. */
interface Hooks {
  worked(subject: Subject, round: number, work: Work): void;
  tried(subject: Subject, work: () => Promise<void>): Promise<void>;
}

/** Every round tries every row once, in a seeded shuffle. */
export async function probeTax(subjects: readonly Subject[], settings: { rounds: number; seed: number }, hooks: Hooks): Promise<void> {
  const known = new Map(subjects.map((subject) => [subject.entry.entry, subject]));
  let round = 0;
  for (const order of rounds(settings.seed, settings.rounds, [...known.keys()])) {
    round += 1;
    for (const subject of order.flatMap((entry) => known.get(entry) ?? []))
      await hooks.tried(subject, () =>
        inSandbox(subject, ['tax.mjs'], { tail: `tax-${round}` }, async (sandbox) => {
          for await (const { value } of sandbox.ask<Work>('tax.mjs', {})) hooks.worked(subject, round, value);
        }),
      );
  }
}
