// The overhead of work inside: the same loops in every row, once per round.
import { createRequire } from 'node:module';
import { CagematchError, messageOf } from '../../errors.js';
import { type Work, workSchema } from '../../record/probe.js';
import type { Gap } from '../../record/types.js';
import { rounds } from '../../sandbox/rounds.js';
import { inSandbox, type Subject } from '../sandbox.js';
import { KINDS } from './kinds.js';

/** Callbacks for the results, and a wrapper that contains failures. */
interface Hooks {
  worked(subject: Subject, round: number, work: Work): void;
  tried(subject: Subject, work: () => Promise<void>): Promise<void>;
}

/**
 * What is looped and for how long: at least `budgetMs` and `atLeast` operations, but after the
 * first operation at most `boundMs`.
 */
export interface Loops {
  kinds: readonly string[];
  budgetMs: number;
  atLeast: number;
  boundMs: number;
}

const LOOPS: Loops = {
  kinds: KINDS.map(({ probe }) => probe),
  budgetMs: 150,
  atLeast: 5,
  boundMs: 4000,
};

const SCRIPTS = ['tax.mjs', 'tax-files.mjs', 'tax-machine.mjs', 'tax-programs.mjs'];

/**
 * The library that times the loops: one file without imports, copied under a name that Node treats
 * as a module.
 */
const LIBRARY = { 'tinybench.mjs': createRequire(import.meta.url).resolve('tinybench') };

/**
 * Every round runs every row once, in a seeded shuffle. For each kind and round that was started, a
 * row gets an event or a gap.
 */
export async function probeTax(
  subjects: readonly Subject[],
  settings: { rounds: number; seed: number; loops?: Loops },
  hooks: Hooks,
): Promise<void> {
  const known = new Map(subjects.map((subject) => [subject.entry.entry, subject]));
  let round = 0;
  for (const order of rounds(settings.seed, settings.rounds, [...known.keys()])) {
    round += 1;
    for (const subject of order.flatMap((entry) => known.get(entry) ?? []))
      await hooks.tried(subject, () =>
        probeOnce(subject, round, settings.loops ?? LOOPS, (work) =>
          hooks.worked(subject, round, work),
        ),
      );
  }
}

/**
 * @throws the same errors as opening a sandbox, or that the script ended early; kinds that did not
 *   run are reported as gaps first
 */
async function probeOnce(
  subject: Subject,
  round: number,
  loops: Loops,
  tell: (work: Work) => void,
): Promise<void> {
  const missing = new Set(loops.kinds);
  const tellRest = (gap: Gap, detail: string) => {
    for (const probe of missing) tell({ probe, opMs: gap, detail });
  };
  try {
    await inSandbox(
      subject,
      SCRIPTS,
      { tail: `tax-${round}`, scripts: LIBRARY },
      async (sandbox) => {
        // Use the row's temporary folder: the one that a sandbox names in its environment may not
        // exist.
        const { tmp } = sandbox.layout;
        for await (const { value } of sandbox.ask('tax.mjs', { ...loops, tmp })) {
          const work = readWork(value, missing);
          missing.delete(work.probe);
          tell(work);
        }
      },
    );
  } catch (error) {
    tellRest({ gap: 'not-reached' }, messageOf(error));
    throw error;
  }
  tellRest({ gap: 'not-reported' }, 'the script ended and did not tell');
}

/** @throws `launch-failed` if the value is not a result that the script should print */
function readWork(value: unknown, expected: ReadonlySet<string>): Work {
  const { data, success } = workSchema.safeParse(value);
  if (success && expected.has(data.probe)) return data;
  throw new CagematchError(
    'launch-failed',
    `the script told what it was not asked: ${JSON.stringify(value).slice(0, 200)}`,
  );
}
