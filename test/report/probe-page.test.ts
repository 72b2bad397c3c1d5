// The page of a probe, and of a match with a probe beside it, opened in a real browser: it asks for
// nothing, fits a phone, can be read, and stays ours.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderHtml } from '../../lib/report/html.js';
import type { ProbeDocument } from '../../lib/report/probe/document.js';
import { renderProbeHtml } from '../../lib/report/probe/html.js';
import { type Browser, findBrowser, openPage, startBrowser, type Tab } from '../support/browser.js';
import { HOSTILE, hostileReport, LONG } from '../support/hostile-report.js';
import {
  HEADINGS,
  OUTSIDE,
  STRANGERS,
  TOO_FAINT,
  TOO_WIDE,
  UNMARKED,
  UNNAMED,
} from '../support/page-inspections.js';
import {
  ENTRIES,
  foldProbe,
  probeEnded,
  probeStarted,
  rowOf,
  sampleProbe,
  synced,
  walled,
  worked,
} from '../support/sample-probe.js';
import { sampleReport } from '../support/sample-report.js';

const program = findBrowser(process.env);
const WIDTHS = [360, 390, 768, 1280, 1600];
const SCHEMES = ['light', 'dark'] as const;
const TURNED = 'end\u202Eexe.txt\u0007\u001b[31mred\u001b[0m\u0000\ud800';

/** Hostile words wherever those of a guest or a user can stand. */
function hostileProbe(): ProbeDocument {
  const entry = 'docker';
  const document = foldProbe([
    probeStarted({
      probe: HOSTILE,
      startedAt: HOSTILE,
      versions: { cagematch: HOSTILE, agent: LONG, node: 'v20' },
    }),
    ...rowOf('host', { isolation: 'none' }),
    ...rowOf(entry, { standIn: true, title: HOSTILE }),
    {
      type: 'left-out',
      atMs: 1,
      entry: HOSTILE,
      letter: 'B',
      title: LONG,
      status: 'absent',
      reason: HOSTILE,
      hint: LONG,
    },
    { type: 'prepared', atMs: 1, entry, imageMs: 1, image: LONG },
    { type: 'broke-off', atMs: 1, entry, what: 'sync', reason: `${HOSTILE} ${TURNED} ${LONG}` },
    synced(entry, {
      cell: HOSTILE,
      direction: 'in',
      verdict: 'differs',
      detail: `${HOSTILE} ${TURNED}`,
    }),
    synced(entry, { cell: LONG, direction: 'both', verdict: 'lost', detail: LONG }),
    walled(entry, { wall: HOSTILE, declared: 'closed', observed: 'open', evidence: HOSTILE }),
    walled(entry, { wall: LONG, observed: 'gap', evidence: `${LONG} ${TURNED}` }),
    worked('host', 1, { probe: HOSTILE, opMs: 1 }),
    worked(entry, 1, { probe: HOSTILE, opMs: 123_456 }),
    worked(entry, 1, { probe: LONG, opMs: { gap: 'not-reached' }, detail: HOSTILE }),
    { type: 'warning', atMs: 5, code: 'x', message: HOSTILE },
    probeEnded(),
  ]);
  const renamed = `docker@${HOSTILE}`;
  const moved = <T>(table: Record<string, T>) =>
    Object.fromEntries(
      Object.entries(table).map(([name, own]) => [name === entry ? renamed : name, own]),
    );
  return {
    ...document,
    modes: document.modes.map((mode) =>
      mode.entry === entry ? { ...mode, entry: renamed } : mode,
    ),
    sync: moved(document.sync),
    walls: moved(document.walls),
    tax: moved(document.tax),
    brokeOff: document.brokeOff.map((item) => ({ ...item, entry: renamed })),
  };
}

/** A few of the many things that a probe can be without. */
const nothing = (): ProbeDocument => foldProbe([probeStarted()]);

