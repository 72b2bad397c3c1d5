// Where the time goes, for a terminal: medians, and one bar per row on a common scale, in block
// characters that need no colour.
import { isGap } from '../../record/types.js';
import { duration, nameOf, whole } from '../cells.js';
import type { ModeReport, Report } from '../document.js';
import { SEGMENTS, type Segments, segmentsOf } from '../segments.js';
import { borderless, fits, type Style, trimmed, WIDTH, widthOf } from './lines.js';

const BLOCKS: Record<keyof Segments, string> = { runtime: '█', boot: '▓', work: '▒', end: '░' };

/** A bar with fewer cells than this would show nothing. */
const LEAST_CELLS = 12;

interface Row {
  mode: ModeReport;
  segments: Segments;
}

export function renderTime(report: Report, style: Style): string {
  const rows = report.modes
    .filter((mode) => mode.passed > 0)
    .map((mode) => ({ mode, segments: segmentsOf(mode) }));
  const [only] = rows;
  if (!only) return '';
  return report.modes.length === 1 ? oneLine(only) : block(rows, style);
}

function oneLine({ mode, segments }: Row): string {
  const parts = [
    ...SEGMENTS.map((name) => [name, segments[name]] as const),
    ['total', totalOf(mode)] as const,
  ];
  const known = parts.flatMap(([name, ms]) => (isGap(ms) ? [] : [`${name} ${duration(ms)}`]));
  return known.length === 0 ? '' : `where the time goes: ${known.join(', ')}`;
}

const totalOf = ({ phasesMs: { total } }: ModeReport) =>
  total === undefined ? ({ gap: 'not-reached' } as const) : isGap(total) ? total : total.median;

function block(rows: Row[], style: Style): string {
  return blockWith(rows, style, true) ?? blockWith(rows, style, false) ?? '';
}

/** @returns undefined if there is no room for the model time */
function blockWith(rows: Row[], style: Style, modelled: boolean): string | undefined {
  const imaged = rows.some(
    ({ mode }) => mode.phasesMs.image !== undefined && !isGap(mode.phasesMs.image),
  );
  const head = [
    'mode',
    ...(imaged ? ['image'] : []),
    ...SEGMENTS,
    'total',
    ...(modelled ? ['model'] : []),
  ];
  const cells = ({ mode, segments }: Row) => [
    nameOf(mode),
    ...(imaged ? [whole(mode.phasesMs.image)] : []),
    ...SEGMENTS.map((name) => whole(segments[name])),
    whole(mode.phasesMs.total),
    ...(modelled ? [whole(mode.phasesMs.model)] : []),
  ];
  const draw = (bars: string[]) => {
    const drawn = bars.length > 0;
    const table = borderless([...head, ...(drawn ? [''] : [])].map(style.bold), [
      'left' as const,
      ...head.slice(1).map(() => 'right' as const),
      ...(drawn ? ['left' as const] : []),
    ]);
    for (const [at, row] of rows.entries())
      table.push([...cells(row), ...(drawn ? [bars[at] ?? ''] : [])]);
    return table;
  };
  const bare = draw([]);
  if (modelled && !fits(bare)) return undefined;
  const room = WIDTH - widthOf(bare) - 2;
  const { bars, cellMs } = barsOf(
    rows.map(({ segments }) => segments),
    room,
  );
  const legend = SEGMENTS.map((name) => `${BLOCKS[name]} ${name}`).join('  ');
  const scale = bars.length === 0 ? [] : [`  ${legend}  one block: ${duration(cellMs)}`];
  const image = imaged ? ['  image: pulled or built before the launch, and in no bar'] : [];
  const words = [
    `  runtime: launch to the first process; boot: to the first request; end: the result to gone${modelled ? ';' : ''}`,
    ...(modelled ? ['  model: of work, the time in which the model was asked and answered'] : []),
  ];
  return [
    style.bold('where the time goes (medians in ms)'),
    trimmed(fits(bare) ? draw(bars) : bare),
    ...[...scale, ...words, ...image].map(style.faint),
  ].join('\n');
}

/**
 * @returns no bars if there is no room or nothing to show; each bar ends within one cell of its sum
 */
export function barsOf(rows: Segments[], room: number): { bars: string[]; cellMs: number } {
  const known = (row: Segments) =>
    SEGMENTS.map((name) => ({ name, ms: isGap(row[name]) ? 0 : row[name] }));
  const longest = Math.max(
    0,
    ...rows.map((row) => known(row).reduce((sum, { ms }) => sum + ms, 0)),
  );
  if (room < LEAST_CELLS || longest <= 0) return { bars: [], cellMs: 0 };
  const cellMs = roundUp(longest / room);
  const bars = rows.map((row) => {
    let end = 0;
    let bar = '';
    for (const { name, ms } of known(row)) {
      end += ms;
      bar += BLOCKS[name].repeat(Math.max(0, Math.round(end / cellMs) - bar.length));
    }
    return bar;
  });
  return { bars, cellMs };
}

/** Rounds up to a number that is easy to count in: 1, 2, 2.5, 4, 5 or 8 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 4, 5, 8, 10].find((factor) => factor * power >= value) ?? 10;
  return Math.max(1, step * power);
}
