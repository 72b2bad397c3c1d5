// Documents with numbers, generated from the committed records: no number in them is typed by hand.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CagematchError } from '../lib/errors.js';
import { MATCH_REGION, replaceRegion } from '../lib/report/export/markdown.js';
import { publishedMatch, publishedProbe } from '../lib/report/export/published.js';
import { renderSvg } from '../lib/report/export/svg.js';
import {
  check,
  FINDINGS_REGION,
  type Findings,
  fill,
  findingsSchema,
  renderFindings,
  undeclaredNumbers,
  type View,
  viewOfMatch,
  viewOfProbe,
} from '../lib/report/findings.js';
import { overviewTable } from '../lib/report/overview.js';
import { PROBE_REGION } from '../lib/report/probe/markdown.js';
import { plain, renderTable } from '../lib/report/terminal/table.js';
import { parseYaml, placeOf } from '../lib/task/yaml-file.js';
import { findRecord, finishedFold, readProbe } from './records.js';

const OVERVIEW_REGION = {
  begin: '<!-- cagematch:overview -->',
  end: '<!-- /cagematch:overview -->',
};
const EXAMPLE_REGION = { begin: '<!-- cagematch:example -->', end: '<!-- /cagematch:example -->' };

/** README's picture. */
const PICTURE = 'docs/match.svg';
/** The page that explains the terminal's output by an example. */
const READING = 'docs/reading-a-report.md';

/**
 * The documents of a checkout, with every generated region rebuilt from its record; empty if there
 * are no findings.
 * @throws `bad-input` if a sentence does not follow from its record
 */
export async function resultDocuments(root: string): Promise<Record<string, string>> {
  const path = join(root, 'docs/findings.yaml');
  if (!existsSync(path)) return {};
  const file = readFindings(readFileSync(path, 'utf8'));
  const read = (name: string) => readFileSync(join(root, name), 'utf8');
  const within = (name: string, content: string, region: typeof EXAMPLE_REGION) =>
    replaceRegion(read(name), content, region) ?? read(name);
  const views = await viewsOf(file, root);
  const { picture, text } = await overview(file, views, root);
  const results = await publishedAgain(read('RESULTS.md'), root);
  return {
    'README.md': within('README.md', text, OVERVIEW_REGION),
    [PICTURE]: picture,
    [READING]: within(READING, await example(file, views, root), EXAMPLE_REGION),
    'RESULTS.md': replaceRegion(results, renderFindings(file, views), FINDINGS_REGION) ?? results,
  };
}

function readFindings(written: string): Findings {
  const read = findingsSchema.safeParse(
    parseYaml(written, 'docs/findings.yaml', 'the file of findings'),
  );
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const place = placeOf(issue?.path ?? []);
  throw wrong(`${place}: ${issue?.message}`, 'lib/report/findings.ts is its schema');
}

async function viewsOf({ records }: Findings, root: string): Promise<Map<string, View>> {
  const views = new Map<string, View>();
  for (const [alias, id] of Object.entries(records)) {
    const found = findRecord(id, 'results', root);
    views.set(
      alias,
      found.kind === 'probe'
        ? viewOfProbe(await readProbe(found))
        : viewOfMatch((await finishedFold(found)).report),
    );
  }
  return views;
}

/** Rebuilds the published match and probe, whose ids are in the first line of their regions. */
async function publishedAgain(page: string, root: string): Promise<string> {
  let results = page;
  for (const region of [MATCH_REGION, PROBE_REGION]) {
    const id = /(?:Match|Probe) `(\d{8}-\d{6}-[0-9a-f]{4})`/.exec(
      results.slice(results.indexOf(region.begin)),
    )?.[1];
    if (id === undefined) continue;
    const found = findRecord(id, 'results', root);
    const text =
      found.kind === 'probe'
        ? publishedProbe(await readProbe(found))
        : publishedMatch((await finishedFold(found)).report);
    results = replaceRegion(results, text, region) ?? results;
  }
  return results;
}

/**
 * README's picture, and the text around it: the picture's place, the table, a sentence about both.
 */
async function overview(
  file: Findings,
  views: Map<string, View>,
  root: string,
): Promise<{ picture: string; text: string }> {
  const { record, probe, task, caption, goodFor, holds } = file.overview;
  for (const words of [caption, ...Object.values(goodFor)]) checkNumbers(words, file);
  for (const claim of holds) check(claim, views);
  const { report } = await finishedFold(findRecord(file.records[record], 'results', root));
  const drawn = overviewTable(
    report,
    await readProbe(findRecord(file.records[probe], 'results', root)),
    goodFor,
  );
  if ('unmatched' in drawn)
    throw wrong(`goodFor and the rows of ${record} differ in ${drawn.unmatched.join(', ')}`);
  const image = `![Time of one run in each sandbox: runtime start, agent boot, work and teardown of task ${task}](${PICTURE})`;
  return {
    picture: renderSvg(report, task),
    text: [image, '', drawn.table, '', fill(caption, views).trim()].join('\n'),
  };
}

/** The terminal output of one match, and a sentence about it. */
async function example(file: Findings, views: Map<string, View>, root: string): Promise<string> {
  const { record, command, until, caption } = file.example;
  checkNumbers(caption, file);
  const { report } = await finishedFold(findRecord(file.records[record], 'results', root));
  const lines = renderTable(report, plain, []).trimEnd().split('\n');
  const end = until === undefined ? -1 : lines.findIndex((line) => line.startsWith(until));
  if (until !== undefined && end === -1) throw wrong(`no line of the report begins with ${until}`);
  const shown = (end === -1 ? lines : lines.slice(0, end)).join('\n').trimEnd();
  return ['```', `$ ${command}`, '', shown, '```', '', fill(caption, views).trim()].join('\n');
}

function checkNumbers(words: string, { names }: Findings): void {
  const [number] = undeclaredNumbers(words, names);
  if (number !== undefined) throw wrong(`${number} comes from no record: ${words}`);
}

const wrong = (what: string, hint?: string) =>
  new CagematchError('bad-input', `docs/findings.yaml: ${what}`, hint);