describe('the text of the page of a probe', () => {
  test('no number that is none ever shows', () => {
    for (const sample of [sampleProbe(), hostileProbe(), nothing()])
      expect(renderProbeHtml(sample)).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('of a probe that was cut short says so', () => {
    expect(renderProbeHtml(nothing())).toContain('has no end in its record');
  });
});

describe.skipIf(program === undefined)('the page of a probe in a real browser', () => {
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    browser = await startBrowser(program as string);
    tab = await browser.tab();
  });
  afterAll(() => browser?.close());

  const unfold = () =>
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })");

  const PAGES: [string, () => string][] = [
    ['seven rows', () => renderProbeHtml(sampleProbe())],
    ['beside a match', () => renderHtml(sampleReport(10), [sampleProbe()])],
    ['hostile words', () => renderProbeHtml(hostileProbe())],
    ['hostile words beside a hostile match', () => renderHtml(hostileReport(), [hostileProbe()])],
    ['nothing', () => renderProbeHtml(nothing())],
  ];

  test.each(PAGES)(
    'asks for nothing but itself, says nothing, and fits every screen and a sheet of paper: %s',
    async (_, html) => {
      const { strangers, complaints } = await openPage(tab, html());
      for (const width of WIDTHS) {
        await tab.look(width, 'light');
        await unfold();
        expect({ width, tooWide: await tab.evaluate(TOO_WIDE) }).toEqual({ width, tooWide: [] });
      }
      // A sheet of A4, on which nothing scrolls.
      await tab.look(794, 'light', 'print');
      expect(await tab.evaluate(TOO_WIDE)).toEqual([]);
      expect({ strangers, complaints }).toEqual({ strangers: [], complaints: [] });
    },
  );

  test.each(SCHEMES)(
    'every text stands out from what is behind it, at least 4.5 to 1: %s',
    async (scheme) => {
      await openPage(tab, renderHtml(sampleReport(3), [sampleProbe()]));
      for (const width of [390, 1280]) {
        await tab.look(width, scheme);
        const { checked, faint } = await tab.evaluate<{ checked: number; faint: string[] }>(
          TOO_FAINT,
        );
        expect(checked).toBeGreaterThan(2000);
        expect(faint).toEqual([]);
      }
    },
  );

  test('every cell has its five marks, in words for those who hear them; every wall and every ratio stands in its column', async () => {
    await openPage(tab, renderProbeHtml(sampleProbe()));
    await tab.look(1280, 'light');
    const tables = await tab.evaluate<string[][][]>(
      "[...document.querySelectorAll('.probed')].map((table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())))",
    );
    const [files = [], every = [], walls = [], residue = [], tax = []] = tables;
    expect(tables).toHaveLength(5);
    expect(files[0]?.slice(1)).toEqual(ENTRIES);
    expect(files.find(([cell]) => cell === 'mtime')).toEqual([
      'mtime',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓≠≠·',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓✓✓·',
    ]);
    expect(every.find(([cell]) => cell === 'create, in-live')?.[4]).toBe('~ stale 1.0 ms');
    expect(walls.find(([wall]) => wall === 'fork-limit')?.slice(1, 5)).toEqual([
      'open',
      'closed',
      'closed',
      'open!',
    ]);
    expect(residue.find(([row]) => row === 'docker:runsc')?.slice(1)).toEqual([
      'argv (1 not seen)',
      'guest-environ',
      'guest-files',
    ]);
    expect(tax[0]?.slice(1)).toEqual(ENTRIES.slice(1));
    expect(tax.find(([kind]) => kind === 'cpu-hash')?.[2]).toMatch(
      /^2\.\d\d \[\d\.\d\d–\d\.\d\d\]$/,
    );
    expect(
      await tab.evaluate(
        "document.querySelector('.marks[aria-label*=differs]').getAttribute('aria-label')",
      ),
    ).toMatch(/^in same, in-live same, out-live same, out same, both differs$/);
  });

  test('a table that is wider than a phone scrolls in its own box, which a keyboard reaches, and keeps its first column in sight', async () => {
    await openPage(tab, renderProbeHtml(sampleProbe()));
    await tab.look(360, 'light');
    const seen = await tab.evaluate<{ scrolls: boolean; reached: boolean; left: number }>(`(() => {
      const box = document.querySelector('.scroll');
      box.scrollLeft = 150;
      box.focus();
      return {
        scrolls: box.scrollWidth > box.clientWidth && box.scrollLeft === 150,
        reached: document.activeElement === box,
        left: Math.round(box.querySelector('tbody th').getBoundingClientRect().left - box.getBoundingClientRect().left),
      };
    })()`);
    expect(seen).toEqual({ scrolls: true, reached: true, left: 0 });
  });

  test('what others wrote stays text: no element and no attribute of theirs, and their words can be read', async () => {
    await openPage(tab, renderProbeHtml(hostileProbe()));
    expect(await tab.evaluate(STRANGERS)).toEqual([]);
    expect(await tab.evaluate(OUTSIDE)).toEqual([]);
    expect(await tab.evaluate('window.broken === undefined')).toBe(true);
    const text = await tab.evaluate<string>('document.body.textContent');
    expect(text.split(HOSTILE).length).toBeGreaterThan(15);
    expect(text).toContain(LONG);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(text).not.toMatch(/[\u0000\u0007\u001b\u202e]/);
    const standIns = JSON.stringify([`docker@${HOSTILE}`]);
    expect(await tab.evaluate(`(${UNMARKED})(${standIns})`)).toEqual({
      named: expect.any(Number),
      unmarked: [],
    });
  });

  test.each(PAGES.slice(0, 2))(
    'it can be heard: one h1, headings in order, tables with heads, marks with words: %s',
    async (_, html) => {
      await openPage(tab, html());
      const headings = await tab.evaluate<number[]>(HEADINGS);
      expect(headings.filter((level) => level === 1)).toEqual([1]);
      for (const [index, level] of headings.entries())
        expect(level - (headings[index - 1] ?? 0)).toBeLessThanOrEqual(1);
      expect(await tab.evaluate(UNNAMED)).toEqual([]);
      // No two things of one name.
      expect(
        await tab.evaluate(
          "(() => { const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id); return ids.length - new Set(ids).size; })()",
        ),
      ).toBe(0);
      expect(
        await tab.evaluate(
          "[...document.querySelectorAll('[aria-labelledby]')].filter((one) => !document.getElementById(one.getAttribute('aria-labelledby'))).length",
        ),
      ).toBe(0);
    },
  );
});
