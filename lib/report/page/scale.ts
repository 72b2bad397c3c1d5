// Scales that begin at 0, with their ticks and labels. All lengths are shares of the width, so that
// a plot fits any page.
import { type Markup, markup } from './markup.js';

export interface Scale {
  max: number;
  ticks: number[];
  /** Position of a value, in percent of the width. */
  at(value: number): string;
}

const STEPS = [1, 2, 2.5, 5, 10];

/** A scale from 0 to a round number that is at least as large as every value. */
export function scaleFromZero(values: readonly number[], ticks = 6): Scale {
  const top = values.reduce((most, value) => Math.max(most, value), 0) || 1;
  const rough = top / ticks;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((factor) => factor * power >= rough * 0.999) ?? 10);
  const count = Math.ceil(top / step - 1e-9);
  const max = count * step;
  return {
    max,
    ticks: Array.from({ length: count + 1 }, (_, index) => index * step),
    at: (value) => percent(value / max),
  };
}

/** @param share 0 to 1 */
export const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`;

/** Vertical lines through a row, one at every tick. */
export function gridLines({ ticks, at }: Scale): Markup {
  return markup`<g class="grid">${ticks.map((tick) => markup`<line x1="${at(tick)}" x2="${at(tick)}" y1="0" y2="100%"/>`)}</g>`;
}

/** The row of tick labels; every second label can be hidden on a narrow page. */
export function axis({ ticks, at }: Scale, text: (value: number) => string): Markup {
  return markup`<svg class="axis" width="100%" height="18" aria-hidden="true">${ticks.map(
    (tick, index) =>
      markup`<text x="${at(tick)}" y="13" class="${index % 2 === 1 ? 'second' : ''}" text-anchor="${anchor(index, ticks)}">${text(tick)}</text>`,
  )}</svg>`;
}

const anchor = (index: number, ticks: readonly number[]) =>
  index === 0 ? 'start' : index === ticks.length - 1 ? 'end' : 'middle';
