// README's table: one line per runtime of a match, with what a newcomer asks first.
import { isGap } from '../record/types.js';
import { isLabelledByTask, ratio, tasksOf, withoutLabel } from './cells.js';
import type { ModeReport, Report } from './document.js';
import { code, type Markdown, ofThisRepository, table } from './export/markdown-text.js';
import type { ProbeDocument } from './probe/document.js';
import { closedOf } from './probe/walls.js';

/** The rows of one task, named without the task's label. */
export function rowsOfTask(report: Report, task: string): ModeReport[] {
  return report.modes
    .filter((mode) => mode.task === task)
    .map((mode) => (isLabelledByTask(mode) ? { ...mode, entry: withoutLabel(mode.entry) } : mode));
}

/**
 * @param goodFor for each runtime, what it is good for in one phrase
 * @returns the table; or the names of runtimes of which only one of match and `goodFor` knows
 */
export function overviewTable(
  report: Report,
  probe: ProbeDocument,
  goodFor: Readonly<Record<string, string>>,
): { table: Markdown } | { unmatched: string[] } {
  const [short = report.match.task, ...longer] = tasksOf(report);
  const rows = rowsOfTask(report, short);
  const names = rows.map(({ entry }) => entry);
  const unmatched = [
    ...names.filter((name) => !Object.hasOwn(goodFor, name)),
    ...Object.keys(goodFor).filter((name) => !names.includes(name)),
  ];
  if (unmatched.length > 0) return { unmatched };
  const others = longer.map((task) => ({ task, rows: rowsOfTask(report, task) }));
  return {
    table: table(
      [
        'runtime',
        'isolation',
        'startup',
        ...[short, ...longer].map((task) => `overhead ×, task ${task}`),
        'isolation checks closed',
        'good for',
      ],
      rows.map((row) => [
        code(row.entry),
        row.isolation,
        isGap(row.startupMs) ? '–' : `${(row.startupMs.median / 1000).toFixed(1)} s`,
        ...[row, ...others.map((other) => other.rows.find(({ entry }) => entry === row.entry))].map(
          (one) => (one === undefined ? '–' : ratio(one.taxRatio)),
        ),
        closedOf(probe.walls[row.entry] ?? []),
        ofThisRepository(goodFor[row.entry] ?? ''),
      ]),
    ),
  };
}
