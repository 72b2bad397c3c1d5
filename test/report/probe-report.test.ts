// What a probe found, in every form in which it is shown: the document, the terminal, Markdown,
// CSV.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { renderProbeCsv } from '../../lib/report/probe/csv.js';
import { probeDocumentSchema } from '../../lib/report/probe/document.js';
import { renderProbeMarkdown } from '../../lib/report/probe/markdown.js';
import { renderProbe } from '../../lib/report/probe/terminal.js';
import { coloured, WIDTH } from '../../lib/report/terminal/table.js';
import { HOSTILE, LONG } from '../support/hostile-report.js';
import {
  ENTRIES,
  foldProbe,
  probeEnded,
  probeStarted,
  rowOf,
  sampleProbe,
  sampleProbeEvents,
  synced,
  walled,
  worked,
} from '../support/sample-probe.js';

const TURNED = 'end\u202eexe\u0007\u001b[31mred\u001b[0m\u001b]0;title\u0007\nnext';

const unwrapped = (text: string) => text.replaceAll(/\n +/g, ' ');
const widest = (text: string) =>
  Math.max(
    ...stripVTControlCharacters(text)
      .split('\n')
      .map((line) => line.length),
  );
/** The cells of a table's row, which is named by its first words. */
const lineOf = (text: string, name: string) =>
  text.split('\n').find((line) => line.startsWith(`${name} `)) ?? '';

/** Two rows, and hostile words wherever a guest could have put some. */
function hostileProbe() {
  const text = `${HOSTILE} ${TURNED}`;
  return foldProbe([
    probeStarted(),
    ...rowOf('host', { isolation: 'none' }),
    ...rowOf('docker', { standIn: true }),
    {
      type: 'unprepared',
      atMs: 3,
      entry: 'docker',
      outcome: { status: 'failed', cause: 'image', message: text },
    },
    synced('docker', { cell: HOSTILE, direction: 'in', verdict: 'same', latencyMs: 1 }),
    synced('docker', { cell: 'create', direction: 'out', verdict: 'differs', detail: text }),
    synced('docker', { cell: LONG, direction: 'both', verdict: 'lost', detail: LONG }),
    walled('docker', { wall: 'root', declared: 'closed', observed: 'open', evidence: text }),
    walled('docker', { wall: HOSTILE, observed: 'gap', evidence: LONG }),
    worked('docker', 1, { probe: HOSTILE, opMs: { gap: 'not-reached' }, detail: text }),
    { type: 'warning', atMs: 5, code: 'x', message: text },
    probeEnded(),
  ]);
}

