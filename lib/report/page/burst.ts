// Burst: runs per minute and startup time when several runs are started at once; one curve per row.
import { type Gap, isGap } from '../../record/types.js';
import type { Report, Summary } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { percent, type Scale, scaleFromZero } from './scale.js';
import { middle, orGap, plural, times } from './words.js';

type Burst = Report['burst'][number];
type Level = Burst['levels'][number];

const TOP = 12;
const BOTTOM = 104;

interface Axes {
  levels: number[];
  x(level: number): string;
  y(value: number): string;
  scale: Scale;
}

export function burstSection(report: Report, rows: Rows): Markup | undefined {
  const { burst } = report;
  if (burst.length === 0) return undefined;
  const levels = [
    ...new Set(burst.flatMap((row) => [...row.levels, ...row.leftOut].map(({ level }) => level))),
  ].sort((a, b) => a - b);
  const rate = axesOf(burst, levels, ({ runsPerMinute }) => runsPerMinute);
  const startup = axesOf(burst, levels, ({ startupMs }) => startupMs);
  const time = times(startup.scale.max);
  const left = burst.flatMap(({ entry, leftOut }) => leftOut.map((level) => ({ entry, ...level })));
  return markup`<section aria-labelledby="burst"><h2 id="burst">Burst</h2>
<figure><figcaption>Runs that passed a minute, and median startup in ${time.unit}, by how many were started at once; bars are 95 % intervals. Levels stand evenly spaced; one in brackets was left out. A cross is a level at which runs failed. All rows have the same scales; the grey curves are the other rows.</figcaption>
<div class="panels">${burst.map((row) => panel(row))}</div>
${left.length === 0 ? undefined : markup`<p><b>Left out</b></p><ul class="plain">${left.map(({ entry, level, reason }) => markup`<li>${rows.link(entry)}, ${level} at once: ${reason}</li>`)}</ul>`}
<details open><summary>The same in numbers</summary><div class="scroll"><table class="dense"><thead><tr><th scope="col">mode</th><th scope="col" class="num">at once</th><th scope="col" class="num">passed</th><th scope="col" class="num">runs a minute</th><th scope="col" class="num">startup, ${time.unit}</th><th scope="col" class="num">p95</th></tr></thead>
<tbody>${burst.flatMap((row) => row.levels.map((level) => numbers(row, level)))}</tbody></table></div></details></figure></section>`;

  function panel(row: Burst): Markup {
    const { entry, stopsAt } = row;
    return markup`<div class="panel"><p class="panel-title">${rows.link(entry)}</p>
${curve(
  row,
  rate,
  ({ runsPerMinute }) => runsPerMinute,
  'runs a minute',
  (value) => value.toFixed(0),
)}
${curve(row, startup, ({ startupMs }) => startupMs, `startup, ${time.unit}`, time.text)}
<p class="small">${isGap(stopsAt) ? 'No level was measured after which more at once brings less than 10 % more a minute.' : markup`More than <b>${stopsAt}</b> at once brings less than 10 % more a minute.`}${failed(row)}</p></div>`;
  }

  function curve(
    own: Burst,
    axes: Axes,
    quantityOf: (level: Level) => Summary | Gap,
    what: string,
    text: (value: number) => string,
  ): Markup {
    const label = `${rows.spoken(own.entry)}, ${what}: ${own.levels.map((level) => `${level.level} at once ${said(quantityOf(level), text)}`).join('; ')}`;
    const { scale, y } = axes;
    return markup`<svg class="${rows.isStandIn(own.entry) ? 'hollow' : ''}" width="100%" height="126" role="img" aria-label="${label}">
<g class="grid">${scale.ticks.map((tick) => markup`<line x1="0" x2="100%" y1="${y(tick)}" y2="${y(tick)}"/>`)}</g>
${typeof own.stopsAt === 'number' ? markup`<line class="stop" x1="${axes.x(own.stopsAt)}" x2="${axes.x(own.stopsAt)}" y1="${TOP}" y2="${BOTTOM}"/>` : undefined}
${burst.filter((other) => other !== own).map((other) => lines(other, axes, quantityOf, 'other'))}${lines(own, axes, quantityOf, 'own')}${points(own, axes, quantityOf, text)}
<g class="axis">${scale.ticks.map((tick, index) => (index === 0 ? undefined : markup`<text x="0" y="${Number(y(tick)) - 3}">${text(tick)}${index === scale.ticks.length - 1 ? ` ${what}` : ''}</text>`))}
${axes.levels.map((level) => markup`<text x="${axes.x(level)}" y="${BOTTOM + 16}" text-anchor="middle">${own.levels.some((candidate) => candidate.level === level) ? level : `(${level})`}</text>`)}</g></svg>`;
  }

  function numbers(
    { entry }: Burst,
    { level, n, passed, runsPerMinute, startupMs }: Level,
  ): Markup {
    return markup`<tr><th scope="row">${rows.name(entry)}</th><td class="num">${level}</td><td class="num"><span class="${passed === n ? 'good' : 'bad'}">${passed === n ? '✓' : '✗'} ${passed}/${n}</span></td><td class="num">${orGap(runsPerMinute, (value) => middle(value, (value) => value.toFixed(1)))}</td><td class="num">${orGap(startupMs, (value) => middle(value, time.text))}</td><td class="num">${orGap(startupMs, ({ p95 }) => orGap(p95, time.text))}</td></tr>`;
  }
}

