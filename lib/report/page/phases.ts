// Where the time goes: the parts of a run as stacked bars, with all rows on one scale from 0.
import { type Gap, isGap } from '../../record/types.js';
import type { ModeReport, Report, Summary } from '../document.js';
import { bars } from './bars.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { axis, gridLines, scaleFromZero } from './scale.js';
import { nothing } from './startup.js';
import { gapShort, middle, orGap, times } from './words.js';

interface PartOfRun {
  id: string;
  name: string;
  what: string;
  durationOf(mode: ModeReport): number | Gap;
}

const phase = (mode: ModeReport, name: string): Summary | Gap =>
  mode.phasesMs[name] ?? { gap: 'not-captured' };
const medianOf = (value: Summary | Gap): number | Gap => (isGap(value) ? value : value.median);
const NOT_SPLIT: Gap = { gap: 'not-reported' };

/** If the first process was not seen, startup cannot be split. */
const isSplit = (mode: ModeReport) => !isGap(phase(mode, 'firstProcess')) && !isGap(mode.bootMs);

const PARTS: PartOfRun[] = [
  {
    id: 'start',
    name: 'runtime start',
    what: 'launch → first process',
    durationOf: (mode) => (isSplit(mode) ? medianOf(phase(mode, 'firstProcess')) : NOT_SPLIT),
  },
  {
    id: 'boot',
    name: 'agent boot',
    what: 'first process → first request',
    durationOf: (mode) => (isSplit(mode) ? medianOf(mode.bootMs) : NOT_SPLIT),
  },
  {
    id: 'unsplit',
    name: 'startup, not split',
    what: 'launch → first request',
    durationOf: (mode) => (isSplit(mode) ? { gap: 'not-applicable' } : medianOf(mode.startupMs)),
  },
  {
    id: 'work',
    name: 'work',
    what: 'first request → result',
    durationOf: (mode) => medianOf(phase(mode, 'work')),
  },
  { id: 'end', name: 'end', what: 'exit + teardown', durationOf: endOf },
  {
    id: 'collect',
    name: 'collect',
    what: 'workspace back',
    durationOf: (mode) => medianOf(phase(mode, 'collect')),
  },
];

/**
 * A one-shot container is removed during exit, an instance during teardown, so only the sum of both
 * is comparable.
 */
function endOf(mode: ModeReport): number | Gap {
  const [exit, teardown] = [phase(mode, 'exit'), phase(mode, 'teardown')];
  if (isGap(exit)) return exit;
  if (isGap(teardown)) return teardown.gap === 'in-exit' ? exit.median : teardown;
  return exit.median + teardown.median;
}

const partsOf = (mode: ModeReport) =>
  PARTS.flatMap((part) => {
    const ms = part.durationOf(mode);
    return isGap(ms) ? [] : [{ ...part, ms }];
  });
const sumOf = (mode: ModeReport) => partsOf(mode).reduce((sum, { ms }) => sum + ms, 0);

