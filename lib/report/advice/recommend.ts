// What a finished match recommends: a pure fold of its rows and of probe observations, without
// advice where these cannot decide.
import type { Recommendation, Report } from '../document.js';
import type { ProbeDocument } from '../probe/document.js';
import { breakEvens } from './break-even.js';
import {
  type Advice,
  type Field,
  fieldOf,
  type Profile,
  whyNoChoice,
  whyNoDifference,
} from './field.js';
import { hostileCode } from './hostile-code.js';
import { longTasks } from './long-tasks.js';
import { parallel } from './parallel.js';
import { paretoSet } from './pareto.js';
import { shortTasks } from './short-tasks.js';

const PROFILES: Record<Profile, (field: Field) => Advice> = {
  'short tasks': shortTasks,
  'long tasks': longTasks,
  'hostile code': hostileCode,
  'many in parallel': parallel,
};

/**
 * Stand-ins are excluded: they are never recommended, and nothing is compared with them.
 * @param probes probes of the same machine; without them there is no recommendation for hostile
 *   code
 */
export function recommend(
  report: Omit<Report, 'recommendation'>,
  probes: readonly ProbeDocument[] = [],
): Recommendation {
  const field = fieldOf(report, probes);
  const none = whyNoChoice(field);
  const { silent: undecided, ...pareto } = paretoOf(field);
  const profiles: Recommendation['profiles'] = [];
  const silent: Recommendation['silent'] = [...undecided];
  for (const [profile, advise] of Object.entries(PROFILES) as [
    Profile,
    (field: Field) => Advice,
  ][]) {
    const advice = none === undefined ? advise(field) : { why: none };
    if ('why' in advice) silent.push({ profile, why: advice.why });
    else profiles.push({ profile, ...advice });
  }
  return { ...pareto, breakEven: breakEvens(report), profiles, silent };
}

/** Returns the report with its recommendation recomputed using the probes. */
export function withProbes(
  { recommendation, ...report }: Report,
  probes: readonly ProbeDocument[],
): Report {
  return { ...report, recommendation: recommend(report, probes) };
}

function paretoOf({
  compared,
  scale,
}: Field): Pick<Recommendation, 'pareto' | 'dominated' | 'silent'> {
  const rows = compared.filter(({ passed }) => passed > 0);
  const none = (why: string) => ({
    pareto: [],
    dominated: [],
    silent: [{ profile: 'pareto', why }],
  });
  if (rows.length < 2) return none('fewer than two rows have numbers of their own');
  const { undecided, ...sets } = paretoSet(rows, scale);
  if (undecided.length === rows.length)
    return none(whyNoDifference(rows, { scale }) ?? 'no two rows have enough rounds in common');
  const few = whyNoDifference(
    rows.filter(({ entry }) => !undecided.includes(entry)),
    { scale },
  );
  if (few !== undefined) return none(few);
  const silent =
    undecided.length === 0
      ? []
      : [
          {
            profile: 'pareto',
            why: `too few rounds in common with the others: ${undecided.join(', ')}`,
          },
        ];
  return { ...sets, silent };
}
