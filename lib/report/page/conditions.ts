// The fingerprint: everything that the numbers depend on besides the runtimes' own work.
import type { Fingerprint } from '../../record/types.js';
import { doubts, firstRunLine, insideAlike } from '../circumstances.js';
import type { ModeReport, Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';

interface Conditions {
  host: Fingerprint;
  versions: Record<string, string>;
  /** Further facts, shown after the host's own. */
  more: [string, Markup | string][];
  modes: readonly Pick<ModeReport, 'entry' | 'title' | 'detection' | 'image'>[];
}

/** Reasons to doubt the numbers, shown above all of them. */
export function doubtsNote(report: Report): Markup | undefined {
  const lines = doubts(report);
  return lines.length === 0
    ? undefined
    : markup`<ul class="plain warn">${lines.map((line) => markup`<li>${line}</li>`)}</ul>`;
}

export function conditionsSection(report: Report, rows: Rows): Markup {
  const { match, modes } = report;
  const first = firstRunLine(report);
  const inside = insideAlike(report);
  const { host, load, versions } = match;
  const more: Conditions['more'] = [
    ['load before', loadText(load.before)],
    ['load after', loadText(load.after)],
    ...(first === undefined
      ? []
      : [['first run', first.replace(/^[^:]*: /, '× its median startup: ')] as [string, string]]),
    ...(inside === undefined
      ? []
      : [['inside', inside.replace(/^inside: /, '')] as [string, string]]),
  ];
  return fingerprint(
    { host, versions, more, modes },
    rows,
    'Numbers of two matches compare only as far as these agree.',
  );
}

/** @param note explains the purpose of these facts */
export function fingerprint(
  { host, versions, more, modes }: Conditions,
  rows: Rows,
  note: string,
): Markup {
  const known = ['cagematch', 'agent', 'node', 'commit'];
  const facts: [string, Markup | string][] = [
    ['CPU', host.cpu],
    ['cores', String(host.cores)],
    ['memory', `${host.memoryGiB} GiB`],
    ['OS', host.os],
    ['kernel', host.kernel],
    ['cgroup', host.cgroup],
    ['virtualization', host.virtualization],
    ...more,
    ['cagematch', versions.cagematch ?? unknown],
    ['commit', versions.commit ?? markup`<span class="gap">not a checkout, or not recorded</span>`],
    ['agent', versions.agent ?? unknown],
    ['Node', versions.node ?? unknown],
    ...Object.entries(versions).filter(([name]) => !known.includes(name)),
  ];
  return markup`<section aria-labelledby="conditions"><h2 id="conditions">The fingerprint</h2>
<p class="note">${note}</p>
<dl class="facts">${facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-mid"><col class="c-long"><col></colgroup><thead><tr><th scope="col">mode</th><th scope="col">runtime</th><th scope="col">image</th><th scope="col">facts</th></tr></thead>
<tbody>${modes.map(
    (mode) =>
      markup`<tr><th scope="row">${rows.link(mode.entry)}</th><td data-head="runtime">${runtime(mode)}</td><td data-head="image">${mode.image === undefined ? markup`<span class="gap">none recorded</span>` : markup`<code>${mode.image}</code>`}</td><td data-head="facts">${detectionCell(mode)}</td></tr>`,
  )}</tbody></table></div></section>`;
}

const unknown = markup`<span class="gap">not recorded</span>`;

/** Averages over 1, 5 and 15 minutes. */
function loadText(load: [number, number, number] | undefined): Markup | string {
  return load === undefined ? unknown : load.map((average) => average.toFixed(2)).join(' ');
}

function runtime({ title, detection }: Conditions['modes'][number]): string {
  return detection.status === 'ready'
    ? `${title} ${detection.version}`
    : `${title}: ${detection.status}, ${detection.reason}`;
}

function detectionCell({ detection }: Conditions['modes'][number]): Markup | undefined {
  if (detection.status !== 'ready') return undefined;
  const facts = Object.entries(detection.facts);
  if (facts.length === 0) return markup`<span class="gap">none told</span>`;
  return markup`<ul class="terse">${facts.map(([name, value]) => markup`<li><span class="key">${name}</span> ${String(value)}</li>`)}</ul>`;
}
