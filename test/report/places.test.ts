// Where a runtime has several machines: each form of the report says on which one the runs were,
// and how they did there.
import { expect, test } from 'vitest';
import type { MatchEvent } from '../../lib/record/types.js';
import { createCsv } from '../../lib/report/export/csv.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderHtml } from '../../lib/report/html.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { ended, ran, row, started } from '../support/hand-made-record.js';
import { reportOf } from '../support/report-of.js';

const LOST = {
  status: 'failed',
  cause: 'sandbox',
  message: 'member m2 is lost: Offline: No heartbeat for 20 s',
} as const;

/** Runs of one row, each on a member, at a level. */
function spread(
  entry: string,
  runs: [place: string | undefined, startup: number | undefined, level?: number][],
): MatchEvent[] {
  return runs.map(([place, startup, level = 1], index) =>
    ran(entry, index + 1, startup === undefined ? {} : { startup }, {
      level,
      ...(startup === undefined ? { outcome: LOST } : {}),
      ...(place === undefined ? {} : { place }),
    }),
  );
}

const placesOf = (concurrency: number, ...events: MatchEvent[][]) =>
  reportOf([started({ concurrency, runs: 4 }), ...events.flat(), ended()]).report;

test('a row whose runs were on several machines has a line for each, the failed runs counted where they were', () => {
  const report = placesOf(
    1,
    row('incus'),
    spread('incus', [
      ['m1', 900],
      ['m2', 1100],
      ['m1', 920],
      ['m2', undefined],
    ]),
  );
  expect(report.places).toMatchObject([
    { entry: 'incus', level: 1, place: 'm1', n: 2, passed: 2, startupMs: { median: 910 } },
    { entry: 'incus', level: 1, place: 'm2', n: 2, passed: 1, startupMs: { median: 1100 } },
  ]);
  expect(renderTable(report)).toContain(
    'where the runs were\nmode   on  passed  startup ms\nincus  m1     2/2         910\n       m2     1/2        1100\n',
  );
  expect(renderMarkdown(report)).toContain(
    'Where the runs were:\n\n| mode | on | passed | startup ms |\n| --- | --- | --- | --- |\n| incus | m1 | 2/2 | 910 |\n| incus | m2 | 1/2 | 1100 |',
  );
  expect(renderHtml(report)).toMatch(
    /<h2 id="places">Places<\/h2>.*<td>m2<\/td><td class="num"><span class="bad">✗ 1\/2<\/span>/s,
  );
});

test('in a burst each level tells its machines apart', () => {
  const runs = spread('incus', [
    ['m1', 900],
    ['m1', 1500, 2],
    ['m2', 1600, 2],
  ]);
  expect(renderTable(placesOf(2, row('incus'), runs))).toContain(
    'mode   at once  on  passed  startup ms\nincus        1  m1     1/1         900\n             2  m1     1/1        1500\n             2  m2     1/1        1600\n',
  );
});

test('a row that had all of its runs in one place says which; one that knows no places says nothing', () => {
  const report = placesOf(
    1,
    row('fly', { standIn: true }),
    spread('fly', [
      ['fra', 4000],
      ['fra', 4100],
    ]),
    row('host'),
    spread('host', [[undefined, 500]]),
  );
  expect(renderTable(report)).toContain('where the runs were\n  fly (stand-in): all on fra\n\n');
  expect(renderMarkdown(report)).toContain(
    'Where the runs were:\n\n- fly (stand-in): all on fra\n',
  );
  const nowhere = placesOf(1, row('host'), spread('host', [[undefined, 500]]));
  expect(nowhere.places).toEqual([]);
  for (const form of [renderTable(nowhere), renderMarkdown(nowhere), renderHtml(nowhere)])
    expect(form).not.toMatch(/where the runs were|>Places</i);
});

test('every line of the CSV names the place', () => {
  let text = '';
  const csv = createCsv((chunk) => {
    text += chunk;
  });
  for (const event of [
    started(),
    ...row('incus', { options: { target: 'm2' } }),
    ...spread('incus', [['m2', 900]]),
  ])
    csv.push(event);
  csv.end();
  const [head = '', line = ''] = text.split('\r\n');
  const cell = (name: string) => line.split(',')[head.split(',').indexOf(name)];
  expect([cell('target'), cell('place')]).toEqual(['"m2"', '"m2"']);
});
