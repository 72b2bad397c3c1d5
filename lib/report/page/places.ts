// Where the runs were: a line for each of a runtime's machines.
import type { Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { middle, orGap, times } from './words.js';

export function placesSection({ places, match }: Report, rows: Rows): Markup | undefined {
  if (places.length === 0) return undefined;
  const time = times(
    Math.max(0, ...places.flatMap(({ startupMs }) => ('gap' in startupMs ? [] : [startupMs.max]))),
  );
  const burst = match.concurrency > 1;
  const head = (words: string) => markup`<th scope="col" class="num">${words}</th>`;
  return markup`<section aria-labelledby="places"><h2 id="places">Places</h2>
<p>On which of a runtime’s machines the runs were: members of a cluster, nodes, regions.</p>
<div class="scroll"><table class="dense"><thead><tr><th scope="col">mode</th>${burst ? head('at once') : undefined}<th scope="col">on</th>${head('passed')}${head(`startup, ${time.unit}`)}</tr></thead>
<tbody>${places.map(
    ({ entry, level, place, n, passed, startupMs }) =>
      markup`<tr><th scope="row">${rows.name(entry)}</th>${burst ? markup`<td class="num">${level}</td>` : undefined}<td>${place}</td><td class="num"><span class="${passed === n ? 'good' : 'bad'}">${passed === n ? '✓' : '✗'} ${passed}/${n}</span></td><td class="num">${orGap(startupMs, (value) => middle(value, time.text))}</td></tr>`,
  )}</tbody></table></div></section>`;
}
