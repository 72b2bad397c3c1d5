// Findings: sentences in which every number is filled in from a record and every claim is checked
// against it.
import { z } from 'zod';
import { CagematchError } from '../errors.js';
import { isGap } from '../record/types.js';
import type { Report } from './document.js';
import { ofThisRepository } from './export/markdown-text.js';
import type { ProbeDocument } from './probe/document.js';
import { segmentsOf } from './segments.js';

export const FINDINGS_REGION = {
  begin: '<!-- cagematch:findings -->',
  end: '<!-- /cagematch:findings -->',
};

/** Schema of `docs/findings.yaml`. */
export const findingsSchema = z.strictObject({
  /** Short names of the records that sentences take their numbers from. */
  records: z.record(
    z.string().regex(/^[a-z][a-z0-9-]*$/),
    z.string().regex(/^\d{8}-\d{6}-[0-9a-f]{4}$/),
  ),
  /** Names and versions that contain digits but are not measurements. */
  names: z.array(z.string()).default([]),
  /** README's picture and table. */
  overview: z.strictObject({
    record: z.string(),
    /** Probe that the isolation checks are taken from. */
    probe: z.string(),
    /** The task whose runs the picture shows. */
    task: z.string(),
    caption: z.string(),
    /** For each runtime of the match, what it is good for in one phrase. */
    goodFor: z.record(z.string(), z.string()),
    holds: z.array(z.string()).default([]),
  }),
  /** The match shown in docs/reading-a-report.md, as the terminal prints it. */
  example: z.strictObject({
    record: z.string(),
    command: z.string(),
    /** Beginning of the first line to leave out, together with all lines after it. */
    until: z.string().optional(),
    caption: z.string(),
  }),
  findings: z.array(
    z.strictObject({
      question: z.string(),
      /** The answer in plain words, for a reader who reads nothing else. */
      short: z.string().optional(),
      /** Contains `{record.path | format}` for every number. If absent, the question is open. */
      answer: z.string().optional(),
      /** What is missing for an answer, or for a better one. */
      open: z.string().optional(),
      /** What the sentence claims besides its numbers: `path < path`, `path = value`. */
      holds: z.array(z.string()).default([]),
    }),
  ),
});
export type Findings = z.infer<typeof findingsSchema>;
type Finding = Findings['findings'][number];

/** The object that paths are resolved in: rows, pairs and levels are keyed by their names. */
export type View = Record<string, unknown>;

export function viewOfMatch(report: Report): View {
  const pairs: Record<string, Record<string, unknown>> = {};
  for (const pair of report.comparisons)
    pairs[pair.a] = { ...pairs[pair.a], [pair.b]: { ...pair, median: pair.ratio } };
  const levels = report.burst.flatMap((burst) => burst.levels.filter(({ level }) => level > 1));
  const counted = [...report.modes, ...levels];
  return {
    kind: 'match',
    id: report.match.id,
    match: report.match,
    rows: Object.fromEntries(
      report.modes.map((mode) => [mode.entry, { ...mode, ...segmentsOf(mode) }]),
    ),
    pairs,
    /**
     * Fits of whole runs: intercept and slope over the baseline's work, if the match has tasks of
     * two lengths.
     */
    fits: Object.fromEntries((report.lengths?.fits ?? []).map((fit) => [fit.sandbox, fit])),
    burst: Object.fromEntries(
      report.burst.map(({ entry, levels: all, ...rest }) => [
        entry,
        { ...rest, ...Object.fromEntries(all.map((level) => [level.level, level])) },
      ]),
    ),
    all: {
      rows: report.modes.length,
      n: sum(counted.map(({ n }) => n)),
      passed: sum(counted.map(({ passed }) => passed)),
    },
  };
}