function axesOf(
  burst: readonly Burst[],
  levels: number[],
  quantityOf: (level: Level) => Summary | Gap,
): Axes {
  const values = burst.flatMap((row) =>
    row.levels.flatMap((level) => {
      const value = quantityOf(level);
      return isGap(value) ? [] : [value.median, ...(isGap(value.ci95) ? [] : value.ci95)];
    }),
  );
  const scale = scaleFromZero(values, 3);
  return {
    levels,
    scale,
    x: (level) =>
      percent(
        levels.length === 1 ? 0.5 : 0.1 + (0.84 * levels.indexOf(level)) / (levels.length - 1),
      ),
    y: (value) => (BOTTOM - (value / scale.max) * (BOTTOM - TOP)).toFixed(1),
  };
}

/** Line segments from level to level; a level without a value interrupts the curve. */
function lines(
  { levels }: Burst,
  { x, y }: Axes,
  quantityOf: (level: Level) => Summary | Gap,
  kind: 'own' | 'other',
): Markup {
  return markup`<g class="curve ${kind}">${levels.slice(1).map((level, index) => {
    const before = levels[index] as Level;
    const [from, to] = [quantityOf(before), quantityOf(level)];
    if (isGap(from) || isGap(to)) return undefined;
    return markup`<line x1="${x(before.level)}" y1="${y(from.median)}" x2="${x(level.level)}" y2="${y(to.median)}"/>`;
  })}</g>`;
}

function points(
  { levels }: Burst,
  { x, y }: Axes,
  quantityOf: (level: Level) => Summary | Gap,
  text: (value: number) => string,
): Markup {
  return markup`${levels.map((level) => {
    const value = quantityOf(level);
    if (isGap(value)) return undefined;
    const at = x(level.level);
    const { median, ci95 } = value;
    const failed = level.passed < level.n;
    return markup`${isGap(ci95) ? undefined : markup`<line class="whisker" x1="${at}" x2="${at}" y1="${y(ci95[0])}" y2="${y(ci95[1])}"/>`}<svg x="${at}" y="${y(median)}" width="1" height="1" overflow="visible">${failed ? markup`<path class="cross" d="M-4-4L4 4M-4 4L4-4"/>` : markup`<circle class="dot" r="3.2"/>`}<title>${level.level} at once: ${text(median)}, ${level.passed} of ${level.n} passed</title></svg>`;
  })}`;
}

const said = (value: Summary | Gap, text: (value: number) => string) =>
  isGap(value) ? 'not known' : text(value.median);

function failed({ levels }: Burst): Markup | undefined {
  const bad = levels.filter(({ n, passed }) => passed < n);
  if (bad.length === 0) return undefined;
  return markup` <span class="bad">✗ ${bad.map(({ level, n, passed }) => `${plural(n - passed, 'run')} of ${n} failed at ${level}`).join(', ')}.</span>`;
}
