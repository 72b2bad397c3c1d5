// Bars in table cells: one column per quantity, each on its own scale from 0, with the value beside
// its bar.
import { type Gap, isGap } from '../../record/types.js';
import type { Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { scaleFromZero } from './scale.js';
import { gapWords } from './words.js';

export interface Quantity {
  head: string;
  /** One value per row of the report, in the report's order. */
  values: { entry: string; standIn: boolean; value: number | Gap }[];
  text(value: number): string;
}

export function bars(quantities: readonly Quantity[], report: Report, rows: Rows): Markup {
  const columns = quantities.map((quantity) => ({
    ...quantity,
    scale: scaleFromZero(quantity.values.flatMap(({ value }) => (isGap(value) ? [] : [value]))),
  }));
  return markup`<table class="bars ${quantities.length === 1 ? 'single' : ''}"><thead><tr><th scope="col">mode</th>${columns.map(({ head }) => markup`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${report.modes.map(
    ({ entry, standIn }, index) =>
      markup`<tr><th scope="row">${rows.link(entry)}</th>${columns.map(
        ({ head, values, text, scale }) => {
          const value = values[index]?.value ?? { gap: 'not-captured' as const };
          if (isGap(value))
            return markup`<td data-head="${head}"><span class="gap">${gapWords(value.gap)}</span></td>`;
          return markup`<td data-head="${head}"><span class="amount">${text(value)}</span><svg class="bar ${standIn ? 'hollow' : ''}" width="100%" height="14" aria-hidden="true"><rect class="amount" x="0" y="2" width="${scale.at(value)}" height="10"/></svg></td>`;
        },
      )}</tr>`,
  )}</tbody></table>`;
}
