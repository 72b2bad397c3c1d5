// The match as Markdown, in full; and its regions in documents.

import { type ClockName, isGap } from '../../record/types.js';
import { apartLines, coverage, driftLine, outlierLines, resolutionLines } from '../apart.js';
import { bundleLines } from '../bundles.js';
import {
  authShort,
  failuresOf,
  isTaxed,
  middle,
  nameOf,
  pairedRatio,
  ratioHead,
  settingsOf,
  syncShort,
  tasksOf,
  whole,
} from '../cells.js';
import { doubts, firstRunLine, insideAlike, loadWords } from '../circumstances.js';
import type { ModeReport, Report } from '../document.js';
import { placeLines, placesTable } from '../places.js';
import { plantedSentences } from '../planted.js';
import { segmentsOf } from '../segments.js';
import { burstLines, burstTable } from '../terminal/burst-block.js';
import { costTable } from '../terminal/cost-block.js';
import { lengthsTable } from '../terminal/lengths-block.js';
import { interval, roundsOf, totalHead } from '../terminal/notes.js';
import { recommendationLines, recommendationTitle } from '../terminal/recommendation-block.js';
import {
  bullets,
  code,
  document,
  joined,
  type Markdown,
  markdown,
  section,
  table,
  type Words,
} from './markdown-text.js';

export const MATCH_REGION = { begin: '<!-- cagematch:match -->', end: '<!-- /cagematch:match -->' };

const CLOCKS: ClockName[] = [
  'launch',
  'firstProcess',
  'startup',
  'work',
  'model',
  'exit',
  'collect',
  'teardown',
];

export function renderMarkdown(report: Report): string {
  return document([
    ...opening(report),
    '',
    'Medians in ms, phase by phase (boot: firstProcess to the first request; end: exit, collect and teardown of each run together):',
    '',
    phaseTable(report),
    ...section('', bullets([firstRunLine(report) ?? []].flat())),
    ...lengths(report),
    ...cost(report),
    ...burst(report),
    ...places(report),
    ...section('No significant difference:', bullets(apartLines(report))),
    ...section('What this match could have seen:', bullets(resolutionLines(report))),
    ...section('Drift:', bullets([driftLine(report) ?? []].flat())),
    ...section('Startup outliers (included in all statistics):', bullets(outlierLines(report))),
    ...section(
      'Not here:',
      bullets(
        report.absent.map(
          (row) => markdown`${row.letter} ${code(row.entry)}: ${row.reason} → ${code(row.hint)}`,
        ),
      ),
    ),
    ...section('Warnings:', bullets(report.warnings.map((warning) => warning.message))),
    '',
    environment(report),
  ]);
}

/** What was run, the table of rows, what limits it, and the recommendations. */
export function opening(report: Report): Words[] {
  const { match } = report;
  const few = coverage(report);
  const warmup = match.warmup === 0 ? '' : `, ${match.warmup} before it not counted`;
  return [
    markdown`Match ${code(match.id)}: task ${joined(tasksOf(report).map(code), ', ')}, ${roundsOf(report)} in seeded random order (seed ${match.seed})${warmup}, state ${match.state}, model ${match.model}.`,
    ...section('', bullets(doubts(report))),
    '',
    rowTable(report),
    ...(isTaxed(report) ? ['', `${totalHead(report)}.`] : []),
    ...(few === undefined ? [] : ['', `${few}.`]),
    ...section(
      'Not as the others:',
      report.modes.flatMap((mode) => {
        const own = settingsOf(mode, report);
        return own === '' ? [] : bullets([markdown`${code(nameOf(mode))}: ${own}`]);
      }),
    ),
    ...section(
      'Failed runs:',
      bullets(
        report.modes
          .flatMap(failuresOf)
          .map(({ runs, cause, message }) => `${runs}: ${cause}: ${message}`),
      ),
    ),
    ...section('Files that run by themselves:', bullets(plantedSentences(report))),
    ...section('What agents committed:', bullets(bundleLines(report))),
    ...section(
      `${capitalized(recommendationTitle(report))}:`,
      bullets(recommendationLines(report)),
    ),
  ];
}