export function phasesFigure(report: Report, rows: Rows): Markup {
  const totals = report.modes.flatMap((mode) =>
    [sumOf(mode), medianOf(phase(mode, 'total'))].filter((ms) => typeof ms === 'number'),
  );
  const scale = scaleFromZero(totals);
  const time = times(Math.max(0, ...totals));
  const used = PARTS.filter(
    (part) =>
      part.id !== 'unsplit' ||
      report.modes.some((mode) => !isSplit(mode) && !isGap(mode.startupMs)),
  );
  return markup`<section aria-labelledby="phases"><h2 id="phases">Where the time goes</h2>
<figure><figcaption>Medians of the parts of a run, in ${time.unit}, model time included. Medians of parts need not add up to the median of the whole: the tick shows that one. <i>End</i> is exit and teardown together: a container that removes itself does so in the one, an instance in the other.</figcaption>
<ul class="legend">${used.map(({ id, name, what }) => markup`<li><svg width="22" height="14" aria-hidden="true"><rect class="part ${id}" x="0.5" y="1.5" width="21" height="11"/></svg>${name} <small>${what}</small></li>`)}<li><svg width="14" height="14" aria-hidden="true">${tick('7')}</svg>median of total</li></ul>
<table class="plot"><colgroup><col class="names"><col><col class="values"></colgroup>
<thead><tr><th scope="col">mode</th><th scope="col" class="marks"><span class="hidden">parts</span>${axis(scale, time.text)}</th><th scope="col" class="num">total, ${time.unit}</th></tr></thead>
<tbody>${report.modes.map(
    (mode) =>
      markup`<tr><th scope="row">${rows.link(mode.entry)}</th><td class="marks">${stack(mode)}</td><td class="num">${orGap(phase(mode, 'total'), (total) => middle(total, time.text))}</td></tr>`,
  )}</tbody></table>
<details><summary>The same in numbers</summary><div class="scroll"><table class="dense"><thead><tr><th scope="col">mode</th>${used.map(({ name }) => markup`<th scope="col" class="num">${name}</th>`)}<th scope="col" class="num">sum of parts</th><th scope="col" class="num">total</th><th scope="col" class="num">of it model</th></tr></thead>
<tbody>${report.modes.map(
    (mode) =>
      markup`<tr><th scope="row">${rows.name(mode.entry)}</th>${used.map((part) => markup`<td class="num">${orGap(part.durationOf(mode), time.text)}</td>`)}<td class="num">${partsOf(mode).length === 0 ? '' : time.text(sumOf(mode))}</td><td class="num">${orGap(phase(mode, 'total'), (total) => middle(total, time.text))}</td><td class="num">${orGap(phase(mode, 'model'), (model) => middle(model, time.text))}</td></tr>`,
  )}</tbody></table></div></details></figure>
${imageFigure(report, rows)}</section>`;

  function stack(mode: ModeReport): Markup {
    const parts = partsOf(mode);
    const total = phase(mode, 'total');
    if (parts.length === 0)
      return nothing(
        isGap(mode.startupMs) ? mode.startupMs.gap : 'not-reached',
        scale,
        rows.spoken(mode.entry),
      );
    let from = 0;
    const drawn = parts.map(({ id, name, ms }) => {
      const part = markup`<rect class="part ${id}" x="${scale.at(from)}" width="${scale.at(Math.max(0, ms))}" y="8" height="20"><title>${name}: ${time.text(ms)} ${time.unit}</title></rect>`;
      from += ms;
      return part;
    });
    const label = `${rows.spoken(mode.entry)}: ${parts.map(({ name, ms }) => `${name} ${time.text(ms)}`).join(', ')}; median of total ${isGap(total) ? gapShort(total.gap) : time.text(total.median)} ${time.unit}`;
    return markup`<svg class="${mode.standIn ? 'hollow' : ''}" width="100%" height="36" role="img" aria-label="${label}">${gridLines(scale)}${drawn}${isGap(total) ? undefined : tick(scale.at(total.median))}</svg>`;
  }
}

const tick = (x: string): Markup =>
  markup`<line class="median" x1="${x}" x2="${x}" y1="2" y2="100%"/>`;

/**
 * Image cost, which arises before all parts or, in a cold match, at the start of each run; on its
 * own scale.
 */
function imageFigure(report: Report, rows: Rows): Markup | undefined {
  const cold = report.modes.some((mode) => !isGap(phase(mode, 'image')));
  const value = (mode: ModeReport): number | Gap => {
    const perRun = medianOf(phase(mode, 'image'));
    return isGap(perRun) ? mode.imageMs : perRun;
  };
  const values = report.modes.map((mode) => ({
    entry: mode.entry,
    standIn: mode.standIn,
    value: value(mode),
  }));
  const known = values.flatMap((entry) => (isGap(entry.value) ? [] : [entry.value]));
  if (known.length === 0) return undefined;
  const time = times(Math.max(...known));
  return markup`<figure><figcaption>Image or template: ${cold ? 'absent at the start of a run, made within it (median); elsewhere' : ''} made or found once, before the first round. In none of the bars above; its own scale, in ${time.unit}.</figcaption>
${bars([{ head: `image, ${time.unit}`, values, text: time.text }], report, rows)}</figure>`;
}
