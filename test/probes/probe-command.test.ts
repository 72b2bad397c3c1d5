// `cagematch probe` through the built binary, and its record as `report` reads it again.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Io } from '../../commands/io.js';
import { readProbeSettings } from '../../commands/probe-settings.js';
import { handler as report } from '../../commands/report.js';
import type { ProbeEvent } from '../../lib/record/probe.js';
import { readProbeRecord } from '../../lib/record/read.js';
import { probeDocumentSchema } from '../../lib/report/probe/document.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { ended, HOST, ran, row, started } from '../support/hand-made-record.js';
import {
  buildHouse,
  cagematch,
  type House,
  standSomewhere,
  startCagematch,
} from '../support/house.js';
import { probeStarted, sampleProbeEvents } from '../support/sample-probe.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** The host mode again, which breaks or waits for ever as WOBBLY says. */
const WOBBLY_MODE = `
import host from './host.js';
import { CagematchError } from '../lib/errors.js';
import { defineMode } from '../lib/contract.js';

export default defineMode({
  ...host,
  id: 'wobbly',
  title: 'Wobbly',
  isolation: 'os-sandbox',
  clientVariables: [...(host.clientVariables ?? []), 'WOBBLY'],
  async detect(ctx) {
    return ctx.env.WOBBLY === 'absent'
      ? { status: 'absent', reason: 'nothing wobbles', hint: 'shake it' }
      : { status: 'ready', version: ctx.env.WOBBLY === 'stand-in' ? '1 stand-in' : '1', facts: {} };
  },
  async launch(ctx, spec) {
    if (ctx.env.WOBBLY === 'broken') throw new CagematchError('launch-failed', 'it fell over');
    return host.launch(ctx, spec);
  },
  async *exec(ctx, handle, command) {
    if (ctx.env.WOBBLY !== 'waits') return yield* host.exec(ctx, handle, command);
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
    yield { type: 'lost' as const, reason: 'no answer', atMs: 0 };
  },
});
`;

/**
 * What is tried is none of this file's business: one wall and one kind of work, each told by a real
 * script inside.
 */
const THIN = {
  'lib/probes/guest/thin.mjs': 'console.log(process.argv[2]);',
  'lib/probes/walls/walls.ts': `
import type { Wall } from '../../record/probe.js';
import { inSandbox, type Subject } from '../sandbox.js';

export async function probeWalls(subject: Subject, _settings: unknown, tell: (wall: Wall) => void): Promise<void> {
  await inSandbox(subject, ['thin.mjs'], { tail: 'walls' }, async (sandbox) => {
    const wall: Wall = { wall: 'root', observed: 'closed', evidence: 'uid 1000' };
    for await (const { value } of sandbox.ask<Wall>('thin.mjs', wall)) tell(value);
  });
}
`,
  'lib/probes/tax/tax.ts': `
import type { Work } from '../../record/probe.js';
import { inSandbox, type Subject } from '../sandbox.js';

interface Hooks {
  worked(subject: Subject, round: number, work: Work): void;
  tried(subject: Subject, work: () => Promise<void>): Promise<void>;
}

export async function probeTax(subjects: readonly Subject[], { rounds }: { rounds: number }, hooks: Hooks): Promise<void> {
  for (let round = 1; round <= rounds; round += 1)
    for (const subject of subjects)
      await hooks.tried(subject, () =>
        inSandbox(subject, ['thin.mjs'], { tail: 'tax-' + round }, async (sandbox) => {
          for await (const { value } of sandbox.ask<Work>('thin.mjs', { probe: 'spawn', opMs: 1 })) hooks.worked(subject, round, value);
        }),
      );
}
`,
};

let house: House;
beforeAll(async () => {
  house = await buildHouse({ 'modes/wobbly.ts': WOBBLY_MODE, ...THIN });
});
afterAll(() => house?.close());

let place: ReturnType<typeof standSomewhere>;
beforeEach(() => {
  place = standSomewhere();
});
afterEach(() => place.close());

const run = (args: string[], wobbly = '') =>
  cagematch(house, args, { cwd: place.cwd, env: { WOBBLY: wobbly } });
const kept = () => readdirSync(join(place.cwd, 'results'));

async function recordOf(id: string): Promise<ProbeEvent[]> {
  const events: ProbeEvent[] = [];
  await readProbeRecord(join(place.cwd, 'results', id, 'probe.jsonl'), (event) =>
    events.push(event),
  );
  return events;
}

