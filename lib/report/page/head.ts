// The top of the page: which match this is, how it ended, and what it recommends.
import type { Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { plural, times } from './words.js';

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
    ['ended', match.endedAt === undefined ? markup`<span class="gap">no end in the record</span>` : when(match.endedAt)],
    ['task', match.task],
    ['state', match.state],
    ['model', match.model],
    ['rounds', rounds],
    ['at once', match.concurrency === 1 ? 'one run' : `up to ${match.concurrency} runs`],
    ['order', `shuffled, seed ${match.seed}`],
    ['baseline', match.baseline ?? markup`<span class="gap">none in this match</span>`],
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

/** Nothing where the match recommends nothing and says nothing about why. */
export function recommendation({ recommendation: said }: Report, rows: Rows): Markup | undefined {
  const { profiles, silent, pareto, dominated, breakEven } = said;
  if (profiles.length + silent.length + pareto.length === 0) return undefined;
  const time = times(0);
  const long = times(Number.POSITIVE_INFINITY);
  const span = (ms: number) => (ms < 1000 ? `${time.text(ms)} ms` : `${long.text(ms)} s`);
  return markup`<section aria-labelledby="recommendation"><h2 id="recommendation">What it speaks for</h2>
${profiles.length === 0 ? markup`<p>The numbers of this match recommend nothing.</p>` : undefined}
<dl class="advice">${profiles.map(
    ({ profile, sentence, rows: cited }) =>
      markup`<div><dt>${profile}</dt><dd>${sentence} <span class="cited">(rests on ${listed(cited.map(rows.link))})</span></dd></div>`,
  )}${silent.map(({ profile, why }) => markup`<div class="silent"><dt>${profile}</dt><dd>No sentence: ${why}</dd></div>`)}</dl>
<ul class="plain">
${pareto.length === 0 ? undefined : markup`<li>No other row beats these in isolation, startup, tax, success and sync at once: ${listed(pareto.map(rows.link))}.</li>`}
${dominated.map(({ entry, by }) => markup`<li>${rows.link(entry)} is beaten in all of these, or equalled, by ${rows.link(by)}.</li>`)}
${breakEven.map(({ entry, against, kind, workMs }) =>
  kind === 'negligible'
    ? markup`<li>${rows.link(entry)} against ${rows.link(against)}: once the work takes longer than ${span(workMs)}, the longer startup is less than 5 % of it.</li>`
    : markup`<li>${rows.link(entry)} overtakes ${rows.link(against)} once the work takes longer than ${span(workMs)}.</li>`,
)}</ul></section>`;
}

function listed(items: Markup[]): Markup {
  return markup`${items.map((item, index) => markup`${index === 0 ? '' : ', '}${item}`)}`;
}
