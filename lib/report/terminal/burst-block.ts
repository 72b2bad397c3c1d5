// Results of a burst, for a terminal: a column per level, and in words where scaling stops.
import { isGap } from '../../record/types.js';
import { listed, middle, namesOf, rate, whole } from '../cells.js';
import type { Report } from '../document.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

type Burst = Report['burst'][number];

/** One line for each value of each row; `cells` are in the order of `levels`. */
export function burstTable(report: Report): {
  levels: number[];
  rows: { entry: string; value: string; cells: string[] }[];
} {
  const { burst } = report;
  const name = namesOf(report);
  const levels = [...new Set(burst.flatMap((row) => row.levels.map(({ level }) => level)))].sort(
    (a, b) => a - b,
  );
  const rows = burst.flatMap((row) => {
    const line = (value: string, show: (level: Burst['levels'][number]) => string) => ({
      entry: name(row.entry),
      value,
      cells: levels.map((level) => {
        const found = row.levels.find((candidate) => candidate.level === level);
        return found ? show(found) : '–';
      }),
    });
    const failed = row.levels.some(({ n, passed }) => passed < n);
    const p95 = row.levels.some(({ startupMs }) => !isGap(startupMs) && !isGap(startupMs.p95));
    return [
      line('runs/min', ({ runsPerMinute }) => middle(runsPerMinute, rate)),
      line('startup ms', ({ startupMs }) => whole(startupMs)),
      ...(p95
        ? [line('p95 ms', ({ startupMs }) => (isGap(startupMs) ? '–' : whole(startupMs.p95)))]
        : []),
      ...(failed ? [line('failed', ({ n, passed }) => `${n - passed}/${n}`)] : []),
    ];
  });
  return { levels, rows };
}

/** Where each row stops scaling, and the levels that the machine had no room for. */
export function burstLines(report: Report): string[] {
  const name = namesOf(report);
  return report.burst.flatMap((row) => [
    `${name(row.entry)}: ${stops(row)}`,
    ...leftOut(name(row.entry), row),
  ]);
}

function stops({ levels, stopsAt }: Burst): string {
  if (levels.every(({ passed }) => passed === 0)) return 'no run passed';
  if (!isGap(stopsAt)) return `more than ${stopsAt} at once brings less than 10 % more a minute`;
  const last = levels.at(-1)?.level;
  return stopsAt.gap === 'not-reached' && last !== undefined
    ? `still scales at ${last} at once, the highest level`
    : 'too few levels to say where it stops';
}

function leftOut(name: string, { leftOut }: Burst): string[] {
  const reasons = new Map<string, number[]>();
  for (const { level, reason } of leftOut)
    reasons.set(reason, [...(reasons.get(reason) ?? []), level]);
  return [...reasons].map(
    ([reason, levels]) => `${name}: ${listed(levels.map(String))} at once left out: ${reason}`,
  );
}

export function renderBurst(report: Report, style: Style): string {
  if (report.burst.length === 0) return '';
  const { levels, rows } = burstTable(report);
  const table = borderless(['mode', 'at once', ...levels.map(String)].map(style.bold), [
    'left',
    'left',
    ...levels.map(() => 'right' as const),
  ]);
  for (const [at, { entry, value, cells }] of rows.entries())
    table.push([rows[at - 1]?.entry === entry ? '' : entry, value, ...cells]);
  return [
    style.bold('many at once'),
    trimmed(fitted(table)),
    ...burstLines(report).flatMap((line) => wrap(line, '  ', '    ')),
  ].join('\n');
}
