// Costs of a sandbox besides time, for a terminal: memory, CPU, disk, and the cause of every
// missing value.
import { isGap } from '../../record/types.js';
import { bytes, nameOf, whyDashes } from '../cells.js';
import type { ModeReport, Report } from '../document.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

const VALUES = ['peak memory', 'CPU s', 'machine CPU s', 'image', 'sandbox'] as const;

type Cost = Record<(typeof VALUES)[number], { shown: string; content: unknown }>;

function costOf({ cost, machine }: ModeReport): Cost {
  const shown = <V>(content: V, show: (value: Exclude<V, { gap: unknown }>) => string) => ({
    content,
    shown: isGap(content) ? '–' : show(content as Exclude<V, { gap: unknown }>),
  });
  return {
    'peak memory': shown(cost.memoryPeakBytes, ({ median }) => bytes(median)),
    'CPU s': shown(cost.cpuMs, ({ median }) => (median / 1000).toFixed(2)),
    'machine CPU s': shown(machine?.cpuMs ?? ({ gap: 'not-captured' } as const), ({ median }) =>
      (median / 1000).toFixed(2),
    ),
    image: shown(cost.imageBytes, bytes),
    sandbox: shown(cost.sandboxBytes, bytes),
  };
}

/** Only newer records contain the CPU time of the whole machine. */
const valuesOf = (modes: Report['modes']) =>
  VALUES.filter((value) => value !== 'machine CPU s' || modes.some(({ machine }) => machine));

/**
 * The rows of the table, and below it the cause of every dash; undefined if nothing was captured.
 */
export function costTable({
  modes,
}: Report): { head: string[]; rows: string[][]; dashes: string[] } | undefined {
  const costs = modes
    .filter((mode) => mode.passed > 0)
    .map((mode) => ({ name: nameOf(mode), cost: costOf(mode) }));
  const values = valuesOf(modes);
  const cells = costs.flatMap(({ name, cost }) =>
    values.map((value) => ({ row: name, value, content: cost[value].content })),
  );
  if (cells.every(({ content }) => isGap(content) && content.gap === 'not-captured'))
    return undefined;
  return {
    head: ['mode', ...values],
    rows: costs.map(({ name, cost }) => [name, ...values.map((value) => cost[value].shown)]),
    dashes: whyDashes(cells),
  };
}

export function renderCost(report: Report, style: Style): string {
  const costs = costTable(report);
  if (!costs) return '';
  const [only] = costs.rows;
  if (report.modes.length === 1 && only) {
    const known = costs.head
      .slice(1)
      .flatMap((value, at) =>
        only[at + 1] === '–'
          ? []
          : [
              value.endsWith('CPU s')
                ? `${value.slice(0, -2)} ${only[at + 1]} s`
                : `${value} ${only[at + 1]}`,
            ],
      );
    return [
      ...(known.length === 0 ? [] : wrap(`cost: ${known.join(', ')}`, '', '  ')),
      ...costs.dashes.flatMap((line) => wrap(line, '  ', '    ')),
    ].join('\n');
  }
  const table = borderless(
    costs.head.map(style.bold),
    costs.head.map((_, at) => (at === 0 ? 'left' : 'right')),
  );
  for (const row of costs.rows) table.push(row);
  return [
    style.bold('resource usage (medians) and disk'),
    trimmed(fitted(table)),
    ...costs.dashes.flatMap((line) => wrap(line, '  ', '    ')).map(style.faint),
  ].join('\n');
}