describe('the document of a probe', () => {
  test('holds what was found, row by row, in every table that was asked for', () => {
    const document = sampleProbe();
    expect(probeDocumentSchema.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
    for (const table of [document.sync, document.walls, document.residue, document.tax])
      expect(Object.keys(table)).toEqual(ENTRIES);
    expect(document.probe).toMatchObject({
      id: '20261121-100000-beef',
      how: 'done',
      baseline: 'host',
      rounds: 6,
    });
    expect(
      document.modes.map(({ entry, image, detection }) => [entry, image, detection.status]),
    ).toContainEqual(['docker', 'sha256:docker', 'ready']);
    expect(document.absent.map(({ entry }) => entry)).toEqual(['fly']);
  });

  test('has no table that was not asked for, and an empty list where a row was never begun', () => {
    const document = foldProbe([
      probeStarted({ only: ['walls'] }),
      ...rowOf('host', { isolation: 'none' }),
      ...rowOf('docker'),
    ]);
    expect([document.sync, document.walls, document.tax]).toEqual([
      {},
      { host: [], docker: [] },
      {},
    ]);
    expect(document.probe.how).toBe('crashed');
    expect(renderProbe(document)).toContain('this probe was cut short (crashed)');
  });

  test('says once why a row broke off, however many rounds did, and why another could not be made ready', () => {
    const broke = {
      type: 'broke-off',
      atMs: 9,
      entry: 'docker',
      what: 'tax',
      reason: 'no room',
    } as const;
    const document = foldProbe([
      probeStarted(),
      ...rowOf('docker'),
      ...rowOf('podman'),
      broke,
      broke,
      {
        type: 'unprepared',
        atMs: 3,
        entry: 'podman',
        outcome: { status: 'failed', cause: 'image', message: 'no base image' },
      },
    ]);
    expect(document.brokeOff).toEqual([
      { entry: 'docker', what: 'tax', reason: 'no room' },
      { entry: 'podman', what: 'prepare', reason: 'no base image' },
    ]);
    expect(renderProbe(document)).toContain(
      'docker: overhead broke off: no room\n  podman: could not be made ready: no base image',
    );
  });

  test('is of one probe: its record begins with it, and has no second one', () => {
    expect(() => foldProbe([probeEnded()])).toThrow('does not begin with probe-started');
    expect(() => foldProbe([probeStarted(), probeStarted()])).toThrow('a second probe begins');
    expect(() => foldProbe([])).toThrow('does not begin with probe-started');
  });
});

describe('a probe at the terminal', () => {
  const text = renderProbe(sampleProbe());

  test('fits 100 columns, seven rows side by side, in colour and without', () => {
    expect(widest(text)).toBeLessThanOrEqual(WIDTH);
    expect(stripVTControlCharacters(renderProbe(sampleProbe(), coloured))).toBe(text);
    for (const entry of ENTRIES)
      expect(
        text.split('\n').filter((line) => line.startsWith(' ') && line.includes(` ${entry}`))
          .length,
      ).toBeGreaterThan(0);
    expect(
      text
        .split('\n')
        .filter((line) =>
          /^ +host +native +docker +docker:runsc +podman +podman:rootless +incus$/.test(line),
        ),
    ).toHaveLength(2);
  });

  test('has five marks for each cell and row, in the order of the directions', () => {
    expect(lineOf(text, 'mtime').split(/ +/)).toEqual([
      'mtime',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓≠≠·',
      '✓✓✓✓·',
      '✓✓✓✓·',
      '✓✓✓✓·',
    ]);
    expect(lineOf(text, 'create').split(/ +/)[4]).toBe('✓~✓✓·');
    expect(lineOf(text, 'modify').split(/ +/)[1]).toBe('✓✓✓✓≠');
    expect(lineOf(text, 'watch').split(/ +/)[3]).toBe('✓✗✓✓·');
    expect(lineOf(text, 'large-file').split(/ +/)[7]).toBe('✓✓✓?·');
    expect(lineOf(text, 'gid').split(/ +/)[7]).toBe('----·');
    expect(lineOf(text, 'shape-plain').split(/ +/)[1]).toBe('✓○○✓·');
    expect(text).toContain('the five marks: in, in-live, out-live, out, both');
  });

  test('begins with the short form of the match table, and counts what was tried', () => {
    expect(lineOf(text, 'in short').match(/live/g)).toHaveLength(7);
    expect(lineOf(text, 'same').split(/ +/)[4]).toBe('120/125');
    const copied = foldProbe([
      probeStarted({ only: ['sync'] }),
      ...rowOf('docker'),
      synced('docker', { cell: 'create', direction: 'in', verdict: 'same' }),
      synced('docker', {
        cell: 'create',
        direction: 'out-live',
        verdict: 'lost',
        detail: 'not there',
      }),
      synced('docker', { cell: 'create', direction: 'out', verdict: 'same' }),
      probeEnded(),
    ]);
    expect(lineOf(renderProbe(copied), 'in short')).toMatch(/at collect$/);
  });

  test('says of what is not the same how, once for all rows, cells and directions of which the same is said', () => {
    const plain = unwrapped(text);
    expect(plain).toContain('docker, docker:runsc: watch (in-live) lost: no event within 5 s');
    expect(plain).toContain('docker:runsc: mtime (out-live, out) differs: cut to whole seconds');
    expect(plain).toContain('every row: modify (both) differs: the last to write wins');
    expect(plain).toContain(
      'shape-nested-git, shape-shallow-clone (in-live, out-live) does not apply: a shape is whole',
    );
    expect(plain.match(/a shape is whole/g)).toHaveLength(1);
    expect(plain).not.toContain('same: undefined');
  });

  test('marks the wall that is not as declared, and gives its evidence first', () => {
    expect(lineOf(text, 'fork-limit').split(/ +/)).toEqual([
      'fork-limit',
      'open',
      'closed',
      'closed',
      'open!',
      'closed',
      'closed',
      'closed',
    ]);
    const plain = unwrapped(text);
    expect(plain).toContain(
      'isolation checks that are not as declared (!) fork-limit: declared closed, observed open in docker:runsc; made 600 processes; the limit is 512',
    );
    expect(plain).toContain(
      'dns: open in every row but host; in native: dns of native: it was there',
    );
    expect(plain).toContain('metadata: gap in every row; no route to 169.254.169.254');
    expect(text.match(/!$/gm) ?? []).toHaveLength(0);
  });

  test('says of every row and way where the credential was found, and where exactly', () => {
    expect(lineOf(text, 'docker:runsc ').trim().split(/ {2,}/)).toEqual([
      'docker:runsc',
      'argv (1 not seen)',
      'guest-environ',
      'guest-files',
    ]);
    expect(lineOf(text, 'podman:rootless ').trim().split(/ {2,}/)).toEqual([
      'podman:rootless',
      'nowhere',
      'guest-environ',
      'guest-files',
    ]);
    const plain = unwrapped(text);
    expect(plain).toContain('docker:runsc: gateway: argv: curl (pid 4711)');
    expect(plain).toContain('every row: env: guest-environ: what the agent was started with');
    expect(plain).toContain('every row: file: guest-files: in host /dev/shm/host.json (base64)');
    expect(plain).toContain('docker:runsc: gateway: logs: docker logs: no such container');
    expect(text).toMatch(/incus +nowhere +guest-environ +not delivered; guest-files/);
  });

  test('counts the promises that were kept', () => {
    expect(lineOf(text, 'as declared').split(/ {2,}/).slice(1)).toEqual([
      '–',
      '19/19',
      '19/19',
      '18/19',
      '19/19',
      '19/19',
      '19/19',
    ]);
  });

  test('a gap breaks no promise', () => {
    const document = foldProbe([
      probeStarted({ only: ['walls'] }),
      ...rowOf('docker'),
      walled('docker', {
        wall: 'dns',
        declared: 'closed',
        observed: 'gap',
        evidence: 'no nslookup',
      }),
      probeEnded(),
    ]);
    expect(lineOf(renderProbe(document), 'dns')).toMatch(/gap$/);
    expect(renderProbe(document)).not.toContain('not as declared');
  });

  test('has a ratio with its interval for each kind of work, and the cause of every dash', () => {
    const few = foldProbe(
      sampleProbeEvents().filter(
        (event) => !('entry' in event) || ['host', 'docker', 'docker:runsc'].includes(event.entry),
      ),
    );
    expect(lineOf(renderProbe(few), 'cpu-hash')).toMatch(
      /^cpu-hash +2\.\d\d \[\d\.\d\d–\d\.\d\d\]/,
    );
    expect(lineOf(text, 'cpu-hash')).toMatch(/^cpu-hash( +\d\.\d\d ±\d\.\d\d){6}$/);
    expect(lineOf(text, 'spawn').split(/ {2,}/)[3]).toMatch(/^51\.\d ±/);
    expect(lineOf(text, 'dns').startsWith('dns  ')).toBe(true);
    expect(text).toContain(
      'no ratio (–)\n  every row: dns: not-applicable: no resolver inside answers for this machine',
    );
    expect(text).toContain('n=6');
  });

  test('of more rows than fit side by side, the others stand below', () => {
    const entries = Array.from({ length: 12 }, (_, place) => `podman:rootless@row-${place}`);
    const document = foldProbe([
      probeStarted({ only: ['walls'] }),
      ...entries.flatMap((entry) => rowOf(entry)),
      ...entries.map((entry) =>
        walled(entry, { wall: 'root', observed: 'closed', evidence: 'uid 1000' }),
      ),
      probeEnded(),
    ]);
    const shown = renderProbe(document);
    expect(widest(shown)).toBeLessThanOrEqual(WIDTH);
    for (const entry of entries) expect(shown).toContain(entry);
    expect(shown.match(/closed/g)).toHaveLength(12);
  });

  test('lets no control character and no sequence of a guest through, and marks a stand-in', () => {
    const shown = renderProbe(hostileProbe());
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    expect(shown).toContain('docker (stand-in)');
    expect(shown).toContain('is no finding');
    expect(shown).toContain('open!');
  });
});

describe('a probe as Markdown', () => {
  const page = renderProbeMarkdown(sampleProbe());

  test('has the whole tables, all that differs and all evidence', () => {
    expect(page).toContain('| mtime | `✓✓✓✓·` | `✓✓✓✓·` | `✓✓✓✓·` | `✓✓≠≠·` |');
    expect(page).toContain('- docker:runsc: mtime (out-live, out) differs: cut to whole seconds');
    expect(page).toContain('| fork-limit | open | closed | closed | open! |');
    expect(page).toContain(
      '- fork-limit: open (declared closed!) in docker:runsc: made 600 processes; the limit is 512',
    );
    expect(page).toContain('- seccomp: closed');
    expect(page).toMatch(/\| cpu-hash \| \d\.\d\d \[\d\.\d\d–\d\.\d\d\] \|/);
    expect(page).toContain('Environment: A CPU, 2 cores');
  });

  test('every table has as many cells in each line as its head', () => {
    for (const table of `${page}\n${renderProbeMarkdown(hostileProbe())}`
      .split(/\n\n/)
      .filter((part) => part.startsWith('|'))) {
      const counts = table.split('\n').map((line) => line.split(/(?<!\\)\|/).length);
      expect(new Set(counts).size).toBe(1);
    }
  });

  test('words of others end no region and bring no markup', () => {
    const hostile = renderProbeMarkdown(hostileProbe());
    expect(hostile).not.toMatch(/<(?!\/?$)[a-z/!]/i);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(hostile).not.toMatch(/[\u0007\u001b]/);
    expect(hostile).toContain('docker (stand-in)');
  });
});

describe('a probe as CSV', () => {
  test('has a line for every cell, wall, kind of work and what broke off, with the columns of its head', () => {
    const document = sampleProbe();
    const lines = renderProbeCsv(document).trimEnd().split('\r\n');
    const swept = Object.values(document.residue).flatMap((sweeps) =>
      sweeps.flatMap(({ places }) => places),
    );
    const count =
      [document.sync, document.walls, document.tax].flatMap((table) => Object.values(table)).flat()
        .length + swept.length;
    expect(lines).toHaveLength(1 + count + document.brokeOff.length);
    const head = lines[0]?.split(',') ?? [];
    expect(head.slice(0, 9)).toEqual([
      'probe',
      'entry',
      'mode',
      'variant',
      'label',
      'isolation',
      'stand_in',
      'what',
      'name',
    ]);
    const cells = (line: string) => [...line.matchAll(/(?:^|,)(?:"(?:[^"]|"")*"|[^",]*)/g)].length;
    for (const line of lines) expect(cells(line)).toBe(head.length);
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^"20261121-100000-beef","docker:runsc","docker","runsc",,"user-kernel",.*"mtime","out","differs"/,
      ),
    );
  });

  test('no words of a guest begin a formula', () => {
    const document = foldProbe([
      probeStarted(),
      ...rowOf('docker'),
      walled('docker', { wall: 'root', observed: 'open', evidence: '=HYPERLINK("http://x")' }),
      probeEnded(),
    ]);
    expect(renderProbeCsv(document)).toContain(`"'=HYPERLINK(""http://x"")"`);
  });
});
