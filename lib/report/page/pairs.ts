// Comparison of every two rows, and the pairs without a significant difference.
import { type Gap, isGap } from '../../record/types.js';
import { resolutionLines } from '../apart.js';
import type { Report } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { gapWords, interval, middle, orGap, plural, signed, times } from './words.js';

type Comparison = Report['comparisons'][number];
type Pair = Pick<Comparison, 'ratio' | 'ci95' | 'differenceMs' | 'separable'>;

export function pairsSection(report: Report, rows: Rows): Markup {
  const { comparisons } = report;
  const resolution = resolutionLines(report);
  const alike = comparisons.filter(({ separable }) => separable === false);
  const unknown = comparisons.filter(({ separable }) => isGap(separable));
  return markup`<section aria-labelledby="pairs"><h2 id="pairs">Pairs with no significant difference</h2>
${comparisons.length === 0 ? markup`<p>No two rows passed in the same round, so none can be compared.</p>` : undefined}
${comparisons.length > 0 && alike.length + unknown.length === 0 ? markup`<p>None: every two rows differ significantly (signed-rank tests, adjusted over all pairs).</p>` : undefined}
<ul class="plain">${alike.map(
    ({ a, b, n, ratio, ci95 }) =>
      markup`<li>${rows.link(a)} and ${rows.link(b)}: ratio of startups ${number(ratio)}${interval(ci95, number)}, <b>not separable at n=${n}</b></li>`,
  )}${
    unknown.length === 0
      ? undefined
      : markup`<li>${plural(unknown.length, 'pair')} of ${comparisons.length}: <b>cannot be said</b>, ${[...new Set(unknown.map(({ separable }) => (isGap(separable) ? gapWords(separable.gap) : '')))].join('; ')}</li>`
  }</ul>
${comparisons.length === 0 ? undefined : matrix(report, rows)}
${resolution.length === 0 ? undefined : markup`<h3>What this match could have seen</h3><ul class="plain">${resolution.map((line) => markup`<li>${line}</li>`)}</ul>`}</section>`;
}

const number = (value: number) => value.toFixed(2);

function matrix(report: Report, rows: Rows): Markup {
  const { comparisons } = report;
  const inPairs = report.modes
    .map(({ entry }) => entry)
    .filter((entry) => comparisons.some(({ a, b }) => a === entry || b === entry));
  const lefts = inPairs.filter((entry) => comparisons.some(({ a }) => a === entry));
  const tops = inPairs.filter((entry) => comparisons.some(({ b }) => b === entry));
  const cell = (left: string, top: string) => {
    const pair = comparisons.find(({ a, b }) => a === left && b === top);
    if (!pair) return markup`<td></td>`;
    const separable = pair.separable === true;
    return markup`<td class="${separable ? '' : 'alike'}"><b>${number(pair.ratio)}</b>${isGap(pair.ci95) ? undefined : markup`<small>[${number(pair.ci95[0])}–${number(pair.ci95[1])}]</small>`}${separable ? undefined : markup`<small>${pair.separable === false ? `not separable at n=${pair.n}` : `too few: n=${pair.n}`}</small>`}</td>`;
  };
  return markup`<figure><figcaption>Startup of the row over startup of the column, paired by round: median of the rounds’ ratios [95 % interval]. Dashed: no significant difference, adjusted over all pairs.</figcaption>
<div class="scroll" tabindex="0" role="group" aria-label="Ratios of startups"><table class="matrix"><thead><tr><th scope="col">row ÷ column</th>${tops.map((entry) => markup`<th scope="col">${rows.name(entry)}</th>`)}</tr></thead>
<tbody>${lefts.map((left) => markup`<tr><th scope="row">${rows.name(left)}</th>${tops.map((top) => cell(left, top))}</tr>`)}</tbody></table></div>
<details><summary>All pairs: startup and the whole run</summary>${everyPair(report, rows)}</details></figure>`;
}

function everyPair({ comparisons }: Report, rows: Rows): Markup {
  const cells = (pair: Pair) => {
    const { median, ci95 } = pair.differenceMs;
    const time = times(Math.max(Math.abs(median), ...(isGap(ci95) ? [] : ci95.map(Math.abs))));
    const difference = (ms: number) => signed(time.text(ms), ms);
    return markup`<td class="num">${middle({ median: pair.ratio, ci95: pair.ci95 }, number)}</td><td class="num">${middle(pair.differenceMs, difference)} ${time.unit}</td><td>${said(pair.separable)}</td>`;
  };
  return markup`<div class="scroll"><table class="dense"><thead>
<tr><th scope="col" rowspan="2">row</th><th scope="col" rowspan="2">over</th><th scope="col" rowspan="2" class="num">n</th><th scope="colgroup" colspan="3">startup</th><th scope="colgroup" colspan="3">total − model</th></tr>
<tr>${[0, 1].map(() => markup`<th scope="col" class="num">ratio</th><th scope="col" class="num">difference</th><th scope="col">separable</th>`)}</tr></thead>
<tbody>${comparisons.map(
    (pair) =>
      markup`<tr><th scope="row">${rows.name(pair.a)}</th><td>${rows.name(pair.b)}</td><td class="num">${pair.n}</td>${cells(pair)}${isGap(pair.total) ? markup`<td colspan="3">${orGap(pair.total, () => '')}</td>` : cells(pair.total)}</tr>`,
  )}</tbody></table></div>`;
}

const said = (separable: boolean | Gap): Markup =>
  orGap(separable, (yes) => (yes ? 'yes' : markup`<b>no</b>`));
