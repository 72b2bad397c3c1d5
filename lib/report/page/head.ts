// The top of the page: which match this is, how it ended, and what it recommends.
import { CRITERIA } from '../advice/pareto.js';
import { baselineName, tasksOf } from '../cells.js';
import type { Report } from '../document.js';
import { lengthsTable } from '../terminal/lengths-block.js';
import { recommendationTitle } from '../terminal/recommendation-block.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { interval, plural, times } from './words.js';

const ENDED: Record<Report['match']['how'], string> = {
  done: 'ran to its end',
  interrupted: 'was interrupted: the rows hold what was finished',
  failed: 'failed: the rows hold what was finished',
  crashed: 'has no end in its record (crashed, or still running): the rows hold what was finished',
};

export function title(report: Report): Markup {
  const { match } = report;
  const rounds = `${match.rounds}${match.until === 'precise' ? `, until precise (at most ${match.runs})` : ` of ${match.runs}`}${match.warmup > 0 ? `, and ${match.warmup} of warm-up` : ''}`;
  const facts: [string, Markup | string][] = [
    ['started', when(match.startedAt)],
    [
      'ended',
      match.endedAt === undefined
        ? markup`<span class="gap">no end in the record</span>`
        : when(match.endedAt),
    ],
    ['task', tasksOf(report).join(', ')],
    ['state', match.state],
    ['model', match.model],
    ['rounds', rounds],
    ['at once', match.concurrency === 1 ? 'one run' : `up to ${match.concurrency} runs`],
    ['order', `shuffled, seed ${match.seed}`],
    ['baseline', baselineName(report) ?? markup`<span class="gap">none in this match</span>`],
  ];
  return markup`<header>
<p class="kicker">cagematch · one agent task, ${plural(report.modes.length, 'row')}</p>
<h1>Match ${match.id}</h1>
<p class="lead">The match ${ENDED[match.how]}. Model ${match.model}: ${match.modelWhy}.</p>
<dl class="facts">${facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

export const when = (stamp: string): Markup =>
  markup`<time datetime="${stamp}">${stamp.replace('T', ' ').replace(/(:\d\d)\.\d+Z$/, '$1 UTC')}</time>`;

/** Undefined if the match recommends nothing and there is no reason to give. */
export function recommendation(report: Report, rows: Rows): Markup | undefined {
  const { profiles, silent, pareto, dominated, breakEven } = report.recommendation;
  if (profiles.length + silent.length + pareto.length === 0) return undefined;
  const long = times(Number.POSITIVE_INFINITY);
  const span = (ms: number) => `${long.text(ms)} s`;
  const length = ({ workMs, ci95 }: (typeof breakEven)[number]) =>
    markup`${span(workMs)}${interval(ci95, span)}`;
  return markup`<section aria-labelledby="recommendation"><h2 id="recommendation">${capitalized(recommendationTitle(report))}</h2>
${profiles.length === 0 ? markup`<p>The numbers of this match recommend nothing.</p>` : undefined}
<dl class="advice">${profiles.map(
    ({ profile, sentence, rows: cited }) =>
      markup`<div><dt>${profile}</dt><dd>${sentence} <span class="cited">(based on ${listed(cited.map(rows.link))})</span></dd></div>`,
  )}${silent.map(({ profile, why }) => markup`<div class="silent"><dt>${profile}</dt><dd>No recommendation: ${why}</dd></div>`)}</dl>
<ul class="plain">
${pareto.length === 0 ? undefined : markup`<li>Pareto-optimal (${CRITERIA}): ${listed(pareto.map(rows.link))}.</li>`}
${dominated.map(({ entry, by }) => markup`<li>${rows.link(entry)} is dominated by ${rows.link(by)}.</li>`)}
${breakEven.map((line) =>
  line.kind === 'negligible'
    ? markup`<li>${rows.link(line.entry)}: extra start and end drop below 5 % of the task from ${length(line)} of ${rows.link(line.against)}’s work on.</li>`
    : markup`<li>${rows.link(line.entry)} overtakes ${rows.link(line.against)} on tasks longer than ${length(line)}.</li>`,
)}</ul></section>`;
}

const capitalized = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

/** Fits over tasks of several lengths. */
export function lengthsSection(report: Report): Markup | undefined {
  const table = lengthsTable(report);
  if (!table) return undefined;
  return markup`<section aria-labelledby="lengths"><h2 id="lengths">Tasks of several lengths</h2>
<p>${table.note}.</p>
<div class="scroll"><table class="dense"><thead><tr>${table.head.map((name, place) => markup`<th scope="col" class="${place === 0 ? '' : 'num'}">${name}</th>`)}</tr></thead>
<tbody>${table.rows.map(([name = '', ...cells]) => markup`<tr><th scope="row">${name}</th>${cells.map((cell) => markup`<td class="num">${cell}</td>`)}</tr>`)}</tbody></table></div></section>`;
}

function listed(items: Markup[]): Markup {
  return markup`${items.map((item, index) => markup`${index === 0 ? '' : ', '}${item}`)}`;
}