export function viewOfProbe(document: ProbeDocument): View {
  const each = <T, R>(lists: Record<string, readonly T[]>, make: (all: readonly T[]) => R) =>
    Object.fromEntries(Object.entries(lists).map(([entry, all]) => [entry, make(all)]));
  return {
    kind: 'probe',
    id: document.probe.id,
    probe: document.probe,
    all: { rows: document.modes.length },
    sync: each(document.sync, (cells) => {
      const tried = cells.filter(
        ({ verdict }) => verdict !== 'not-applicable' && verdict !== 'gap',
      );
      const verdicts = Object.fromEntries(
        cells.map(({ cell, direction, verdict }) => [`${cell} ${direction}`, verdict]),
      );
      return {
        ...verdicts,
        tried: tried.length,
        same: tried.filter(({ verdict }) => verdict === 'same').length,
      };
    }),
    walls: each(document.walls, (walls) => ({
      ...Object.fromEntries(walls.map(({ wall, observed }) => [wall, observed])),
      closed: walls.filter(({ observed }) => observed === 'closed').length,
    })),
    residue: each(document.residue, (sweeps) =>
      Object.fromEntries(
        sweeps.map(({ path, delivered, places }) => [
          path,
          { delivered, found: places.filter(({ verdict }) => verdict === 'found').length },
        ]),
      ),
    ),
    tax: each(document.tax, (all) =>
      Object.fromEntries(
        all.map((result) => [
          result.probe,
          'ratio' in result ? { ...result, median: result.ratio } : { gap: result.gap },
        ]),
      ),
    ),
  };
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

interface Measured {
  median: number;
  ci95?: [number, number];
}

const show = (value: Measured, how: (number: number) => string) =>
  value.ci95
    ? `${how(value.median)} [${how(value.ci95[0])}–${how(value.ci95[1])}]`
    : how(value.median);
const rounded = (value: number) => String(Math.round(value));
const times = (value: number) => (value < 10 ? value.toFixed(2) : rounded(value));

/** Formats, keyed by the name after the bar. */
const FORMATS: Record<string, (value: Measured) => string> = {
  ms: (value) =>
    `${value.ci95 ? `${rounded(value.median)} ms [${value.ci95.map(rounded).join('–')}]` : `${rounded(value.median)} ms`}`,
  'median ms': ({ median }) => `${rounded(median)} ms`,
  seconds: ({ median }) => `${(median / 1000).toFixed(1)} s`,
  ratio: (value) => show(value, times),
  times: ({ median }) => times(median),
  rate: (value) => show(value, rounded),
  count: ({ median }) => rounded(median),
};

/**
 * Names may contain colons, dashes and blanks, so path steps are separated by dots and operators
 * are surrounded by blanks.
 */
function at(path: string, views: ReadonlyMap<string, View>): unknown {
  const [alias = '', ...steps] = path.trim().split('.');
  let value: unknown = views.get(alias);
  if (value === undefined) throw wrong(`no record is called ${alias}`, path);
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !(step in value))
      throw wrong(`there is no ${step}`, path);
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function measuredAt(path: string, views: ReadonlyMap<string, View>): Measured {
  const [over, under, ...more] = path.split(' / ');
  if (more.length > 0) throw wrong('one division at most', path);
  if (over !== undefined && under !== undefined) {
    const [above, below] = [measuredAt(over, views), measuredAt(under, views)];
    return { median: above.median / below.median };
  }
  const value = at(path, views);
  if (isGap(value)) throw wrong(`it is a gap (${value.gap})`, path);
  if (typeof value === 'number') return { median: value };
  const { median, ci95 } = (value ?? {}) as { median?: unknown; ci95?: unknown };
  if (typeof median !== 'number') throw wrong('it is no number', path);
  return Array.isArray(ci95) ? { median, ci95: ci95 as [number, number] } : { median };
}

/** @throws `bad-input` if a path leads nowhere, or the format is unknown */
export function fill(template: string, views: ReadonlyMap<string, View>): string {
  return template.replace(PLACEHOLDER, (_whole, path: string, name: string) => {
    if (name.trim() === 'text') return String(at(path, views));
    const format = FORMATS[name.trim()];
    if (!format)
      throw wrong(
        `no format is called ${name.trim()} (there are ${Object.keys(FORMATS).join(', ')}, text)`,
        path,
      );
    return format(measuredAt(path, views));
  });
}

const PLACEHOLDER = /\{([^{}|]+)\|([^{}|]+)\}/g;

/** @throws `bad-input` with the claim that does not hold */
export function check(claim: string, views: ReadonlyMap<string, View>): void {
  const parts = /^(.+?) (=|<|>) (.+)$/.exec(claim);
  if (!parts)
    throw wrong('a claim is written `path = value`, `path < path` or `path > path`', claim);
  const [, left = '', operator, right = ''] = parts;
  const isPath = views.has(right.split('.')[0] ?? '');
  if (operator === '=') {
    const value = at(left, views);
    if (String(isGap(value) ? value.gap : value) !== (isPath ? String(at(right, views)) : right))
      throw wrong('it does not hold', claim);
    return;
  }
  const a = measuredAt(left, views).median;
  const b = isPath ? measuredAt(right, views).median : Number(right);
  if (!(operator === '<' ? a < b : a > b)) throw wrong(`it does not hold (${a} and ${b})`, claim);
}

/**
 * Words with digits in a template that are covered by neither a placeholder nor a declared name.
 */
export function undeclaredNumbers(template: string, names: readonly string[]): string[] {
  let rest = template.replace(PLACEHOLDER, ' ');
  for (const name of [...names].sort((a, b) => b.length - a.length))
    rest = rest.replaceAll(name, ' ');
  return rest.match(/[^\s]*\d[^\s]*/g) ?? [];
}

/**
 * Aliases of the records that a finding takes numbers from or rests on, without those that name a
 * record a second time.
 */
function recordsOf({ short = '', answer = '', holds }: Finding, { records }: Findings): string[] {
  const filled = [...`${short} ${answer}`.matchAll(PLACEHOLDER)].flatMap(([, path = '']) =>
    path.split(' / '),
  );
  const aliases = new Set([...filled, ...holds].map((path) => path.trim().split('.')[0] ?? ''));
  const byId = new Map(
    [...aliases].flatMap((alias) =>
      records[alias] === undefined ? [] : [[records[alias], alias] as const],
    ),
  );
  return [...byId.values()];
}

/**
 * A section per question with an answer, and a list of those that are open.
 * @throws `bad-input` with the finding that is wrong
 */
export function renderFindings(file: Findings, views: ReadonlyMap<string, View>): string {
  const answered = file.findings.filter(({ answer }) => answer !== undefined);
  const open = file.findings.filter(({ answer }) => answer === undefined);
  const parts = [
    ...answered.map((finding) => answeredText(finding, file, views)),
    ...(open.length === 0 ? [] : [openText(open, file, views)]),
  ];
  return parts.join('\n\n');
}

function answeredText(finding: Finding, file: Findings, views: ReadonlyMap<string, View>): string {
  const { question, short, answer = '', open } = finding;
  checkWords(finding, file, views);
  const aliases = recordsOf(finding, file);
  if (aliases.length === 0) throw wrong('no record answers it', question);
  const records = aliases.map(
    (alias) =>
      `${views.get(alias)?.kind === 'probe' ? 'probe' : 'match'} \`${file.records[alias]}\``,
  );
  const words = [
    ...(short === undefined ? [] : [`**${fill(short, views).trim()}**`]),
    fill(answer, views).trim(),
    ...(open === undefined ? [] : [`Open: ${open.trim()}`]),
    `(${sentenceCase(records.join(', '))}.)`,
  ];
  return ofThisRepository(`### ${question}\n\n${joinedLines(words)}`).toString();
}

function openText(
  open: readonly Finding[],
  file: Findings,
  views: ReadonlyMap<string, View>,
): string {
  for (const finding of open) checkWords(finding, file, views);
  const lines = open.map(
    ({ question, open: missing = '' }) => `- **${question}** ${missing.trim()}`,
  );
  return ofThisRepository(
    `### Open: what would answer it is missing\n\n${lines.join('\n')}`,
  ).toString();
}

/** @throws `bad-input` if a number is typed, or a claim does not hold */
function checkWords(
  { question, short = '', answer = '', open = '', holds }: Finding,
  { names }: Findings,
  views: ReadonlyMap<string, View>,
) {
  for (const words of [question, short, answer, open]) {
    const [number] = undeclaredNumbers(words, names);
    if (number !== undefined) throw wrong(`${number} comes from no record`, words);
  }
  for (const claim of holds) check(claim, views);
}

/** Joined by blanks; what follows a table begins a paragraph of its own. */
const joinedLines = (parts: readonly string[]) =>
  parts.reduce(
    (text, part) => `${text}${text.endsWith('|') || part.startsWith('|') ? '\n\n' : ' '}${part}`,
  );

const sentenceCase = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

function wrong(what: string, where: string): CagematchError {
  return new CagematchError(
    'bad-input',
    `docs/findings.yaml: ${what}: ${where}`,
    'correct it there, then npm run docs:results',
  );
}
