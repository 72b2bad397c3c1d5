// Startup: one dot per run, the median and its interval, with all rows on one scale from 0.
import { isGap } from '../../record/types.js';
import type { ModeReport, Report, Summary } from '../document.js';
import { type Markup, markup } from './markup.js';
import type { Rows } from './rows.js';
import { axis, gridLines, type Scale, scaleFromZero } from './scale.js';
import { gapShort, gapWords, middle, plural, times } from './words.js';

const HEIGHT = 36;
/** More dots per row than this would blur into one, and make a page that a browser cannot open. */
const MOST_DOTS = 1000;

export function startupFigure(report: Report, rows: Rows): Markup {
  const highest = report.modes.flatMap(({ startupMs }) =>
    isGap(startupMs) ? [] : [startupMs.max],
  );
  const scale = scaleFromZero(highest);
  const time = times(Math.max(0, ...highest));
  return markup`<section aria-labelledby="startup"><h2 id="startup">Startup</h2>
<figure><figcaption>From launch to the agent’s first model request, in ${time.unit}. A dot is a run that passed; within a row they go from the first (top) to the last (bottom), so that drift would show. Nothing is trimmed.</figcaption>
<ul class="legend" aria-hidden="true">
<li><svg width="14" height="14"><circle class="dot" cx="7" cy="7" r="3"/></svg>run</li>
<li><svg width="14" height="14"><path class="dot outlier" d="M7 2.5L11.5 7 7 11.5 2.5 7Z"/></svg>outlier (beyond 1.5 interquartile ranges), kept in every number</li>
<li><svg width="14" height="14"><line class="median" x1="7" x2="7" y1="0" y2="14"/></svg>median</li>
<li><svg width="22" height="14"><rect class="band" x="0" y="1" width="22" height="12"/></svg>95 % interval of the median</li>
</ul>
<table class="plot"><colgroup><col class="names"><col><col class="values"></colgroup>
<thead><tr><th scope="col">mode</th><th scope="col" class="marks"><span class="hidden">runs</span>${axis(scale, time.text)}</th><th scope="col" class="num">median [95 %], ${time.unit}</th></tr></thead>
<tbody>${report.modes.map(
    (mode) =>
      markup`<tr><th scope="row">${rows.link(mode.entry)}</th><td class="marks">${isGap(mode.startupMs) ? nothing(mode.startupMs.gap, scale, rows.spoken(mode.entry)) : marks(mode, mode.startupMs, scale, rows)}</td><td class="num">${value(mode)}</td></tr>`,
  )}</tbody></table></figure></section>`;

  function value({ startupMs, outliers }: ModeReport): Markup {
    if (isGap(startupMs)) return markup`<span class="gap">${gapShort(startupMs.gap)}</span>`;
    const how = isGap(startupMs.ci95)
      ? `n=${startupMs.samples.length}, too few for an interval`
      : `n=${startupMs.samples.length}`;
    const step = stepOf(startupMs.samples);
    const drawn = step === 1 ? '' : `, drawn: 1 of ${step} and all outliers`;
    return markup`${middle(startupMs, time.text)}<small>${how}${outliers.length === 0 ? '' : `, ${plural(outliers.length, 'outlier')}`}${drawn}</small>`;
  }

  function marks(
    { entry, outliers, standIn }: ModeReport,
    { samples, median, ci95 }: Summary,
    { at }: Scale,
    { spoken }: Rows,
  ): Markup {
    const far = outliers.map(({ ms, run }) => ({ ms, run }));
    const step = stepOf(samples);
    const dots = samples.map((ms, index) => {
      const y =
        samples.length === 1 ? HEIGHT / 2 : 7 + (index / (samples.length - 1)) * (HEIGHT - 14);
      const found = far.findIndex((outlier) => outlier.ms === ms);
      if (found === -1 && index % step !== 0) return undefined;
      if (found === -1)
        return markup`<circle class="dot" cx="${at(ms)}" cy="${y.toFixed(1)}" r="2.8"><title>${time.text(ms)} ${time.unit}</title></circle>`;
      const [outlier] = far.splice(found, 1);
      return markup`<svg x="${at(ms)}" y="${y.toFixed(1)}" width="1" height="1" overflow="visible"><path class="dot outlier" d="M0-4.5L4.5 0 0 4.5-4.5 0Z"><title>${outlier?.run}: ${time.text(ms)} ${time.unit}, an outlier</title></path></svg>`;
    });
    const label = `${spoken(entry)}: median ${time.text(median)} ${time.unit}${isGap(ci95) ? '' : `, 95 % interval ${time.text(ci95[0])} to ${time.text(ci95[1])}`}, ${plural(samples.length, 'run')}, ${plural(outliers.length, 'outlier')}`;
    const band = isGap(ci95)
      ? undefined
      : markup`<rect class="band" x="${at(ci95[0])}" width="${at(ci95[1] - ci95[0])}" y="3" height="${HEIGHT - 6}"><title>95 % interval: ${time.text(ci95[0])} to ${time.text(ci95[1])} ${time.unit}</title></rect>`;
    return markup`<svg class="${standIn ? 'hollow' : ''}" width="100%" height="${HEIGHT}" role="img" aria-label="${label}">${gridLines(scale)}${band}<line class="median" x1="${at(median)}" x2="${at(median)}" y1="1" y2="${HEIGHT - 1}"/>${dots}</svg>`;
  }
}

function stepOf(samples: readonly number[]): number {
  return Math.ceil(samples.length / MOST_DOTS);
}

/** Plot row without any measurement. */
export function nothing(cause: string, scale: Scale, spoken: string): Markup {
  return markup`<svg width="100%" height="${HEIGHT}" role="img" aria-label="${spoken}: ${gapWords(cause)}">${gridLines(scale)}<text class="gap" x="6" y="${HEIGHT / 2 + 4}">${gapShort(cause)}</text></svg>`;
}
