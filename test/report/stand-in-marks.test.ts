// Wherever a report says a number of a stand-in beside those of real rows, it says whose it is, and
// rests nothing on it.
import { describe, expect, test } from 'vitest';
import { nameOf } from '../../lib/report/cells.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { createPreparing } from '../../lib/report/terminal/preparing.js';
import { plain, renderTable } from '../../lib/report/terminal/table.js';
import { burstOf, HOST, madeMatch } from '../support/hand-made-match.js';
import { row } from '../support/hand-made-record.js';

const standIn = { standIn: true };
/** A stand-in that is as fast as a real row, but for one run, and that was tried many at once. */
const report = madeMatch(
  {
    host: HOST,
    docker: { isolation: 'container', startup: 600 },
    podman: { isolation: 'container', startup: 600.1, entry: standIn },
  },
  { rounds: 12, extraEvents: burstOf('podman', { 1: 60, 2: 100 }, 3) },
);
const podman = report.modes.find(({ entry }) => entry === 'podman');
podman?.outliers.push({ run: 'podman#3', ms: 912 });

describe.each([
  ['a terminal', () => renderTable(report, plain)],
  ['Markdown', () => renderMarkdown(report)],
])('on %s', (_where, render) => {
  test('pairs that cannot be told apart, startups far out and bursts bear the mark', () => {
    const text = render().replace(/\n {4}/g, ' ');
    expect(text).toMatch(/startup, n=12: docker and podman \(stand-in\)/);
    expect(text).toMatch(/podman \(stand-in\): 1 of \d+: podman#3 912 ms/);
    expect(text).toMatch(/podman \(stand-in\)( +| \| )runs\/min/);
    expect(text).toMatch(/podman \(stand-in\): (still scales|more than)/);
    // A run's own name says which row it is of; a row's name does not stand without its mark.
    expect(text.match(/podman(?![#( ]| \(stand-in\))/g)).toBeNull();
  });
});

test('a pair with one in it says so, and one without does not', () => {
  expect(report.comparisons.map(({ a, b, standIn }) => [a, b, standIn])).toEqual([
    ['host', 'docker', undefined],
    ['host', 'podman', true],
    ['docker', 'podman', true],
  ]);
});

test('is no baseline of real rows', () => {
  const live = (entry: object) =>
    madeMatch(
      {
        native: { isolation: 'os-sandbox', startup: 500, entry },
        docker: { isolation: 'container', startup: 600 },
      },
      { match: { model: 'live' } },
    ).match;
  expect(live({})).toMatchObject({ baseline: 'native' });
  expect(live(standIn)).not.toHaveProperty('baseline');
});

test('how long it took to be prepared is told with the mark', () => {
  const lines: string[] = [];
  const tell = createPreparing({
    line: (text: string) => lines.push(text),
    status: () => {},
    clear: () => {},
  } as never);
  for (const event of row('podman', standIn)) tell(event);
  tell({ type: 'prepared', atMs: 1, entry: 'podman', imageMs: 2100 });
  expect(lines).toEqual([`${nameOf({ entry: 'podman', standIn: true })}: prepared in 2.1 s`]);
});
