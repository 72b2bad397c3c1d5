// Wording shared by both forms of a comparison: the pace of the machine, the cells of a measure, a
// verdict.
import { isGap } from '../../record/types.js';
import { ALPHA } from '../../statistics/inference.js';
import type {
  ComparedRow,
  ComparisonDocument,
  Control,
  Difference,
  Measure,
  Measured,
} from './comparison.js';

/** How the baseline's own time changed between the matches; undefined if there is no such row. */
export function paceSentence({ control }: ComparisonDocument): string | undefined {
  if (!control) return undefined;
  const { entry, startup, total } = control;
  const changes = [
    ...(isGap(startup) ? [] : [`${entry} startup ${times(startup)}`]),
    ...(isGap(total) ? [] : [`total ${times(total)}`]),
  ].join(', ');
  if (isGap(startup))
    return `How fast the machine was cannot be said: ${entry} has no startup in both matches.`;
  const { change, separable } = startup;
  const percent = Math.round(Math.abs(change - 1) * 100);
  const pace =
    separable !== true
      ? 'The machine was about as fast as before'
      : `The machine was ${percent} % ${change > 1 ? 'slower' : 'faster'}`;
  return `${pace} (${changes}); rows are judged by their ratio to ${entry} in the same round.`;
}

export function headLine({
  kind,
  base,
  new: next,
  task,
  state,
  model,
}: ComparisonDocument): string {
  const asked = `task ${task}, state ${state}, model ${model}`;
  if (kind === 'interleaved')
    return `BASE ${base.from}, NEW ${next.from}, interleaved in ${next.match}: ${asked}`;
  return `BASE ${base.match}, NEW ${next.match}: ${asked}`;
}

/** Lines for the rows that are not in the table. */
export function missingLines({ notCompared, onlyIn }: ComparisonDocument): string[] {
  return [
    ...notCompared.map(({ entry, why }) => `${entry}: ${why}`),
    ...onlyIn.base.map((entry) => `${entry}: only in BASE`),
    ...onlyIn.new.map((entry) => `${entry}: only in NEW`),
  ];
}

/** Shortens digests; the JSON contains them in full. */
export function differenceWords({ of: subject, what, base, new: next }: Difference): string {
  const short = (value: string) =>
    value.replace(/^(?:sha256:)?([0-9a-f]{12})[0-9a-f]{28,52}$/, '$1');
  return `${subject === 'match' ? '' : `${subject} `}${what}: ${short(base)} → ${short(next)}`;
}

function times({ base, new: next, change, ci95 }: Exclude<Control, { gap: string }>): string {
  return `${Math.round(base)} → ${Math.round(next)} ms, ${range(change, ci95)}`;
}

function range(ratio: number, ci95: Exclude<Measured, { gap: string }>['ci95']): string {
  return isGap(ci95)
    ? ratio.toFixed(2)
    : `${ratio.toFixed(2)} [${ci95[0].toFixed(2)}–${ci95[1].toFixed(2)}]`;
}

export function measureName({ kind, baseline }: ComparisonDocument, name: Measure): string {
  return kind === 'interleaved' ? `${name} ms` : `${name} × ${baseline ?? 'baseline'}`;
}

/** Base, new and change. */
export function measureCells(
  { kind }: ComparisonDocument,
  measure: Measured,
): [string, string, string] {
  if (isGap(measure)) return ['–', '–', '–'];
  const amount = (value: number) =>
    kind === 'interleaved' ? String(Math.round(value)) : value.toFixed(2);
  return [amount(measure.base), amount(measure.new), range(measure.change, measure.ci95)];
}

export function changeWords(measure: Measured): string {
  if (isGap(measure)) return '';
  const { n, direction } = measure;
  const count = n.base === n.new ? `${n.base}` : `${n.base} and ${n.new}`;
  if (isGap(direction)) return `n=${count} is too few`;
  return direction === 'not separable' ? `not separable at n=${count}` : direction;
}

export function passesWords({ base, new: next, p, fewer }: ComparedRow['passes']): string {
  if (fewer) return 'fewer pass';
  if (base.passed === base.n && next.passed === next.n) return '';
  if (p <= ALPHA) return 'more pass';
  return 'not separable';
}
