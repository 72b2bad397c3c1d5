// Numbers and gaps in words.
import { type Gap, isGap } from '../../record/types.js';
import type { Summary } from '../document.js';
import { type Markup, markup } from './markup.js';

/** A short text for a cell, and its explanation. */
const GAPS: Record<Gap['gap'], [short: string, long: string]> = {
  'not-reached': ['never reached', 'no run that passed got this far'],
  'not-reported': ['not reported', 'the runtime does not report it'],
  'no-baseline': ['no baseline', 'this match has no row to hold it against'],
  'too-few-runs': ['too few runs', 'too few runs to say it'],
  'not-exercised': ['not tried', 'nothing in this match tried it'],
  'not-applicable': ['does not apply', 'there is no such thing in this row'],
  'in-exit': ['in exit', 'the sandbox removes itself: its end is part of exit'],
  'not-captured': ['not captured', 'not captured: nobody looked'],
  'other-machine': ['not captured', 'not captured: it runs on another machine'],
  'not-attributable': [
    'not captured',
    'not captured: what runs it belongs to another program, such as the VM of a whole runtime',
  ],
  platform: ['not captured', 'not captured: this platform does not report it'],
  vanished: ['not captured', 'not captured: it was gone before it could be read'],
};

const gapOf = (cause: string): [string, string] | undefined =>
  Object.hasOwn(GAPS, cause) ? GAPS[cause as Gap['gap']] : undefined;

/** The cause in full; an unknown cause is returned unchanged. */
export const gapWords = (cause: string): string => gapOf(cause)?.[1] ?? cause;
export const gapShort = (cause: string): string => gapOf(cause)?.[0] ?? cause;

/** A gap in a cell, or the value. */
export function orGap<T>(value: T | Gap, text: (value: T) => Markup | string): Markup {
  return isGap(value)
    ? markup`<span class="gap" title="${gapWords(value.gap)}">${gapShort(value.gap)}</span>`
    : markup`${text(value)}`;
}

/**
 * How to format times of which none is longer than `mostMs`, so that all compared times have the
 * same unit.
 */
export function times(mostMs: number): { unit: 'ms' | 's'; text(ms: number): string } {
  if (mostMs >= 20_000) return { unit: 's', text: (ms) => (ms / 1000).toFixed(ms < 9995 ? 2 : 1) };
  return {
    unit: 'ms',
    text: (ms) =>
      Math.abs(ms) < 9.95 && !Number.isInteger(ms) ? ms.toFixed(1) : String(Math.round(ms)),
  };
}

const MEBI = 1024 ** 2;
/** In KiB, MiB or GiB; never in bytes. */
export function bytes(value: number): string {
  if (value >= 1000 * MEBI) return `${(value / 1024 / MEBI).toFixed(2)} GiB`;
  if (value >= MEBI / 10) return `${(value / MEBI).toFixed(value < 9.95 * MEBI ? 1 : 0)} MiB`;
  return `${(value / 1024).toFixed(1)} KiB`;
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
export const signed = (text: string, value: number): string =>
  value > 0 ? `+${text}` : text.replace(/^-/, '−');

/** `[590–653]`, small; empty if there is no interval. */
export function interval(ci95: [number, number] | Gap, text: (value: number) => string): Markup {
  return isGap(ci95)
    ? markup``
    : markup` <span class="ci">[${text(ci95[0])}–${text(ci95[1])}]</span>`;
}

/** Median and interval. */
export function middle(
  value: Pick<Summary, 'median' | 'ci95'>,
  text: (value: number) => string,
): Markup {
  return markup`${text(value.median)}${interval(value.ci95, text)}`;
}

export const plural = (count: number, singular: string, many = `${singular}s`): string =>
  `${count} ${count === 1 ? singular : many}`;
