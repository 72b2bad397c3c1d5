// Whatever a record contains, no form of a report of it steers a terminal, is markup that others
// chose, or runs in a spreadsheet.
import { describe, expect, test } from 'vitest';
import { compare } from '../../lib/report/compare/compare.js';
import { renderComparisonMarkdown } from '../../lib/report/export/compare-markdown.js';
import { createCsv } from '../../lib/report/export/csv.js';
import { renderHyperfine } from '../../lib/report/export/hyperfine.js';
import { createJson } from '../../lib/report/export/json.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderSvg } from '../../lib/report/export/svg.js';
import { createTrace } from '../../lib/report/export/trace.js';
import { createFold } from '../../lib/report/fold.js';
import { renderHtml } from '../../lib/report/html.js';
import { renderProbeCsv } from '../../lib/report/probe/csv.js';
import { createProbeFold } from '../../lib/report/probe/fold.js';
import { renderProbeHtml } from '../../lib/report/probe/html.js';
import { renderProbeMarkdown } from '../../lib/report/probe/markdown.js';
import { createProbeProgress } from '../../lib/report/probe/progress.js';
import { renderProbe } from '../../lib/report/probe/terminal.js';
import { renderComparison } from '../../lib/report/terminal/compare-table.js';
import { renderDetected } from '../../lib/report/terminal/detected.js';
import { createProgress } from '../../lib/report/terminal/progress.js';
import { coloured, plain, renderTable } from '../../lib/report/terminal/table.js';
import {
  HOSTILE_BEGINNINGS,
  hostileMatch,
  hostileProbe,
  hostileWords,
} from '../support/hostile-record.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const OWN_STYLES = /\u001b\[(?:1|2|22|31|32|39)m/g;
const STEERS = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** @param text on a terminal, or in a form that a terminal may be asked to show */
const expectQuiet = (text: string) => expect(STEERS.exec(text)).toBeNull();

