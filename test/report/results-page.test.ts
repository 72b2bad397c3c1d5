// RESULTS.md: what may be published there, who is refused, and what is left alone.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Io } from '../../commands/io.js';
import { publish, publishProbe } from '../../commands/publish.js';
import { handler as report } from '../../commands/report.js';
import {
  checkPublishable,
  matchCandidate,
  publishResult,
  RESULTS,
} from '../../commands/results-page.js';
import type { Report } from '../../lib/report/document.js';
import { MATCH_REGION } from '../../lib/report/export/markdown.js';
import { HOST, madeMatch } from '../support/hand-made-match.js';
import { ended, ran, row, started } from '../support/hand-made-record.js';
import {
  foldProbe,
  probeEnded,
  probeStarted,
  rowOf,
  sampleProbe,
} from '../support/sample-probe.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const page = (match = 'm', probe = 'old') =>
  `# Mine\n<!-- cagematch:match -->\n${match}\n<!-- /cagematch:match -->\n<!-- cagematch:probe -->\n${probe}\n<!-- /cagematch:probe -->\nkept\n`;
const TABLE =
  '| mode | isolation |\n| --- | --- |\n| - host | none |\n| A docker:runsc | user-kernel |';
const DOCKER = { ...HOST, isolation: 'container' as const, startup: 600 };
const match = (rounds = 6, rows = {}) =>
  madeMatch({ host: HOST, 'docker:runsc': DOCKER, ...rows }, { rounds });

function standing(text: string | undefined) {
  const cwd = temporaryFolder();
  if (text !== undefined) writeFileSync(join(cwd, RESULTS), text);
  let output = '';
  const io = {
    out() {},
    err: (line: string) => (output += line),
    cwd,
    env: {},
    outIsTty: false,
    errIsTty: false,
  } as unknown as Io;
  return { cwd, io, output: () => output, page: () => readFileSync(join(cwd, RESULTS), 'utf8') };
}

async function published(
  report: Report,
  text = page(),
  { requested = true, out = 'results' } = {},
) {
  const here = standing(text);
  await publish(report, join(here.cwd, out, report.match.id), { publish: requested }, here.io);
  return { output: here.output(), page: here.page() };
}

describe('a match', () => {
  test('is published where that is asked for, and nothing else in the page is touched', async () => {
    const { output, page: now } = await published(match());
    expect(now).toMatch(
      /^# Mine\n<!-- cagematch:match -->\nMatch `20261121-040000-abcd`[\s\S]*<!-- \/cagematch:match -->\n<!-- cagematch:probe -->\nold\n/,
    );
    expect(now).toMatch(/\n<!-- \/cagematch:probe -->\nkept\n$/);
    expect(output).toContain(
      'published: RESULTS.md; its record is results/20261121-040000-abcd: commit both',
    );
  });

  test('that nobody asked to publish leaves the page alone, and one line names the way', async () => {
    expect(await published(match(), page(), { requested: false })).toEqual({
      output: expect.stringContaining(
        'not published: cagematch report 20261121-040000-abcd --publish writes RESULTS.md\n',
      ),
      page: page(),
    });
  });

  test('takes the place of one with the same rows, or fewer', async () => {
    expect((await published(match(), page(TABLE))).page).toContain('Match `20261121');
  });

  test.each([
    [() => match(5), 'host has 5 runs that count, and a published row has at least 6'],
    [
      () => match(6, { podman: { ...DOCKER, entry: { standIn: true } } }),
      'podman: the number of a stand-in is no finding',
    ],
    [
      () => madeMatch({ host: HOST }, { rounds: 6 }),
      'RESULTS.md has a row that would be lost: docker:runsc',
    ],
    [
      () => ({ ...match(), match: { ...match().match, how: 'interrupted' as const } }),
      'the match did not run to its end (interrupted)',
    ],
  ])('is refused, with the reason, where it may not stand there: %#', async (made, why) => {
    for (const requested of [true, false]) {
      const { output, page: now } = await published(made(), page(TABLE), { requested });
      expect(output).toContain(`not published: ${why}`);
      expect(now).toBe(page(TABLE));
    }
  });

  test('is refused where its record is kept somewhere else', async () => {
    const { output, page: now } = await published(match(), page(), { out: 'elsewhere' });
    expect(output).toContain(
      'not published: the record of 20261121-040000-abcd is not in results/',
    );
    expect(now).toBe(page());
  });

  test('is still a good match where there is no page to write, or it cannot be written', async () => {
    const none = standing(undefined);
    mkdirSync(join(none.cwd, RESULTS));
    await publish(match(), join(none.cwd, 'results/x'), { publish: false }, none.io);
    expect(none.output()).not.toContain('publish');
    const gone = standing(page());
    const candidate = matchCandidate(match());
    const text = () => {
      rmSync(join(gone.cwd, RESULTS));
      mkdirSync(join(gone.cwd, RESULTS));
      return 'new';
    };
    expect(
      publishResult(
        { ...candidate, text },
        { publish: true, folder: join(gone.cwd, 'results/x') },
        gone.io,
      ),
    ).toBe(false);
    expect(gone.output()).toMatch(/^not published: RESULTS.md cannot be written: EISDIR/);
  });
});