describe('cagematch probe', () => {
  test('with --json - says nothing but its document on stdout, and keeps a record that reports again, the same', async () => {
    const { stdout, stderr, exitCode } = await run([
      'probe',
      'host@a',
      'host@b',
      '--only',
      'walls,walls',
      '--json',
      '-',
      '--seed',
      '9',
    ]);
    expect(exitCode).toBe(0);
    const document = probeDocumentSchema.parse(JSON.parse(stdout));
    expect(document.probe).toMatchObject({
      how: 'done',
      only: ['walls'],
      seed: 9,
      baseline: 'host@a',
    });
    expect(Object.keys(document.walls)).toEqual(['host@a', 'host@b']);
    expect(document.walls['host@b']?.length).toBeGreaterThan(0);
    expect([document.sync, document.tax]).toEqual([{}, {}]);
    const [id = ''] = kept();
    expect(stderr).toContain(`probe ${id}: isolation checks\n`);
    expect(stderr).toMatch(/\n {2,}host@a +host@b\n/);
    expect(stderr).toContain(
      `record: results/${id}; cagematch report ${id} --format html > page.html\n`,
    );
    expect(JSON.parse((await run(['report', id, '--format', 'json'])).stdout)).toEqual(document);
    const table = (await run(['report', join('results', id)])).stdout;
    expect(stderr).toContain(table.trim());
  });

  test('is told in few plain lines where nobody watches, and written to the file that is named', async () => {
    const { stdout, stderr, exitCode } = await run([
      'probe',
      'host',
      '--only',
      'tax',
      '--rounds',
      '2',
      '--json',
      'tables.json',
    ]);
    expect(exitCode).toBe(0);
    expect(stderr.split('\n').filter((line) => line.startsWith('overhead: round '))).toEqual([
      expect.stringMatching(/^overhead: round 1 of 2 begins, \d+:\d\d so far$/),
      expect.stringMatching(/^overhead: round 2 of 2 begins, \d+:\d\d so far$/),
    ]);
    expect(stdout).toContain('overhead: what work takes inside');
    const document = probeDocumentSchema.parse(
      JSON.parse(readFileSync(join(place.cwd, 'tables.json'), 'utf8')),
    );
    expect(document.tax.host?.length).toBeGreaterThan(0);
  });

  test.each([
    [['host', '--json', 'no/such/folder/t.json'], 'cannot be written (ENOENT)'],
    [['host', '--onyl', 'tax'], 'hint: did you mean --only?\n'],
    [['host', '--only', 'wals'], '✖ --only knows no wals\nhint: did you mean walls?\n'],
  ])('refuses %j in one line, and tries nothing', async (args, message) => {
    const { exitCode, stdout, stderr } = await run(['probe', ...args]);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  test('says what it would try, in which order, and stops', async () => {
    const args = [
      'probe',
      'host',
      'wobbly',
      '--dry-run',
      '--seed',
      '7',
      '--rounds',
      '2',
      '--reach',
      '[::1]:80,example.com:443',
    ];
    const { exitCode, stdout } = await run(args);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'seed 7',
      'row host   none',
      'row wobbly os-sandbox',
      'row by row: sync, then walls, then residue',
      'tried outside of this machine: [::1]:80 example.com:443',
      expect.stringMatching(/^tax, round 1: (host wobbly|wobbly host)$/),
      expect.stringMatching(/^tax, round 2: (host wobbly|wobbly host)$/),
      '',
    ]);
    expect((await run(args)).stdout).toBe(stdout);
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  test('ends with 3 where a required runtime is not ready, before anything is tried', async () => {
    const { exitCode, stderr } = await run(['probe', 'host', '--require', 'wobbly'], 'absent');
    expect(exitCode).toBe(3);
    expect(stderr).toBe('✖ required but not ready: wobbly: nothing wobbles\nhint: shake it\n');
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  test('ends with 1 where a required row breaks off; the other rows are unharmed, and without a requirement that is enough', async () => {
    const broken = await run(
      ['probe', 'host', 'wobbly', '--only', 'walls', '--require', 'wobbly', '--json', '-'],
      'broken',
    );
    expect(broken.exitCode).toBe(1);
    const document = probeDocumentSchema.parse(JSON.parse(broken.stdout));
    expect(document.brokeOff).toEqual([{ entry: 'wobbly', what: 'walls', reason: 'it fell over' }]);
    expect(document.walls.wobbly).toEqual([]);
    expect(document.walls.host?.length).toBeGreaterThan(0);
    expect(broken.stderr).toContain('wobbly: isolation checks broke off: it fell over');
    expect((await run(['probe', 'host', 'wobbly', '--only', 'walls'], 'broken')).exitCode).toBe(0);
    expect((await run(['probe', 'wobbly', '--only', 'walls'], 'broken')).exitCode).toBe(1);
  });

  test('keeps what was found when it is interrupted, says so, and ends with 130', async () => {
    const probing = startCagematch(house, ['probe', 'host', 'wobbly', '--only', 'walls'], {
      cwd: place.cwd,
      env: { WOBBLY: 'waits' },
    });
    // The first row is told when the second begins, which waits for ever.
    await new Promise<void>((resolve) => {
      let output = '';
      probing.stderr?.on('data', (piece) => {
        output += piece;
        if (output.includes('host: isolation checks: ')) resolve();
      });
    });
    probing.kill('SIGINT');
    const { exitCode, stdout } = await probing;
    expect(exitCode).toBe(130);
    expect(stdout).toContain(
      'this probe was interrupted; the tables hold what was found until then',
    );
    expect(stdout).toContain('wobbly: isolation checks broke off: interrupted');
    const events = await recordOf(kept()[0] ?? '');
    expect(events.at(-1)).toMatchObject({ type: 'probe-ended', how: 'interrupted' });
    expect(events.filter(({ type }) => type === 'walled').length).toBeGreaterThan(0);
  });

  test('of a stand-in is marked, and leaves RESULTS.md as it was', async () => {
    const page = '<!-- cagematch:probe -->\nold\n<!-- /cagematch:probe -->\n';
    writeFileSync(join(place.cwd, 'RESULTS.md'), page);
    const { stdout } = await run(['probe', 'wobbly', '--only', 'walls', '--publish'], 'stand-in');
    expect(stdout).toContain('wobbly (stand-in)');
    expect(readFileSync(join(place.cwd, 'RESULTS.md'), 'utf8')).toBe(page);
  });
});

describe('the settings of a probe', () => {
  const TYPED = {
    only: 'sync,walls,tax',
    rounds: '6',
    timeout: '300',
    out: 'results',
    publish: false,
    dryRun: false,
  };
  const read = async (typed: object) =>
    readProbeSettings({ ...TYPED, ...typed }, await loadModes());

  test('take each name of --only once, in the order in which things are tried', async () => {
    expect((await read({ only: 'tax, sync,tax' })).only).toEqual(['sync', 'tax']);
    expect(
      await read({
        reach: 'a.example:1,[::1]:65535,1.1.1.1:53,a.example:1',
        modes: ['docker:runsc@x'],
      }),
    ).toMatchObject({
      reach: ['a.example:1', '[::1]:65535', '1.1.1.1:53'],
      modes: ['docker:runsc@x'],
      only: ['sync', 'walls', 'tax'],
      rounds: 6,
      timeoutMs: 300_000,
    });
  });

  test.each([
    [{ only: 'wals' }, '--only knows no wals', 'did you mean walls?'],
    [
      { only: 'everything' },
      '--only knows no everything',
      'what can be tried: sync,walls,residue,tax',
    ],
    [{ only: ' , ' }, '--only names nothing to try', '--only sync,walls,residue,tax'],
    [{ only: ['sync', 'tax'] }, '--only is given more than once', undefined],
    [{ rounds: '0' }, '--rounds takes a whole number from 1 to 50', undefined],
    [{ timeout: '1e3' }, '--timeout takes a whole number from 1 to 3600', undefined],
    [{ seed: 'x' }, '--seed takes a whole number from 0 to 2147483647', undefined],
    [
      { reach: 'example.com' },
      '--reach takes host:port, not example.com',
      '--reach example.com:443',
    ],
    [
      { reach: '1.1.1.1:53,example.com:70000' },
      '--reach takes host:port, not example.com:70000',
      undefined,
    ],
    [{ reach: 'example.com:0' }, '--reach takes host:port, not example.com:0', undefined],
    [{ reach: 'a b:1' }, '--reach takes host:port, not a b:1', undefined],
    [{ reach: '-x:1' }, '--reach takes host:port, not -x:1', undefined],
    [{ reach: 'http://a:1' }, '--reach takes host:port, not http://a:1', undefined],
    [{ modes: ['hots'] }, 'unknown mode: hots', 'did you mean host?'],
    [{ require: 'dokcer' }, 'unknown mode: dokcer', 'did you mean docker?'],
  ])('refuse %j in one line', async (typed, message, hint) => {
    await expect(read(typed)).rejects.toMatchObject({
      code: 'bad-input',
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  });
});

describe('cagematch report', () => {
  const MATCH = '20261121-040000-abcd';
  const PROBE = '20261121-100000-beef';
  const written = (events: unknown[]) =>
    events.map((event) => `${JSON.stringify(event)}\n`).join('');

  function keep(cwd: string, id: string, file: string, text: string): void {
    mkdirSync(join(cwd, 'results', id), { recursive: true });
    writeFileSync(join(cwd, 'results', id, file), text);
  }
  function withMatch(): string {
    const cwd = temporaryFolder();
    const events = [
      started({ host: HOST }),
      ...row('host', { isolation: 'none' }),
      ran('host', 1, { startup: 400 }),
      ended(),
    ];
    keep(cwd, MATCH, 'events.jsonl', written(events));
    return cwd;
  }
  const keepProbe = (
    cwd: string,
    id: string,
    change: Parameters<typeof probeStarted>[0] = {},
    events = sampleProbeEvents(),
  ) =>
    keep(
      cwd,
      id,
      'probe.jsonl',
      written([probeStarted({ probe: id, ...change }), ...events.slice(1)]),
    );
  async function shown(cwd: string, match: string | undefined, format: string): Promise<string> {
    let text = '';
    const add = (piece: string) => (text += piece);
    const io = { out: add, document: add, cwd, env: {}, outIsTty: false } as unknown as Io;
    expect(await report({ match, format, out: 'results' }, io)).toBe(0);
    return text;
  }

  test('of a match points at the newest probe of the same machine, and its page and Markdown hold that whole', async () => {
    const cwd = withMatch();
    keepProbe(cwd, '20261121-090000-aaaa');
    keepProbe(cwd, PROBE);
    keepProbe(cwd, '20261121-110000-cccc', { host: { ...HOST, kernel: '6.2.0' } });
    keepProbe(cwd, '20261121-120000-dddd', {}, sampleProbeEvents().slice(0, -1));
    expect(await shown(cwd, MATCH, 'table')).toContain(
      `\nprobe of files, isolation checks, residue, overhead: cagematch report ${PROBE}\n`,
    );
    const markdown = await shown(cwd, MATCH, 'markdown');
    expect(markdown).toMatch(new RegExp(`^Match \`${MATCH}\``));
    expect(markdown).toContain(`\n\nProbe \`${PROBE}\``);
    expect(markdown).toContain('### Files');
    const page = await shown(cwd, MATCH, 'html');
    for (const heading of [
      '<h2 id="table">',
      '<h2 id="files">',
      '<h2 id="walls">',
      '<h2 id="tax-of-work">',
    ])
      expect(page).toContain(heading);
  });

  test('of a match points at the newest probe of each part, when a newer one tried less', async () => {
    const cwd = withMatch();
    const [whole, walls, residue] = [
      '20261121-090000-aaaa',
      PROBE,
      '20261121-110000-cccc',
    ] as const;
    const off = {
      type: 'broke-off',
      atMs: 9,
      entry: 'docker',
      what: 'tax',
      reason: 'it fell over',
    } as const;
    const events = sampleProbeEvents();
    keepProbe(cwd, whole, {}, [...events.slice(0, -1), off, ...events.slice(-1)]);
    keepProbe(cwd, walls, { only: ['walls'] });
    keepProbe(cwd, residue, { only: ['residue'] });
    // Neither is of use: cut short, and of another machine.
    keepProbe(cwd, '20261121-120000-dddd', { only: ['sync'] }, events.slice(0, -1));
    keepProbe(cwd, '20261121-130000-eeee', { only: ['tax'], host: { ...HOST, kernel: '6.2.0' } });
    const at = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.includes('cagematch report 2026') && line.startsWith('probe of '));
    expect(at(await shown(cwd, MATCH, 'table'))).toEqual([
      `probe of files, overhead: cagematch report ${whole}`,
      `probe of isolation checks: cagematch report ${walls}`,
      `probe of residue: cagematch report ${residue}`,
    ]);
    const markdown = await shown(cwd, MATCH, 'markdown');
    const parts = markdown.split(/\n\n(?=Probe `)/).slice(1);
    expect(
      parts.map((part) => [/^Probe `([^`]+)`/.exec(part)?.[1], part.match(/^### .+$/gm)]),
    ).toEqual([
      [whole, ['### Files', '### Overhead']],
      [walls, ['### Isolation checks']],
      [residue, ['### Residue']],
    ]);
    const page = await shown(cwd, MATCH, 'html');
    const sections = [
      ...page.matchAll(/<section aria-labelledby="([^"]+)">([\s\S]*?)<\/section>/g),
    ];
    const origins = sections.flatMap(([, id, text]) => {
      const origin = /Of probe (\S+), on the same machine/.exec(text ?? '')?.[1];
      return origin === undefined ? [] : [[id, origin]];
    });
    const own = ['files', 'tax-of-work', 'walls', 'residue'].map((id) => [
      id,
      id === 'walls' ? walls : id === 'residue' ? residue : whole,
    ]);
    expect(origins.filter(([id]) => !id?.startsWith('broke-off'))).toEqual(own);
    expect(page.match(/it fell over/g)).toHaveLength(1);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(ids.filter((id, place) => ids.indexOf(id) !== place)).toEqual([]);
  });

  test('of a match without such a probe is as it was', async () => {
    const cwd = withMatch();
    const before = await Promise.all(
      ['table', 'markdown', 'html', 'json'].map((format) => shown(cwd, MATCH, format)),
    );
    keepProbe(cwd, PROBE, { host: { ...HOST, cores: 4 } });
    expect(
      await Promise.all(
        ['table', 'markdown', 'html', 'json'].map((format) => shown(cwd, MATCH, format)),
      ),
    ).toEqual(before);
    expect(before[0]).not.toContain('probe 2026');
  });

  test('without a name is of the newest match, also where a probe is newer', async () => {
    const cwd = withMatch();
    keepProbe(cwd, PROBE);
    expect(JSON.parse(await shown(cwd, undefined, 'json')).match.id).toBe(MATCH);
  });

  test('takes a probe by its id, its folder and its record under any name, with a last line that a crash cut short', async () => {
    const cwd = withMatch();
    const text = written(sampleProbeEvents().slice(0, -1));
    keep(cwd, PROBE, 'probe.jsonl', `${text}{"type":"walled","atMs":`);
    writeFileSync(join(cwd, 'elsewhere.txt'), text);
    for (const named of [
      PROBE,
      `results/${PROBE}`,
      `results/${PROBE}/probe.jsonl`,
      'elsewhere.txt',
    ]) {
      const document = probeDocumentSchema.parse(JSON.parse(await shown(cwd, named, 'json')));
      expect(document.probe).toMatchObject({ id: PROBE, how: 'crashed' });
      expect(document.walls['docker:runsc']?.length).toBeGreaterThan(20);
    }
  });

  test.each(['table', 'markdown', 'json', 'csv', 'html'])(
    'writes a probe as %s',
    async (format) => {
      const cwd = withMatch();
      keepProbe(cwd, PROBE);
      expect(await shown(cwd, PROBE, format)).toContain('fork-limit');
    },
  );

  test.each(['trace', 'hyperfine'])('refuses a probe as %s in one clear line', async (format) => {
    const cwd = withMatch();
    keepProbe(cwd, PROBE);
    await expect(shown(cwd, PROBE, format)).rejects.toMatchObject({
      code: 'bad-input',
      message: `${PROBE} is a probe: it has no runs, and so no ${format}`,
      hint: '--format table | markdown | html | json | csv',
    });
  });

  test('says which line of a probe is broken, and of another version what reads it', async () => {
    const cwd = withMatch();
    const [first = '', ...rest] = written(sampleProbeEvents().slice(0, 5)).split('\n');
    keep(cwd, PROBE, 'probe.jsonl', [first, '{"type":"walled"', ...rest].join('\n'));
    await expect(shown(cwd, PROBE, 'table')).rejects.toMatchObject({
      message: `the record of ${PROBE} cannot be read: line 2 is no JSON`,
    });
    keep(
      cwd,
      PROBE,
      'probe.jsonl',
      [first.replace('"schemaVersion":1', '"schemaVersion":2'), ...rest].join('\n'),
    );
    await expect(shown(cwd, PROBE, 'table')).rejects.toMatchObject({
      hint: 'npx cagematch@0.1.0 report',
    });
  });

  test('compare refuses a probe in one line', async () => {
    keep(place.cwd, PROBE, 'probe.jsonl', written(sampleProbeEvents()));
    const { exitCode, stderr } = await run(['compare', PROBE, PROBE]);
    expect([exitCode, stderr]).toEqual([
      2,
      `✖ ${PROBE} is a probe, not a match\nhint: cagematch report ${PROBE}\n`,
    ]);
  });
});