describe.each(HOSTILE_BEGINNINGS)('a record whose every text begins with %j', (beginning) => {
  const events = hostileMatch(beginning);
  const fold = createFold({ runs: true });
  for (const event of events) fold.push(event);
  const report = fold.finish();
  const probeFold = createProbeFold();
  const probed = hostileProbe(beginning);
  for (const event of probed) probeFold.push(event);
  const probe = probeFold.finish();
  const side = { report, tallyOf: fold.tallyOf };
  const comparison = compare(
    side,
    { ...side, report: { ...report, match: { ...report.match, seed: 2 } } },
    undefined,
  );
  const exported = (
    make:
      | typeof createCsv
      | typeof createTrace
      | ((write: (text: string) => void) => ReturnType<typeof createJson>),
  ) => {
    let text = '';
    const exporter = make((piece) => (text += piece));
    for (const event of events) exporter.push(event);
    exporter.end();
    return text;
  };

  test('has rows, runs and failures to show', () => {
    expect(
      report.modes.length * report.runs.length * report.absent.length * probe.modes.length,
    ).toBeGreaterThan(0);
    expect(report.modes.flatMap(({ failures }) => failures)).not.toEqual([]);
  });

  test.each([
    ['the table', (style: typeof plain) => renderTable(report, style, [probe])],
    ['the table of a probe', (style: typeof plain) => renderProbe(probe, style)],
    ['the comparison', (style: typeof plain) => renderComparison(comparison, style)],
    [
      'what is detected',
      (style: typeof plain) => {
        const text = hostileWords(beginning);
        const rows = report.modes.map(({ mode, letter, title, isolation, standIn, detection }) => ({
          mode,
          letter,
          title,
          isolation,
          standIn,
          detection,
        }));
        return renderDetected(
          [
            ...rows,
            {
              ...rows[0],
              detection: { status: 'absent', reason: text, hint: text },
            } as (typeof rows)[0],
          ],
          style,
        );
      },
    ],
  ])('%s has no control character but line ends and our own styles', (_what, render) => {
    expectQuiet(render(plain));
    expectQuiet(render(coloured).replace(OWN_STYLES, ''));
  });

  test.each([true, false])(
    'progress has none but line ends, and returns at both ends of a piece (live: %s)',
    (live) => {
      const pieces: string[] = [];
      const progress = createProgress((piece) => pieces.push(piece), live);
      for (const event of events) progress.onEvent(event);
      progress.waiting(hostileWords(beginning));
      progress.end();
      const ofProbe = createProbeProgress((piece) => pieces.push(piece), live);
      for (const event of probed) ofProbe.onEvent(event);
      ofProbe.end();
      expect(pieces.length).toBeGreaterThan(10);
      expectQuiet(pieces.map((piece) => piece.replace(/^\r/, '').replace(/\r$/, '')).join(''));
    },
  );

  test.each([
    ['JSON', () => exported((write) => createJson(write, { ...report, runs: [] }))],
    ['a trace', () => exported(createTrace)],
    ['hyperfine', () => renderHyperfine(report, fold.tallyOf)],
  ])('%s is read back, and escapes what a terminal would obey', (_what, render) => {
    const text = render();
    expectQuiet(text);
    expect(() => JSON.parse(text)).not.toThrow();
  });

  test.each([
    ['the page', () => renderHtml(report, [probe])],
    ['the page of a probe', () => renderProbeHtml(probe)],
    ['the picture', () => renderSvg(report)],
  ])('%s has no element and no attribute of others', (_what, render) => {
    const html = render();
    expectQuiet(html);
    expect(html).not.toMatch(/<(script|img|!-- \/cagematch)/);
    expect(html).not.toMatch(/(href|src)="?(http|javascript)/);
  });

  test.each([
    ['a match', () => renderMarkdown(report)],
    ['a probe', () => renderProbeMarkdown(probe)],
    ['a comparison', () => renderComparisonMarkdown(comparison)],
  ])(
    'Markdown of %s has no link, image, mention, HTML or mark of others, and every table its columns',
    (_what, render) => {
      const text = render();
      expectQuiet(text);
      expect(text).not.toMatch(/<!--/);
      const lines = text
        .split('\n')
        .map((line) => withoutCode(line).replace(/^\*\*(.*)\*\*$/, '$1'));
      for (const line of lines) {
        expect(line).not.toMatch(/\]\(|\]\[|\]:|!\[|<|:\/\/|\bwww\.|\$/);
        // `docker@a` and `docker#1` are names of a row and of a run.
        expect(line).not.toMatch(/(^|\W)@|@[\w-]*[./]|(^|\W)#\d/);
        expect(line).not.toMatch(
          /[*`~]|(^|[^\p{L}\p{N}_])_+[\p{L}\p{N}]|[\p{L}\p{N}]_+([^\p{L}\p{N}_]|$)/u,
        );
        expect(line).not.toMatch(/^- (\s|[-+=#>[]|\d+[.)](\s|$))/);
      }
      const tables = lines
        .join('\n')
        .split('\n\n')
        .filter((part) => part.startsWith('| '));
      expect(tables.length).toBeGreaterThan(0);
      for (const table of tables) {
        const bars = table
          .trimEnd()
          .split('\n')
          .map((line) => line.split('|').length);
        expect(bars, table).toEqual(bars.map(() => bars[0]));
      }
    },
  );

  test.each([
    ['a match', () => exported(createCsv)],
    ['a probe', () => renderProbeCsv(probe)],
  ])(
    'CSV of %s begins no cell with a formula, whether a comma or a semicolon ends them',
    (_what, render) => {
      const text = render();
      expectQuiet(text.replaceAll('\r\n', '\n'));
      const lines = text.split('\r\n').slice(1, -1);
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) {
        for (const cell of [...cellsOf(line), ...line.split(';')])
          expect(cell).not.toMatch(FORMULA);
        expect(cellsOf(line).length).toBe((text.split('\r\n')[0] ?? '').split(',').length);
      }
    },
  );
});

/** An apostrophe in front makes words of it. */
const FORMULA = /^[\s"]*[=+\-@＝＋－＠]/;

/** The cells of a line of CSV as RFC 4180 has it. */
function cellsOf(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '',
  );
}

/** A line of Markdown without its code spans and its backslash escapes. */
function withoutCode(line: string): string {
  const plainText = line.replace(/(?<![\\`])(`+)(?!`)([\s\S]*?[^`])\1(?!`)/g, 'code');
  return plainText.replace(/\\[!-/:-@[-`{-~]/g, 'x');
}
