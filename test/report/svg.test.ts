// The picture of a match: a bar for each row whose parts are as long as its medians, and no word of
// others that could act in it.
import { expect, test } from 'vitest';
import { partsOf, renderSvg } from '../../lib/report/export/svg.js';
import { buildReport } from '../../lib/report/report.js';
import { HOST, madeMatch } from '../support/hand-made-match.js';
import { baseline, FAILED, ran, row, started } from '../support/hand-made-record.js';
import { hostileReport } from '../support/hostile-report.js';
import { sampleReport } from '../support/sample-report.js';

const widthsOf = (svg: string) =>
  [...svg.matchAll(/ width="([\d.]+)" height="18"/g)].map(([, width]) => Number(width));

test('every part of a bar is as long as its median, on one scale for all rows', () => {
  const report = sampleReport(10);
  const parts = report.modes.flatMap(partsOf);
  const widths = widthsOf(renderSvg(report));
  expect(widths).toHaveLength(parts.length);
  const longest = parts.reduce(
    (most, { ms }, index) => (ms > (parts[most]?.ms ?? 0) ? index : most),
    0,
  );
  const pxPerMs = (widths[longest] ?? 0) / (parts[longest]?.ms ?? 0);
  for (const [index, { ms }] of parts.entries())
    expect(Math.abs((widths[index] ?? 0) - ms * pxPerMs)).toBeLessThan(0.3);
});

test('a row in which no run passed has no bar, and the count of its runs in its place', () => {
  const report = buildReport([
    started(),
    ...baseline(),
    ...row('docker'),
    ran('docker', 1, {}, { outcome: FAILED }),
  ]);
  expect(renderSvg(report)).toContain('0 of 1 runs passed');
});

test('words of others are text: no element or attribute of theirs comes into the picture', () => {
  const svg = renderSvg(hostileReport());
  const tags = svg.match(/<[^>]*>/g) ?? [];
  expect([...new Set(tags.map((tag) => /[a-z]+/i.exec(tag)?.[0]))].sort()).toEqual([
    'line',
    'rect',
    'style',
    'svg',
    'text',
    'title',
  ]);
  expect(tags.join('')).not.toMatch(/\s(?:on\w+|href|src)=/);
});

test('of one task alone, the rows of the others are left out, and no name repeats the task', () => {
  const tasks = ['hello', 'refactor'] as const;
  const rows = tasks.flatMap((task, at) => [
    [`host@${task}`, { ...HOST, work: 200 + 300 * at, entry: { task } }] as const,
  ]);
  const report = madeMatch(Object.fromEntries(rows));
  const svg = renderSvg(report, 'refactor');
  expect(
    svg.match(/<text x="12"[^>]*>[^<]*<\/text>/g)?.map((label) => label.replace(/<[^>]*>/g, '')),
  ).toEqual(['host']);
  expect(svg).toContain('Task refactor,');
  expect(svg).toContain(`>work: ${500} ms</title>`);
  expect(renderSvg(report)).toContain('>host@hello</text>');
});

test('it brings its own background in both themes, so that it can be read on a page of the other one', () => {
  const svg = renderSvg(sampleReport(10));
  const [, height] = / height="(\d+)" role="img"/.exec(svg) ?? [];
  expect(svg).toContain(`<rect class="page" width="880" height="${height}"`);
  expect(svg).toMatch(/\.page\{fill:#fff\}.*prefers-color-scheme:dark\)\{\.page\{fill:#0d1117\}/s);
});
