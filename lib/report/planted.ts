// What agents did to files that run by themselves, worded the same in every form of the report.
import { isGap } from '../record/types.js';
import { listed, runsNamed } from './cells.js';
import type { ModeReport, Report } from './document.js';

export interface PlantedLine {
  entry: string;
  runs: string;
  what: string;
}

/** How many files of a run are named; the rest are counted. */
const NAMED = 5;

/** Runs of a row that planted the same files share a line. */
export function plantedLines({ modes }: Pick<Report, 'modes'>): PlantedLine[] {
  return modes.flatMap(({ entry, planted }) =>
    isGap(planted) ? [] : linesOf(planted).map((line) => ({ entry, ...line })),
  );
}

/** The planted lines, each as one sentence. */
export const plantedSentences = (report: Pick<Report, 'modes'>) =>
  plantedLines(report).map(
    ({ runs, what }) => `${runs}: the agent ${what}: look before you work there`,
  );

function linesOf(
  planted: Exclude<ModeReport['planted'], { gap: string }>,
): { runs: string; what: string }[] {
  const byRun = new Map<string, string[]>();
  for (const { run, how, path, link } of planted) {
    const what = `${how} ${path}${link === undefined ? '' : ` (a link to ${link})`}`;
    byRun.set(run, [...(byRun.get(run) ?? []), what]);
  }
  const alike = new Map<string, string[]>();
  for (const [run, whats] of byRun) {
    const more = whats.length - NAMED;
    const what = listed(more > 0 ? [...whats.slice(0, NAMED), `${more} more like these`] : whats);
    alike.set(what, [...(alike.get(what) ?? []), run]);
  }
  return [...alike].map(([what, runs]) => ({ what, runs: runsNamed(runs) }));
}
