// The verdict of a comparison, and the sentence that is its last line.
import { isGap } from '../../record/types.js';
import type { ComparisonDocument, Difference } from './comparison.js';

type Findings = Pick<
  ComparisonDocument,
  'rows' | 'regressions' | 'notCompared' | 'onlyIn' | 'failOver'
> & {
  /** Blocking differences of the whole match. */
  blocking: readonly Difference[];
  /** BASE and NEW are one match. */
  same: boolean;
};

export function concluded(findings: Findings): Pick<ComparisonDocument, 'verdict' | 'sentence'> {
  const { regressions, failOver, blocking } = findings;
  const over = failOver === undefined ? '' : ` over ${failOver} %`;
  if (findings.same)
    return { verdict: 'cannot-say', sentence: 'cannot say: BASE and NEW are the same match' };
  if (blocking.length > 0) {
    const names = blocking
      .map(({ what, base, new: next }) => `${what}: ${base} → ${next}`)
      .join('; ');
    return {
      verdict: 'cannot-say',
      sentence: `cannot say whether there is a regression${over}, because the matches differ (${names})`,
    };
  }
  const open = openQuestions(findings);
  const rest = open.length === 0 ? '' : `cannot say of ${open.join('; ')}`;
  if (regressions.length > 0) {
    const list = regressions.map(({ entry, what }) => `${entry} ${what}`).join(', ');
    return {
      verdict: 'regression',
      sentence: `regression${over}: ${list}${rest === '' ? '' : `; ${rest}`}`,
    };
  }
  if (rest === '') return { verdict: 'none', sentence: `no regression${over}` };
  const judged = findings.rows.some(
    ({ cannotSay, measures }) => cannotSay === undefined && !isGap(measures.startup),
  );
  return {
    verdict: 'cannot-say',
    sentence: judged ? `${rest}; no regression${over} in the other rows` : rest,
  };
}

/** Rows without a verdict, grouped by reason. */
function openQuestions({ rows, notCompared, onlyIn }: Findings): string[] {
  const because = [
    ...rows.flatMap(({ entry, cannotSay }) =>
      cannotSay === undefined ? [] : [{ entry, why: cannotSay }],
    ),
    ...notCompared,
    ...onlyIn.base.map((entry) => ({ entry, why: 'only in BASE' })),
  ];
  return [...new Set(because.map(({ why }) => why))].map(
    (why) =>
      `${because
        .filter((row) => row.why === why)
        .map(({ entry }) => entry)
        .join(', ')} (${why})`,
  );
}
