// RESULTS.md: a match or probe is published there only on request, and only if it is a valid
// replacement for what is there.
import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CagematchError, messageOf } from '../lib/errors.js';
import { FEWEST_ROUNDS } from '../lib/match/settle.js';
import { readPlainFile } from '../lib/os/plain-files.js';
import { PROBES } from '../lib/record/probe.js';
import { nameOf, withoutLabel } from '../lib/report/cells.js';
import type { Report } from '../lib/report/document.js';
import { MATCH_REGION, replaceRegion } from '../lib/report/export/markdown.js';
import { publishedMatch, publishedProbe } from '../lib/report/export/published.js';
import type { ProbeDocument } from '../lib/report/probe/document.js';
import { PROBE_REGION } from '../lib/report/probe/markdown.js';
import type { Io } from './io.js';

type Region = typeof MATCH_REGION;

/** What would be written, and why it may not be. */
interface Candidate {
  id: string;
  region: Region;
  rows: string[];
  text(): string;
  /** Why it cannot be published, regardless of the page. */
  refusal: string | undefined;
  /** The rows of the region's current content. */
  rowsOf(published: string): string[];
}

export const RESULTS = 'RESULTS.md';
/** Maximum size of the page, in bytes. */
const MOST_PAGE = 16 * 1024 ** 2;

export function matchCandidate(report: Report): Candidate {
  return {
    id: report.match.id,
    region: MATCH_REGION,
    rows: report.modes.map((mode) => mode.entry),
    text: () => publishedMatch(report),
    refusal: matchRefusal(report),
    rowsOf: (published) => rowsIn(published).map((name) => name.split(' ').at(-1) ?? name),
  };
}

export function probeCandidate(document: ProbeDocument): Candidate {
  return {
    id: document.probe.id,
    region: PROBE_REGION,
    rows: document.modes.map((mode) => mode.entry),
    text: () => publishedProbe(document),
    refusal: probeRefusal(document),
    rowsOf: rowsIn,
  };
}

function matchRefusal({ match, modes }: Report): string | undefined {
  const standIns = modes.filter(({ standIn }) => standIn).map(({ entry }) => entry);
  const short = modes.find(({ n }) => n < FEWEST_ROUNDS);
  if (match.how !== 'done') return `the match did not run to its end (${match.how})`;
  if (modes.length === 0) return 'the match has no row';
  if (standIns.length > 0) return `${standIns.join(', ')}: the number of a stand-in is no finding`;
  if (short)
    return `${nameOf(short)} has ${short.n} runs that count, and a published row has at least ${FEWEST_ROUNDS}`;
  return undefined;
}

function probeRefusal({ probe, modes }: ProbeDocument): string | undefined {
  const standIns = modes.filter(({ standIn }) => standIn).map(({ entry }) => entry);
  const untried = PROBES.filter((part) => !probe.only.includes(part));
  if (probe.how !== 'done') return `the probe did not run to its end (${probe.how})`;
  if (untried.length > 0) return `the probe left out ${untried.join(', ')}`;
  if (modes.length === 0) return 'the probe has no row';
  if (standIns.length > 0) return `${standIns.join(', ')}: what a stand-in shows is no finding`;
  return undefined;
}

/** The first column of a Markdown text's first table, without its head. */
function rowsIn(text: string): string[] {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.startsWith('|'));
  const rest = first === -1 ? [] : lines.slice(first);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return (end === -1 ? rest : rest.slice(0, end))
    .slice(2)
    .map((line) => line.split('|')[1]?.trim() ?? '');
}

/**
 * The page as it is, and the content of the region; undefined if there is no page, or if it has no
 * such region.
 */
function pageWith(
  region: Region,
  cwd: string,
): { path: string; page: string; published: string } | undefined {
  const path = join(cwd, RESULTS);
  try {
    const page = readPlainFile(path, { links: 'refuse', most: MOST_PAGE }).toString('utf8');
    const [begin, end] = [page.indexOf(region.begin), page.indexOf(region.end)];
    return begin === -1 || end < begin
      ? undefined
      : { path, page, published: page.slice(begin + region.begin.length, end) };
  } catch {
    return undefined;
  }
}

/**
 * Checks everything about publishing that can be checked before the first launch.
 * @throws `bad-input` if publishing cannot succeed
 */
export function checkPublishable(
  settings: { out: string; runs?: number },
  region: Region,
  cwd: string,
): void {
  const { out, runs = FEWEST_ROUNDS } = settings;
  const page = pageWith(region, cwd);
  if (!page)
    throw new CagematchError(
      'bad-input',
      `no ${RESULTS} with ${region.begin} is in ${cwd}`,
      'leave out --publish',
    );
  if (runs < FEWEST_ROUNDS)
    throw new CagematchError(
      'bad-input',
      `a published row has at least ${FEWEST_ROUNDS} runs, not ${runs}`,
      `--runs ${FEWEST_ROUNDS}`,
    );
  if (resolve(cwd, out) !== join(cwd, 'results'))
    throw new CagematchError(
      'bad-input',
      `what is published has its record in results/, not in ${out}`,
      'leave out --out',
    );
  try {
    accessSync(page.path, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CagematchError(
      'bad-input',
      `${page.path} cannot be written (${code})`,
      'leave out --publish',
    );
  }
}

/**
 * Writes the region if that was requested and nothing prevents it; otherwise prints one line on how
 * to do it. A match that cannot be published is still a good match, so this never throws.
 * @param folder folder of the record
 * @returns whether the page now contains it
 */
export function publishResult(
  candidate: Candidate,
  settings: { publish: boolean; folder: string },
  io: Io,
): boolean {
  const { id, region, refusal } = candidate;
  const page = pageWith(region, io.cwd);
  if (!page && !settings.publish) return false;
  const reason = page
    ? (refusal ?? refusalBeside(page.published, candidate, settings.folder, io.cwd))
    : `no ${RESULTS} with such a region`;
  if (reason !== undefined || !page) {
    io.err(`not published: ${reason}${settings.publish ? '' : `; --publish writes ${RESULTS}`}\n`);
    return false;
  }
  if (!settings.publish) {
    io.err(`not published: cagematch report ${id} --publish writes ${RESULTS}\n`);
    return false;
  }
  try {
    writeFileSync(page.path, replaceRegion(page.page, candidate.text(), region) ?? page.page);
  } catch (error) {
    io.err(`not published: ${RESULTS} cannot be written: ${messageOf(error)}\n`);
    return false;
  }
  io.err(
    `published: ${RESULTS}; its record is results/${id}: commit both, the ignored folder with add -f\n`,
  );
  return true;
}

function refusalBeside(
  published: string,
  { id, rows, rowsOf }: Candidate,
  folder: string,
  cwd: string,
): string | undefined {
  // A runtime may be listed there under any label: a match with two tasks enters `docker` as
  // `docker@hello` and `docker@refactor`.
  const kept = new Set(rows.map(withoutLabel));
  const lost = [...new Set(rowsOf(published).map(withoutLabel))].filter((row) => !kept.has(row));
  if (lost.length > 0)
    return `${RESULTS} has ${lost.length === 1 ? 'a row' : 'rows'} that would be lost: ${lost.join(', ')}`;
  if (dirname(resolve(cwd, folder)) !== join(cwd, 'results'))
    return `the record of ${id} is not in results/`;
  return undefined;
}
