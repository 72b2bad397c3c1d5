// What a sandbox uses of the machine: memory, CPU, disk.
import { type Gap, isGap } from '../../record/types.js';
import type { ModeReport, Report, Summary } from '../document.js';
import { bars, type Quantity } from './bars.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { bytes, seconds } from './words.js';

const median = (value: Summary | Gap): number | Gap => (isGap(value) ? value : value.median);

export function costsFigure(report: Report, rows: Rows): Markup {
  const quantity = (
    head: string,
    text: (value: number) => string,
    valueIn: (mode: ModeReport) => number | Gap,
  ): Quantity => ({
    head,
    text,
    values: report.modes.map((mode) => ({
      entry: mode.entry,
      standIn: mode.standIn,
      value: valueIn(mode),
    })),
  });
  const quantities = [
    quantity('peak memory', bytes, ({ cost }) => median(cost.memoryPeakBytes)),
    quantity('CPU time', seconds, ({ cost }) => median(cost.cpuMs)),
    quantity('disk: image', bytes, ({ cost }) => cost.imageBytes),
    quantity('disk: one sandbox', bytes, ({ cost }) => cost.sandboxBytes),
  ];
  return markup`<section aria-labelledby="costs"><h2 id="costs">Costs</h2>
<figure><figcaption>Of one run, medians: what the sandbox’s own processes used, its monitor, sentry or VMM included, the runtime’s client not. Peak memory adds up every process’ own peak, so pages that they share count more than once. Each column has its own scale from 0.</figcaption>
${bars(quantities, report, rows)}</figure></section>`;
}
