// The table: one row per mode, with its cost and its properties.
import { type Gap, isGap } from '../../record/types.js';
import { driftLine } from '../apart.js';
import { authShort, baselineName, syncShort } from '../cells.js';
import type { ModeReport, Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import { particulars, type Rows, standInNote } from './rows.js';
import { bytes, middle, orGap, seconds, signed, times } from './words.js';

interface Column {
  head: string;
  number?: boolean;
  /** Foreign text of any length. */
  free?: boolean;
  cell(mode: ModeReport): Markup | string;
}

export function summaryTable(report: Report, rows: Rows): Markup {
  const { match } = report;
  const time = times(
    Math.max(
      0,
      ...report.modes.flatMap(({ startupMs }) => (isGap(startupMs) ? [] : [startupMs.median])),
    ),
  );
  const columns: Column[] = [
    { head: 'isolation', cell: (mode) => mode.isolation },
    {
      head: `startup, ${time.unit}`,
      number: true,
      cell: (mode) => orGap(mode.startupMs, (value) => middle(value, time.text)),
    },
    {
      head: `× ${baselineName(report) ?? 'baseline'}`,
      number: true,
      cell: (mode) =>
        orGap(mode.startupRatio, (value) => middle(value, (number) => number.toFixed(2))),
    },
    { head: 'overhead ×', number: true, cell: (mode) => overhead(mode) },
    { head: 'passed', number: true, cell: passed },
    { head: 'sync', cell: (mode) => orGap(mode.sync, (sync) => syncShort(sync)) },
    { head: 'auth', cell: (mode) => orGap(mode.auth, () => authShort(mode)) },
    { head: 'leftovers', free: true, cell: (mode) => orGap(mode.leftovers, leftovers) },
    {
      head: 'peak memory',
      number: true,
      cell: ({ cost }) => orGap(cost.memoryPeakBytes, ({ median }) => bytes(median)),
    },
    {
      head: 'CPU',
      number: true,
      cell: ({ cost }) => orGap(cost.cpuMs, ({ median }) => seconds(median)),
    },
    { head: 'disk', number: true, cell: disk },
  ];
  return markup`<section aria-labelledby="table"><h2 id="table">The table</h2>
${standInNote(report)}${driftNote(report)}
<div class="cards"><table class="summary">
<thead><tr><th scope="col">mode</th>${columns.map(({ head, number }) => markup`<th scope="col" class="${number ? 'num' : ''}">${head}</th>`)}</tr></thead>
<tbody>${report.modes.map(
    (mode) =>
      markup`<tr id="${rows.id(mode.entry)}"><th scope="row"><span class="letter">${mode.letter}</span> ${rows.name(mode.entry)}${aside(
        [mode.title.toLowerCase() === mode.mode ? '' : mode.title, particulars(mode, match)]
          .filter(Boolean)
          .join(' · '),
      )}</th>${columns.map(
        ({ head, number, free, cell }) =>
          markup`<td class="${number ? 'num' : free ? 'free' : ''}" data-head="${head}">${cell(mode)}</td>`,
      )}</tr>`,
  )}</tbody></table></div>
<p class="note">Startup: from launch to the agent’s first model request, median [95 % interval]. × and overhead: startup and the whole run (live without the model’s time) over the baseline’s in the same round, with their intervals; under six runs there is none. Sync: <i>live</i> files are seen outside at once, <i>at collect</i> after the agent has ended. Memory and CPU: medians of the sandbox’s own processes. Disk: image + one idle sandbox.</p>
</section>`;
}

const aside = (words: string) => (words === '' ? undefined : markup`<small>${words}</small>`);

function overhead({ taxRatio, taxMs }: ModeReport): Markup {
  return orGap(taxRatio, (value) => {
    const whole = middle(value, (number) => number.toFixed(2));
    return isGap(taxMs)
      ? whole
      : markup`${whole}<small>${signed(times(Math.abs(taxMs.median)).text(taxMs.median), taxMs.median)} ${times(Math.abs(taxMs.median)).unit}</small>`;
  });
}

function passed(mode: ModeReport): Markup {
  const all = mode.n > 0 && mode.passed === mode.n;
  return markup`<span class="${all ? 'good' : 'bad'}">${all ? '✓' : '✗'} ${mode.passed}/${mode.n}</span>`;
}

function leftovers(left: { kind: string }[]): Markup | string {
  if (left.length === 0) return 'none';
  const counts = new Map<string, number>();
  for (const { kind } of left) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return markup`<span class="bad">✗ ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')}</span>`;
}

function disk({ cost }: ModeReport): Markup {
  const { imageBytes, sandboxBytes } = cost;
  if (isGap(imageBytes) && isGap(sandboxBytes)) return orGap<number>(imageBytes, bytes);
  const part = (value: number | Gap) => (isGap(value) ? '?' : bytes(value));
  return markup`${part(imageBytes)}<small>+ ${part(sandboxBytes)}</small>`;
}

function driftNote(report: Report): Markup | undefined {
  const line = driftLine(report);
  return line === undefined ? undefined : markup`<p class="note warn">${line}.</p>`;
}
