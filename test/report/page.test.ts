// The page of a match, opened in a real browser: it shows every row, asks for nothing, fits a
// phone, can be read, and stays ours.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Io } from '../../commands/io.js';
import { handler as report } from '../../commands/report.js';
import { packageRoot } from '../../lib/package.js';
import { isGap } from '../../lib/record/types.js';
import { type Report, reportSchema } from '../../lib/report/document.js';
import { renderHtml } from '../../lib/report/html.js';
import {
  type Browser,
  browserIsRequired,
  findBrowser,
  openPage,
  startBrowser,
  type Tab,
} from '../support/browser.js';
import { HOSTILE, hostileReport, LONG } from '../support/hostile-report.js';
import {
  DOTS,
  HEADINGS,
  OUTSIDE,
  PLACES,
  STRANGERS,
  TOO_FAINT,
  TOO_WIDE,
  UNMARKED,
  UNNAMED,
} from '../support/page-inspections.js';
import { sampleReport } from '../support/sample-report.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const program = findBrowser(process.env);
if (program === undefined)
  process.stderr.write(
    '\n!! THE PAGE WAS NOT OPENED: there is no chromium on PATH, nor CAGEMATCH_BROWSER. sudo rig/up browser\n\n',
  );

const WIDTHS = [360, 390, 768, 1280, 1600];
const SCHEMES = ['light', 'dark'] as const;

describe('a browser', () => {
  test('is there where CI asks for the rig, so that green cannot mean that no page was opened', () => {
    expect(program !== undefined || !browserIsRequired(process.env)).toBe(true);
  });

  test('has to be there only where CI and the rig are', () => {
    expect(browserIsRequired({ CI: 'true', CAGEMATCH_BASE_IMAGE: 'a:b' })).toBe(true);
    expect(browserIsRequired({ CI: 'true' })).toBe(false);
    expect(browserIsRequired({ CAGEMATCH_BASE_IMAGE: 'a:b' })).toBe(false);
  });

  test('is the one that is named, else the first on PATH', () => {
    const folder = temporaryFolder();
    expect(findBrowser({ PATH: folder })).toBeUndefined();
    writeFileSync(join(folder, 'google-chrome'), '');
    expect(findBrowser({ PATH: folder })).toBeUndefined();
    chmodSync(join(folder, 'google-chrome'), 0o755);
    expect(findBrowser({ PATH: folder })).toBe(join(folder, 'google-chrome'));
    expect(findBrowser({ PATH: folder, CAGEMATCH_BROWSER: '/opt/other' })).toBe('/opt/other');
  });
});

