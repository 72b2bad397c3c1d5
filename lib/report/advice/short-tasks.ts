// Which sandboxes finish a short task soonest, measured over the whole run, from launch until the
// sandbox is gone.
import { isGap } from '../../record/types.js';
import { called, duration, listed, ratio } from '../cells.js';
import type { ModeReport } from '../document.js';
import {
  type Advice,
  type Field,
  footing,
  groupName,
  pairsInCommon,
  whyNoDifference,
} from './field.js';
import { bestOf } from './scale.js';

export function shortTasks(field: Field): Advice {
  const { report, candidates, compared, scale, leftOut } = field;
  const timed = candidates.filter(
    (row) => row.phasesMs.total !== undefined && !isGap(row.phasesMs.total),
  );
  if (timed.length < 2)
    return { why: 'the time from launch to gone is known of fewer than two isolated rows' };
  const few = whyNoDifference(timed, field);
  if (few !== undefined) return { why: few };
  const n = pairsInCommon(timed, scale);
  const best = bestOf(
    timed,
    (row, other) => scale.verdict('total', row.entry, other.entry) === 'less',
  );
  if (best.length === timed.length)
    return {
      why: `no significant difference in total between ${listed(timed.map((row) => called(row, report)))} at n=${n}`,
    };
  const base = compared.find((row) => row.isolation === 'none');
  const group = groupName(
    best.map((row) => called(row, report)),
    `n=${n}`,
  );
  return {
    sentence: `Short tasks: ${group}: ${listed(best.map((row) => wholeRun(row, base)))} from launch to gone (task ${timed[0]?.task})${footing(best, leftOut)}.`,
    rows: [...best, ...(base ? [base] : [])].map(({ entry }) => entry),
    best: best.map(({ entry }) => entry),
  };
}

/** `853 ms [830–880], 1.25 × host` */
function wholeRun(
  { phasesMs: { total }, taxRatio }: ModeReport,
  base: ModeReport | undefined,
): string {
  if (total === undefined || isGap(total)) return '–';
  const interval = isGap(total.ci95)
    ? ''
    : ` [${total.ci95.map((bound) => Math.round(bound)).join('–')}]`;
  return `${duration(total.median)}${interval}${base && !isGap(taxRatio) ? ` (${ratio(taxRatio)} × ${base.entry})` : ''}`;
}
