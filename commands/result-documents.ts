// RESULTS.md and the README's example, generated from the committed records: no number in them is typed by hand.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CagematchError } from '../lib/errors.js';
import { MATCH_REGION, renderMarkdown, replaceRegion } from '../lib/report/export/markdown.js';
import {
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
import { PROBE_REGION, renderProbeMarkdown } from '../lib/report/probe/markdown.js';
import { plain, renderTable } from '../lib/report/terminal/table.js';
import { parseYaml, placeOf } from '../lib/task/yaml-file.js';
import { findRecord, finishedFold, readProbe } from './records.js';

const EXAMPLE_REGION = { begin: '<!-- cagematch:example -->', end: '<!-- /cagematch:example -->' };

/**
 * Both documents of a checkout, with every generated region rebuilt from its record; empty if there are no findings.
 * @throws `bad-input` if a sentence does not follow from its record
 */
export async function resultDocuments(root: string): Promise<Record<string, string>> {
  const path = join(root, 'docs/findings.yaml');
  if (!existsSync(path)) return {};
  const file = readFindings(readFileSync(path, 'utf8'));
  const read = (name: string) => readFileSync(join(root, name), 'utf8');
  const views = await viewsOf(file, root);
  const readme = read('README.md');
  const results = await publishedAgain(read('RESULTS.md'), root);
  return {
    'README.md': replaceRegion(readme, await example(file, views, root), EXAMPLE_REGION) ?? readme,
    'RESULTS.md': replaceRegion(results, renderFindings(file, views), FINDINGS_REGION) ?? results,
  };
}

function readFindings(written: string): Findings {
  const read = findingsSchema.safeParse(parseYaml(written, 'docs/findings.yaml', 'the file of findings'));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const place = placeOf(issue?.path ?? []);
  throw new CagematchError('bad-input', `docs/findings.yaml: ${place}: ${issue?.message}`, 'lib/report/findings.ts is its schema');
}

async function viewsOf({ records }: Findings, root: string): Promise<Map<string, View>> {
  const views = new Map<string, View>();
  for (const [alias, id] of Object.entries(records)) {
    const found = findRecord(id, 'results', root);
    views.set(alias, found.kind === 'probe' ? viewOfProbe(await readProbe(found)) : viewOfMatch((await finishedFold(found)).report));
  }
  return views;
}

/** Rebuilds the published match and probe, whose ids are in the first line of their regions. */
async function publishedAgain(page: string, root: string): Promise<string> {
  let results = page;
  for (const region of [MATCH_REGION, PROBE_REGION]) {
    const id = /(?:Match|Probe) `(\d{8}-\d{6}-[0-9a-f]{4})`/.exec(results.slice(results.indexOf(region.begin)))?.[1];
    if (id === undefined) continue;
    const found = findRecord(id, 'results', root);
    const text = found.kind === 'probe' ? renderProbeMarkdown(await readProbe(found)) : renderMarkdown((await finishedFold(found)).report);
    results = replaceRegion(results, text, region) ?? results;
  }
  return results;
}

/** The terminal output of one match, and a sentence about it. */
async function example(
  { example: { record, command, until, caption }, records, names }: Findings,
  views: Map<string, View>,
  root: string,
): Promise<string> {
  const [number] = undeclaredNumbers(caption, names);
  if (number !== undefined) throw new CagematchError('bad-input', `docs/findings.yaml: ${number} comes from no record: ${caption}`);
  const { report } = await finishedFold(findRecord(records[record], 'results', root));
  const lines = renderTable(report, plain, []).trimEnd().split('\n');
  const end = until === undefined ? -1 : lines.findIndex((line) => line.startsWith(until));
  if (until !== undefined && end === -1)
    throw new CagematchError('bad-input', `docs/findings.yaml: no line of the report begins with ${until}`);
  const shown = (end === -1 ? lines : lines.slice(0, end)).join('\n').trimEnd();
  return ['```', `$ ${command}`, '', shown, '```', '', fill(caption, views).trim()].join('\n');
}
