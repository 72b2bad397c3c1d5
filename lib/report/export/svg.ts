// A match as one picture: a stacked bar per row, from launch until the sandbox is gone. It is
// self-contained, so a README can show it.
import { isGap } from '../../record/types.js';
import { tasksOf } from '../cells.js';
import type { ModeReport, Report } from '../document.js';
import { rowsOfTask } from '../overview.js';
import { type Markup, markup } from '../page/markup.js';
import { scaleFromZero } from '../page/scale.js';
import { times } from '../page/words.js';
import { SEGMENTS, segmentsOf } from '../segments.js';

/** All lengths in px. The picture is as wide as a README's column. */
const WIDTH = 880;
const PLOT = { left: 214, right: 752 };
const ROW = { height: 34, bar: 18 };
const TOP = 58;

/** A longer name is truncated, so that it does not run into the bars. */
const LONGEST_NAME = 26;

/** `unsplit`: the startup of a row whose first process was not seen. */
type Part = { segment: (typeof SEGMENTS)[number] | 'unsplit'; ms: number };

const SEGMENT_WORDS: Record<Part['segment'], string> = {
  runtime: 'runtime start',
  boot: 'agent boot',
  unsplit: 'startup, not split',
  work: 'work',
  end: 'teardown',
};

// Okabe and Ito's palette, as on the HTML page. A reader's dark setting applies to an image too,
// even on a page that is light: the picture therefore brings its own background.
const STYLE = markup`
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;fill:#1b1f24}
.title{font-size:15px;font-weight:600}.small{font-size:11.5px;fill:#57606a}.num{text-anchor:end;font-variant-numeric:tabular-nums}
.page{fill:#fff}.grid{stroke:#e4e8ec}.runtime{fill:#0072b2}.boot{fill:#56b4e9}.unsplit{fill:#7f8c99}.work{fill:#009e73}.end{fill:#e69f00}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#e4e7eb}.small{fill:#a0a9b4}.grid{stroke:#343b44}.runtime{fill:#2f8fd0}.boot{fill:#7cc8f2}.work{fill:#00a67a}}
`;

/**
 * The picture as the text of an SVG document. A row without measurements has a text in place of its
 * bar.
 * @param only the one task whose rows are shown, for a match with several
 */
export function renderSvg(report: Report, only?: string): string {
  const { match } = report;
  const modes = only === undefined ? report.modes : rowsOfTask(report, only);
  const sums = modes.map((mode) => partsOf(mode).reduce((sum, { ms }) => sum + ms, 0));
  const scale = scaleFromZero(sums);
  const time = times(Math.max(0, ...sums));
  const x = (ms: number) =>
    Number((PLOT.left + (ms / scale.max) * (PLOT.right - PLOT.left)).toFixed(1));
  const bottom = TOP + modes.length * ROW.height;
  const height = bottom + 48;
  const tasks = tasksOf({ match, modes }).join(', ');
  const caption = `Task ${tasks}, ${match.rounds} rounds in random order, ${match.host.cores} cores, model ${match.model}; medians of the runs that passed, in ${time.unit}`;
  const picture = markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${`Time of one run in each sandbox, match ${match.id}`}</title>
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
<text class="title" x="12" y="24">One run of a coding agent, from launch to sandbox gone</text>
<text class="small" x="12" y="42">${caption}</text>
${scale.ticks.map((tick) => markup`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${TOP - 4}" y2="${bottom}"/><text class="small" text-anchor="middle" x="${x(tick)}" y="${bottom + 15}">${time.text(tick)}</text>`)}
${modes.map((mode, index) => row(mode, TOP + index * ROW.height))}
${legend(bottom + 36)}
</svg>
`;
  return picture.toString();

  function row(mode: ModeReport, top: number): Markup {
    const middle = top + ROW.height / 2;
    const total = mode.phasesMs.total;
    const name = short(mode.standIn ? `${mode.entry} (stand-in)` : mode.entry);
    let from = 0;
    const bars = partsOf(mode).map(({ segment, ms }) => {
      const bar = markup`<rect class="${segment}" x="${x(from)}" y="${middle - ROW.bar / 2}" width="${Number((x(from + ms) - x(from)).toFixed(1))}" height="${ROW.bar}"><title>${SEGMENT_WORDS[segment]}: ${time.text(ms)} ${time.unit}</title></rect>`;
      from += ms;
      return bar;
    });
    const sum =
      total === undefined || isGap(total) ? '' : `${time.text(total.median)} ${time.unit}`;
    const none =
      bars.length > 0
        ? undefined
        : markup`<text class="small" x="${PLOT.left + 6}" y="${middle + 4}">${`${mode.passed} of ${mode.n} runs passed`}</text>`;
    return markup`<text x="12" y="${middle - 1}">${name}</text><text class="small" x="12" y="${middle + 12}">${mode.isolation}</text>${bars}${none}<text class="num" x="${WIDTH - 12}" y="${middle + 4}">${sum}</text>
`;
  }
}

/** The measured segments of a row, in order. */
export function partsOf(mode: ModeReport): Part[] {
  const { runtime, boot, work, end } = segmentsOf(mode);
  const startup = isGap(mode.startupMs) ? mode.startupMs : mode.startupMs.median;
  const start =
    isGap(runtime) || isGap(boot)
      ? [{ segment: 'unsplit', ms: startup } as const]
      : [{ segment: 'runtime', ms: runtime } as const, { segment: 'boot', ms: boot } as const];
  return [
    ...start,
    { segment: 'work', ms: work } as const,
    { segment: 'end', ms: end } as const,
  ].flatMap(({ segment, ms }) => (isGap(ms) ? [] : [{ segment, ms }]));
}

const short = (name: string) =>
  name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;

function legend(y: number): Markup {
  const step = 130;
  return markup`${SEGMENTS.map(
    (segment, index) =>
      markup`<rect class="${segment}" x="${PLOT.left + index * step}" y="${y - 10}" width="12" height="12"/><text class="small" x="${PLOT.left + index * step + 18}" y="${y}">${SEGMENT_WORDS[segment]}</text>`,
  )}`;
}
