// A probe as one self-contained HTML page, with the same sections that a match's page shows for it.
import { fingerprint } from '../page/conditions.js';
import { when } from '../page/head.js';
import { type Markup, markup } from '../page/markup.js';
import { rowsOf } from '../page/rows.js';
import { shell } from '../page/shell.js';
import { absent, warnings } from '../page/troubles.js';
import type { ProbeDocument } from './document.js';
import { probeSections } from './sections.js';
import { openingOf, titlesOf } from './words.js';

const ENDED: Record<ProbeDocument['probe']['how'], string> = {
  done: 'ran to its end',
  interrupted: 'was interrupted: the tables hold what was found until then',
  failed: 'failed: the tables hold what was found until then',
  crashed:
    'has no end in its record (crashed, or still running): the tables hold what was found until then',
};

/** The whole document, as text. */
export function renderProbeHtml(document: ProbeDocument): string {
  const { probe, modes } = document;
  const { host, versions } = probe;
  const missing = document.warnings.length + document.absent.length > 0;
  const rows = rowsOf(document);
  return shell(
    `cagematch probe ${probe.id}`,
    markup`${head(document)}
<main>
${probeSections(document)}
${missing ? markup`<section aria-labelledby="troubles"><h2 id="troubles">What is not here</h2>${warnings(document)}${absent(document)}</section>` : undefined}
${fingerprint({ host, versions, more: [], modes }, { ...rows, link: rows.name }, 'What is found depends on these, besides the runtimes themselves.')}
</main>`,
    markup`Made by cagematch from the record of the probe; the same as numbers: <code>cagematch report ${probe.id} --format json</code>. Nothing is told by colour alone.`,
  );
}

function head(document: ProbeDocument): Markup {
  const { probe } = document;
  const facts: [string, Markup | string][] = [
    ['started', when(probe.startedAt)],
    [
      'ended',
      probe.endedAt === undefined
        ? markup`<span class="gap">no end in the record</span>`
        : when(probe.endedAt),
    ],
    ['tried', titlesOf(document)],
    ...(probe.only.includes('tax')
      ? ([
          ['rounds of overhead', String(probe.rounds)],
          ['order', `shuffled, seed ${probe.seed}`],
          ['baseline', probe.baseline ?? markup`<span class="gap">none in this probe</span>`],
        ] as [string, Markup | string][])
      : []),
  ];
  return markup`<header>
<p class="kicker">cagematch · ${openingOf(document)}</p>
<h1>Probe ${probe.id}</h1>
<p class="lead">The probe ${ENDED[probe.how]}.</p>
<dl class="facts">${facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}
