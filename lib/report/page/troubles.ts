// What went wrong, what is not here, and what could not be measured, each with its cause.
import type { Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { gapWords } from './words.js';

export function troublesSection(report: Report, rows: Rows): Markup {
  return markup`<section aria-labelledby="troubles"><h2 id="troubles">Failures, and what is not here</h2>
${failures(report, rows)}${warnings(report)}${absent(report)}${gaps(report, rows)}</section>`;
}

function failures({ modes }: Report, rows: Rows): Markup {
  const failed = modes.flatMap(({ entry, failures: own }) =>
    own.flatMap(({ run, outcome }) => (outcome.status === 'failed' ? [{ entry, run, ...outcome }] : [])),
  );
  if (failed.length === 0) return markup`<h3>Failed runs</h3><p>None.</p>`;
  return markup`<h3>Failed runs</h3><p class="note">A failed run is in no time on this page.</p>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-mid"><col class="c-short"><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">run</th><th scope="col">cause</th><th scope="col">what was seen</th></tr></thead>
<tbody>${failed.map(
    ({ entry, run, cause, message, hint }) =>
      markup`<tr><th scope="row">${rows.link(entry)}</th><td data-head="run">${run}</td><td data-head="cause"><span class="bad">✗ ${cause}</span></td><td data-head="seen">${message}${hint === undefined ? undefined : markup`<small>hint: <code>${hint}</code></small>`}</td></tr>`,
  )}</tbody></table></div>`;
}

function warnings({ warnings: said }: Report): Markup | undefined {
  if (said.length === 0) return undefined;
  return markup`<h3>Warnings</h3><ul class="plain">${said.map(({ message }) => markup`<li>${message}</li>`)}</ul>`;
}

function absent({ absent: missing }: Report): Markup | undefined {
  if (missing.length === 0) return undefined;
  return markup`<h3>Not here, and what would change that</h3>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-short"><col><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">status</th><th scope="col">why</th><th scope="col">to type</th></tr></thead>
<tbody>${missing.map(
    ({ entry, letter, title, status, reason, hint }) =>
      markup`<tr><th scope="row"><span class="letter">${letter}</span> <span class="entry">${entry}</span><small>${title}</small></th><td data-head="status">${status}</td><td data-head="why">${reason}</td><td data-head="to type"><code>${hint}</code></td></tr>`,
  )}</tbody></table></div>`;
}

/** By row and cause: most rows lack several values for one reason. */
function gaps({ gaps: all }: Report, rows: Rows): Markup | undefined {
  if (all.length === 0) return undefined;
  const byRow = grouped(all, ({ entry }) => entry);
  return markup`<h3>Not measured</h3>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">values, and why they are missing</th></tr></thead>
<tbody>${[...byRow].map(([entry, own]) => {
    const byCause = grouped(own, ({ gap }) => gap);
    return markup`<tr><th scope="row">${rows.link(entry)}</th><td data-head="missing"><ul class="plain">${[...byCause].map(([cause, values]) => markup`<li>${values.map(({ value }) => value).join(', ')}: ${gapWords(cause)}</li>`)}</ul></td></tr>`;
  })}</tbody></table></div>`;
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