function rowTable(report: Report): Markdown {
  const taxed = isTaxed(report);
  return table(
    [
      'mode',
      'isolation',
      `startup ms${interval(report)}`,
      ratioHead(report),
      ...(taxed ? ['overhead ×'] : []),
      'passed',
      'sync',
      'auth',
      'leftovers',
    ],
    report.modes.map((mode) => [
      `${mode.letter} ${nameOf(mode)}`,
      mode.isolation,
      middle(mode.startupMs),
      pairedRatio(mode.startupRatio),
      ...(taxed ? [pairedRatio(mode.taxRatio)] : []),
      `${mode.passed}/${mode.n}`,
      syncShort(mode.sync),
      authShort(mode),
      isGap(mode.leftovers)
        ? '–'
        : mode.leftovers.length === 0
          ? 'none'
          : String(mode.leftovers.length),
    ]),
  );
}

function phaseTable(report: Report): Markdown {
  const known = (name: ClockName) =>
    report.modes.some((mode) => mode.phasesMs[name] !== undefined && !isGap(mode.phasesMs[name]));
  // Measured only if the image was absent.
  const clocks: ClockName[] = known('image') ? ['image', ...CLOCKS] : CLOCKS;
  return table(
    [
      'mode',
      ...clocks.flatMap((name) => (name === 'startup' ? ['boot', name] : [name])),
      'end',
      'total',
    ],
    report.modes.map((mode) => [
      nameOf(mode),
      ...clocks.flatMap((name) => clockCells(mode, name)),
      whole(segmentsOf(mode).end),
      whole(mode.phasesMs.total),
    ]),
  );
}

const clockCells = (mode: ModeReport, name: ClockName) =>
  name === 'startup'
    ? [whole(mode.bootMs), whole(mode.phasesMs.startup)]
    : [whole(mode.phasesMs[name])];

const capitalized = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

function lengths(report: Report): Words[] {
  const content = lengthsTable(report);
  return content
    ? ['', `Tasks of several lengths: ${content.note}.`, '', table(content.head, content.rows)]
    : [];
}

function cost(report: Report): Words[] {
  const content = costTable(report);
  if (!content) return [];
  return [
    '',
    'Cost of a run (medians), and of image and sandbox on disk:',
    '',
    table(content.head, content.rows),
    ...section('', bullets(content.dashes)),
  ];
}

function burst(report: Report): Words[] {
  if (report.burst.length === 0) return [];
  const { levels, rows } = burstTable(report);
  const lines = rows.map(({ entry, value, cells }) => [entry, value, ...cells]);
  return [
    '',
    'Many at once:',
    '',
    table(['mode', 'at once', ...levels.map(String)], lines),
    ...section('', bullets(burstLines(report))),
  ];
}

function places(report: Report): Words[] {
  const content = placesTable(report);
  const lines = bullets(placeLines(report));
  return content
    ? ['', 'Where the runs were:', '', table(content.head, content.rows), ...section('', lines)]
    : section('Where the runs were:', lines);
}

export function environment(report: Report): string {
  const { host, versions } = report.match;
  const busy = [loadWords(report.match), insideAlike(report)]
    .map((words) => (words === undefined ? '' : `; ${words}`))
    .join('');
  const commit = versions.commit === undefined ? '' : ` (${versions.commit})`;
  return `Environment: ${host.cpu}, ${host.cores} cores, ${host.memoryGiB} GiB; ${host.os}, kernel ${host.kernel}, cgroup ${host.cgroup}, virtualization ${host.virtualization}${busy}; cagematch ${versions.cagematch}${commit}, agent ${versions.agent}, Node ${versions.node}; ${runtimeVersions(report)}.`;
}

function runtimeVersions(report: Report): string {
  const seen = new Map<string, string>();
  for (const mode of report.modes)
    if (mode.detection.status === 'ready') seen.set(mode.title, mode.detection.version);
  return [...seen].map(([title, version]) => `${title} ${version}`).join(', ');
}

/**
 * The document with the text between two markers replaced; undefined if it does not contain the
 * markers.
 */
export function replaceRegion(
  document: string,
  content: string,
  region: { begin: string; end: string } = MATCH_REGION,
): string | undefined {
  const begin = document.indexOf(region.begin);
  const end = document.indexOf(region.end);
  if (begin === -1 || end < begin) return undefined;
  return `${document.slice(0, begin + region.begin.length)}\n${content}\n${document.slice(end)}`;
}