describe('the text of the page', () => {
  test('the samples are reports', () => {
    for (const sample of [sampleReport(3), sampleReport(10), sampleReport(40), hostileReport()])
      expect(reportSchema.safeParse(sample).error).toBeUndefined();
  });

  test('draws as many runs as can be told apart, and says so; outliers are always drawn', () => {
    const report = sampleReport(10);
    const [mode] = report.modes;
    if (!mode || isGap(mode.startupMs)) throw new Error('the sample has a measured row first');
    const samples = Array.from({ length: 200_000 }, (_, index) => 400 + (index % 100));
    Object.assign(mode.startupMs, { samples: [...samples, 9000], max: 9000 });
    mode.outliers = [{ run: 'far#1', ms: 9000 }];
    const page = renderHtml(report);
    expect(page).toContain('drawn: 1 of 201 and all outliers');
    expect(page).toContain('far#1');
    expect(page.match(/class="dot"/g)?.length).toBeLessThan(2000);
  });

  test('shows no mark-up of its own as text', () => {
    expect(sampleReport(10).recommendation.breakEven).not.toEqual([]);
    for (const rounds of [3, 10, 40])
      expect(renderHtml(sampleReport(rounds))).not.toMatch(/&lt;\/?(span|b|i|li|a|td|small)\b/);
  });

  test('under six runs there is no interval', () => {
    expect(renderHtml(sampleReport(5))).not.toMatch(/95 % interval \d/);
    expect(renderHtml(sampleReport(10))).toMatch(/95 % interval \d/);
  });

  test('pairs that cannot be told apart are named with their number of rounds', () => {
    const text = textOf(renderHtml(sampleReport(10)));
    expect(text).toContain(
      'docker and podman: ratio of startups 1.02 [0.97–1.06], not separable at n=10',
    );
    expect(text).not.toContain('host and docker: ratio of startups');
    expect(textOf(renderHtml(sampleReport(3)))).toContain(
      '15 pairs of 15: cannot be said, too few runs to say it',
    );
  });

  test('gaps say why in words, and failures say what was seen', () => {
    const text = textOf(renderHtml(sampleReport(10)));
    for (const phrase of [
      'not captured: it runs on another machine',
      'not captured: what runs it belongs to another program',
      'podman run ended with exit code 125: netavark: no such bridge',
      'no sbx command on PATH',
      'something else ran beside it',
      '8 at once need some 2.9 GiB of memory, and 2.1 GiB are free',
      '3 runs of 20 failed at 4',
    ])
      expect(text).toContain(phrase);
  });

  test('stand-ins come with the line that their numbers are no finding, and only they', () => {
    expect(textOf(renderHtml(sampleReport(10)))).toContain('its numbers are no finding');
    const real = sampleReport(10);
    for (const mode of real.modes) mode.standIn = false;
    expect(textOf(renderHtml(real))).not.toContain('stand-in marks');
  });

  test('a match of which nothing is left but its record is a page too', () => {
    const { endedAt, baseline, ...match } = sampleReport(3).match;
    const nothing: Report = {
      ...sampleReport(3),
      match: { ...match, how: 'crashed', rounds: 0, load: {} },
      modes: [],
      comparisons: [],
      burst: [],
      absent: [],
      gaps: [],
      warnings: [],
      recommendation: { pareto: [], dominated: [], breakEven: [], profiles: [], silent: [] },
    };
    const text = textOf(renderHtml(nothing));
    expect(text).toContain('has no end in its record');
    expect(text).toContain('Intel(R) Xeon(R)');
    expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('no number that is none ever shows', () => {
    for (const sample of [sampleReport(1), sampleReport(3), sampleReport(40), hostileReport()])
      expect(renderHtml(sample)).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });
});

describe.skipIf(program === undefined)('the page in a real browser', () => {
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    browser = await startBrowser(program as string);
    tab = await browser.tab();
  });
  afterAll(() => browser?.close());

  const PAGES: [string, () => Report][] = [
    ['ten rounds', () => sampleReport(10)],
    ['three rounds', () => sampleReport(3)],
    ['forty rounds and no burst', () => sampleReport(40, { burst: false })],
    ['hostile words', hostileReport],
  ];

  test.each(PAGES)(
    'asks for nothing but itself, says nothing, and fits every screen and a sheet of paper: %s',
    async (_, sample) => {
      const { strangers, complaints } = await openPage(tab, renderHtml(sample()));
      for (const scheme of SCHEMES) {
        for (const width of WIDTHS) {
          await tab.look(width, scheme);
          expect({ width, scheme, tooWide: await tab.evaluate(TOO_WIDE) }).toEqual({
            width,
            scheme,
            tooWide: [],
          });
        }
      }
      // A sheet of A4, on which nothing scrolls and nothing can be unfolded.
      await tab.look(794, 'light', 'print');
      expect(await tab.evaluate(TOO_WIDE)).toEqual([]);
      expect({ strangers, complaints }).toEqual({ strangers: [], complaints: [] });
    },
  );

  test.each(SCHEMES)(
    'every text stands out from what is behind it, at least 4.5 to 1: %s',
    async (scheme) => {
      await openPage(tab, renderHtml(sampleReport(3)));
      for (const width of [390, 1280]) {
        await tab.look(width, scheme);
        const { checked, faint } = await tab.evaluate<{ checked: number; faint: string[] }>(
          TOO_FAINT,
        );
        expect(checked).toBeGreaterThan(400);
        expect(faint).toEqual([]);
      }
    },
  );

  test('every row has its name, its mark if it is a stand-in, and a dot for each of its runs where the scale says', async () => {
    const sample = sampleReport(40);
    await openPage(tab, renderHtml(sample));
    await tab.look(1280, 'light');
    const wanted = sample.modes.map((mode) => [
      mode.entry,
      'gap' in mode.startupMs ? 0 : mode.startupMs.samples.length,
    ]);
    expect(wanted.filter(([, count]) => count === 40)).toHaveLength(6);
    expect(await tab.evaluate(DOTS)).toEqual(wanted);
    expect(await tab.evaluate('document.querySelectorAll(".plot .outlier").length')).toBe(2);
    expect(await tab.evaluate(`(${UNMARKED})(['fly'])`)).toEqual({
      named: expect.any(Number),
      unmarked: [],
    });
    // Pixels per millisecond are the same for every dot: one scale, and it begins at 0.
    const { least, most } = await tab.evaluate<{ least: number; most: number }>(PLACES);
    expect(least).toBeGreaterThan(0.1);
    expect(most / least).toBeLessThan(1.01);
  });

  test('what others wrote stays text: no element and no attribute of theirs, and their words can be read', async () => {
    await openPage(tab, renderHtml(hostileReport()));
    expect(await tab.evaluate(STRANGERS)).toEqual([]);
    expect(await tab.evaluate('window.broken === undefined')).toBe(true);
    const text = await tab.evaluate<string>('document.body.textContent');
    expect(text.split(HOSTILE).length).toBeGreaterThan(20);
    expect(text).toContain(LONG);
    expect(text).toContain('red');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(text).not.toMatch(/[\u0000\u0007\u001b\u202e]/);
  });

  test('it can be heard: one h1, headings in order, tables with heads, plots with labels, figures with captions', async () => {
    await openPage(tab, renderHtml(sampleReport(10)));
    const headings = await tab.evaluate<number[]>(HEADINGS);
    expect(headings.filter((level) => level === 1)).toEqual([1]);
    for (const [index, level] of headings.entries())
      expect(level - (headings[index - 1] ?? 0)).toBeLessThanOrEqual(1);
    expect(await tab.evaluate(UNNAMED)).toEqual([]);
    expect(
      await tab.evaluate(
        '[...document.querySelectorAll(\'a[href^="#"]\')].filter((a) => !document.querySelector(a.hash)).length',
      ),
    ).toBe(0);
  });

  test('each of these inspections can fail', async () => {
    const { strangers, complaints } = await openPage(
      tab,
      `<!doctype html><title>x</title><h1>x</h1><p style="color:#999;background:#fff">faint</p><div style="width:5000px">wide</div>
<figure><svg></svg></figure><table><tr><th>x</table><a class="entry">fly</a> <script>console.error('said')</script><img src="http://127.0.0.1:1/x.png">`,
    );
    await tab.look(390, 'light');
    expect(strangers).toEqual(['http://127.0.0.1:1/x.png']);
    expect(complaints.join()).toContain('said');
    expect(await tab.evaluate(TOO_WIDE)).not.toEqual([]);
    expect(await tab.evaluate(TOO_FAINT)).toMatchObject({
      faint: [expect.stringContaining('faint')],
    });
    expect(await tab.evaluate(STRANGERS)).toEqual(expect.arrayContaining(['script', 'img']));
    expect(await tab.evaluate(UNNAMED)).toHaveLength(3);
    expect(await tab.evaluate(`(${UNMARKED})(['fly'])`)).toEqual({ named: 1, unmarked: ['fly'] });
    expect(await tab.evaluate(OUTSIDE)).not.toEqual([]);
  });

  test('report --format html of a real match, the one that this repository holds, is such a page', async () => {
    let html = '';
    const io = {
      document: (text: string) => (html += text),
      cwd: packageRoot,
      outIsTty: false,
    } as unknown as Io;
    expect(
      await report({ match: '20261121-083223-4c9b', format: 'html', out: 'results' }, io),
    ).toBe(0);
    expect(await openPage(tab, html)).toEqual({ strangers: [], complaints: [] });
    for (const width of [390, 1280]) {
      await tab.look(width, 'dark');
      expect(await tab.evaluate(TOO_WIDE)).toEqual([]);
      expect(await tab.evaluate(TOO_FAINT)).toMatchObject({ faint: [] });
    }
    const dots = await tab.evaluate<[string, number][]>(DOTS);
    expect(dots.map(([name]) => name)).toContain('host');
    expect(dots.every(([, count]) => count > 0)).toBe(true);
  });

  test('no address of another place stands in it', async () => {
    await openPage(tab, renderHtml(hostileReport()));
    expect(await tab.evaluate(OUTSIDE)).toEqual([]);
  });
});

/** The words of a document, roughly: what stands between its tags. */
function textOf(html: string): string {
  return html
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<(title|small|td|th|li|p|dt|dd)[^>]*>/g, ' ')
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ');
}
