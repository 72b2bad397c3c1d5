// What went wrong, what is missing, and what could not be measured, each with its cause.
import { bundleLines } from '../bundles.js';
import type { Report } from '../document.js';
import { plantedLines } from '../planted.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { gapWords } from './words.js';

export function troublesSection(report: Report, rows: Rows): Markup {
  return markup`<section aria-labelledby="troubles"><h2 id="troubles">Failures, and what is not here</h2>
${failures(report, rows)}${planted(report, rows)}${committed(report)}${warnings(report)}${absent(report)}${gaps(report, rows)}</section>`;
}

function failures({ modes }: Report, rows: Rows): Markup {
  const failed = modes.flatMap(({ entry, failures: own }) =>
    own.flatMap(({ run, outcome }) =>
      outcome.status === 'failed' ? [{ entry, run, ...outcome }] : [],
    ),
  );
  if (failed.length === 0) return markup`<h3>Failed runs</h3><p>None.</p>`;
  return markup`<h3>Failed runs</h3><p class="note">A failed run is in no time on this page.</p>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-mid"><col class="c-short"><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">run</th><th scope="col">cause</th><th scope="col">what was seen</th></tr></thead>
<tbody>${failed.map(
    ({ entry, run, cause, message, hint }) =>
      markup`<tr><th scope="row">${rows.link(entry)}</th><td data-head="run">${run}</td><td data-head="cause"><span class="bad">✗ ${cause}</span></td><td data-head="seen">${message}${hint === undefined ? undefined : markup`<small>hint: <code>${hint}</code></small>`}</td></tr>`,
  )}</tbody></table></div>`;
}

function planted(report: Report, rows: Rows): Markup | undefined {
  const lines = plantedLines(report);
  if (lines.length === 0) return undefined;
  return markup`<h3>Files that run by themselves</h3><p class="note">Hooks, editors' tasks and the like that an agent has touched: look before you work there.</p>
<ul class="plain">${lines.map(({ entry, runs, what }) => markup`<li>${rows.link(entry)} <small>${runs}</small>: <span class="bad">${what}</span></li>`)}</ul>`;
}

function committed(report: Report): Markup | undefined {
  const lines = bundleLines(report);
  if (lines.length === 0) return undefined;
  return markup`<h3>What agents committed</h3><ul class="plain">${lines.map((line) => markup`<li>${line}</li>`)}</ul>`;
}

export function warnings({ warnings: said }: Pick<Report, 'warnings'>): Markup | undefined {
  if (said.length === 0) return undefined;
  return markup`<h3>Warnings</h3><ul class="plain">${said.map(({ message }) => markup`<li>${message}</li>`)}</ul>`;
}

export function absent({ absent: missing }: Pick<Report, 'absent'>): Markup | undefined {
  if (missing.length === 0) return undefined;
  return markup`<h3>Not here, and what would change that</h3>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-short"><col><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">status</th><th scope="col">why</th><th scope="col">to type</th></tr></thead>
<tbody>${missing.map(
    ({ entry, letter, title, status, reason, hint }) =>
      markup`<tr><th scope="row"><span class="letter">${letter}</span> <span class="entry">${entry}</span><small>${title}</small></th><td data-head="status">${status}</td><td data-head="why">${reason}</td><td data-head="to type"><code>${hint}</code></td></tr>`,
  )}</tbody></table></div>`;
}

/**
 * Lists rows that lack the same values for the same reason together, because most rows lack the
 * same values.
 */
function gaps({ gaps: all, modes }: Report, rows: Rows): Markup | undefined {
  if (all.length === 0) return undefined;
  const byValue = [...grouped(all, ({ value, gap }) => JSON.stringify([gap, value])).values()];
  const byRows = grouped(byValue, (own) =>
    JSON.stringify([own[0]?.gap, own.map(({ entry }) => entry)]),
  );
  const where = (entries: string[]) =>
    entries.length === modes.length && modes.length > 1
      ? 'every row'
      : markup`${entries.map((entry, index) => markup`${index === 0 ? '' : ', '}${rows.link(entry)}`)}`;
  return markup`<h3>Not measured</h3>
<div class="cards"><table class="list"><colgroup><col class="c-long"><col class="c-long"><col></colgroup><thead><tr><th scope="col">in</th><th scope="col">why</th><th scope="col">values</th></tr></thead>
<tbody>${[...byRows.values()].map(
    (same) =>
      markup`<tr><th scope="row">${where(same[0]?.map(({ entry }) => entry) ?? [])}</th><td data-head="why">${gapWords(same[0]?.[0]?.gap ?? '')}</td><td data-head="values">${same.map((own) => own[0]?.value).join(', ')}</td></tr>`,
  )}</tbody></table></div>`;
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