describe('a probe', () => {
  const probed = (document = sampleProbe(), requested = true) => {
    const here = standing(page());
    publishProbe(
      document,
      join(here.cwd, 'results', document.probe.id),
      { publish: requested },
      here.io,
    );
    return { output: here.output(), page: here.page() };
  };

  test('is published where that is asked for, and nothing else in the page is touched', () => {
    const { page: now } = probed();
    expect(now).toMatch(
      /^# Mine\n<!-- cagematch:match -->\nm\n<!-- \/cagematch:match -->\n<!-- cagematch:probe -->\nProbe `20261121-100000-beef`/,
    );
    expect(now).toMatch(/\n<!-- \/cagematch:probe -->\nkept\n$/);
    expect(probed(sampleProbe(), false).page).toBe(page());
  });

  test('is refused where a row of the published one would be lost', () => {
    const here = standing(page());
    publishProbe(
      sampleProbe(),
      join(here.cwd, 'results', sampleProbe().probe.id),
      { publish: true },
      here.io,
    );
    const [shown, few] = [
      here.page(),
      foldProbe([probeStarted(), ...rowOf('docker'), probeEnded()]),
    ];
    publishProbe(few, join(here.cwd, 'results', few.probe.id), { publish: true }, here.io);
    expect(here.output()).toMatch(
      /not published: RESULTS.md has rows that would be lost: host, native, docker:runsc, podman, podman:rootless, incus\n/,
    );
    expect(here.page()).toBe(shown);
  });

  test.each([
    [
      [probeStarted({ only: ['walls'] }), ...rowOf('docker'), probeEnded()],
      'the probe left out sync, residue, tax',
    ],
    [
      [probeStarted(), ...rowOf('docker'), probeEnded('interrupted')],
      'the probe did not run to its end (interrupted)',
    ],
    [
      [probeStarted(), ...rowOf('docker', { standIn: true }), probeEnded()],
      'docker: what a stand-in shows is no finding',
    ],
  ])('is refused, with the reason, where it may not stand there: %#', (events, why) => {
    expect(probed(foldProbe(events))).toEqual({
      output: expect.stringContaining(`not published: ${why}`),
      page: page(),
    });
  });
});

describe('what can be known before the first launch', () => {
  const check = (text: string | undefined, settings: object) => () =>
    checkPublishable({ out: 'results', ...settings }, MATCH_REGION, standing(text).cwd);

  test.each([
    [undefined, {}, 'no RESULTS.md with <!-- cagematch:match --> is in '],
    ['# no region\n', {}, 'no RESULTS.md with <!-- cagematch:match --> is in '],
    [page(), { runs: 3 }, 'a published row has at least 6 runs, not 3'],
    [page(), { out: '/somewhere/else' }, 'what is published has its record in results/'],
  ])('is refused then: %#', (text, settings, message) => {
    expect(check(text, settings)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(message) }),
    );
  });

  test('is nothing, where the match may be published', () => {
    expect(check(page(), { runs: 6 })).not.toThrow();
  });
});

describe('cagematch report --publish', () => {
  const ID = '20261121-040000-abcd';
  const keep = (cwd: string, rounds: number) => {
    const runs = Array.from({ length: rounds }, (_, at) =>
      ran('host', at + 1, { startup: 400 + at }),
    );
    const events = [started(), ...row('host', { isolation: 'none' }), ...runs, ended()];
    mkdirSync(join(cwd, 'results', ID), { recursive: true });
    writeFileSync(
      join(cwd, 'results', ID, 'events.jsonl'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
  };

  test('publishes a record that is there already, or ends with 1 and the reason', async () => {
    const here = standing(page());
    keep(here.cwd, 6);
    expect(
      await report({ match: ID, format: 'table', out: 'results', publish: true }, here.io),
    ).toBe(0);
    expect(here.page()).toContain(`Match \`${ID}\``);
    const short = standing(page());
    keep(short.cwd, 5);
    expect(
      await report({ match: ID, format: 'table', out: 'results', publish: true }, short.io),
    ).toBe(1);
    expect(short.output()).toContain('host has 5 runs that count');
    expect(short.page()).toBe(page());
  });
});
