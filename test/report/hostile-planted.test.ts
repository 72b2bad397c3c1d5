// Which files count as running by themselves, when one counts as changed, and how it is told.
import {
  chmodSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { withOpenDir } from '../../lib/os/safe-dir.js';
import type { Planted } from '../../lib/record/types.js';
import { createCsv } from '../../lib/report/export/csv.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderHtml } from '../../lib/report/html.js';
import { coloured, renderTable } from '../../lib/report/terminal/table.js';
import { lookForPlanted, plantedSince } from '../../lib/task/planted.js';
import { baseline, ended, ran, row, started } from '../support/hand-made-record.js';
import { makePipe } from '../support/pipes.js';
import { reportOf } from '../support/report-of.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** What is told of a workspace that holds `before`, after `act`. */
function toldOf(
  before: Record<string, string>,
  act: (put: (path: string, text?: string) => string) => void,
): Planted[] {
  const workspace = temporaryFolder();
  const put = (path: string, text?: string) => {
    const whole = join(workspace, path);
    mkdirSync(dirname(whole), { recursive: true });
    if (text !== undefined) writeFileSync(whole, text);
    return whole;
  };
  for (const [path, text] of Object.entries(before)) put(path, text);
  const look = () => {
    const seen = withOpenDir(workspace, lookForPlanted);
    if (!seen) throw new Error('no workspace');
    return seen;
  };
  const was = look();
  act(put);
  return plantedSince(was, look());
}

describe('a file that runs by itself', () => {
  const before = { '.git/hooks/pre-commit': 'a', '.envrc': 'a', '.claude/settings.json': '{}' };

  test('is told as added, changed or removed, and not at all when it was written again as it was', () => {
    expect(
      toldOf(before, (put) => {
        put('.git/hooks/pre-commit', 'b');
        put('.envrc', 'a');
        rmSync(put('.claude/settings.json'));
        put('.mcp.json', '{}');
      }),
    ).toEqual([
      { path: '.claude/settings.json', how: 'removed' },
      { path: '.git/hooks/pre-commit', how: 'changed' },
      { path: '.mcp.json', how: 'added' },
    ]);
  });

  test('that can be run now and could not before has changed', () => {
    expect(toldOf(before, (put) => chmodSync(put('.git/hooks/pre-commit'), 0o755))).toEqual([
      { path: '.git/hooks/pre-commit', how: 'changed' },
    ]);
  });

  test('that is a link, a pipe or a second name of another is told and not read', () => {
    const elsewhere = join(temporaryFolder(), 'elsewhere');
    writeFileSync(elsewhere, 'x');
    expect(
      toldOf(before, (put) => {
        rmSync(put('.envrc'));
        symlinkSync('/etc/\u001bpasswd', put('.envrc'));
        rmSync(put('.git/hooks/pre-commit'));
        linkSync(elsewhere, put('.git/hooks/pre-commit'));
        makePipe(put('.npmrc'));
        rmSync(put('.claude'), { recursive: true });
        symlinkSync(dirname(elsewhere), put('.claude'));
      }),
    ).toEqual([
      { path: '.claude', how: 'added', link: dirname(elsewhere) },
      { path: '.claude/settings.json', how: 'removed' },
      { path: '.envrc', how: 'changed', link: '/etc/\\u{1b}passwd' },
      { path: '.git/hooks/pre-commit', how: 'changed' },
      { path: '.npmrc', how: 'added' },
    ]);
  });

  test('that is empty runs nothing; neither do the samples of git, nor what has to be called', () => {
    expect(
      toldOf({}, (put) => {
        for (const path of ['.mcp.json', '.vscode/tasks.json']) put(path, '');
        for (const path of [
          '.git/hooks/pre-commit.sample',
          '.git/objects/aa/bb',
          '.git/index',
          'Makefile',
          'CLAUDE.md',
          'src/a.ts',
        ])
          put(path, 'x');
        put('config', 'x');
      }),
    ).toEqual([]);
  });

  test('in package.json is what an installation runs: other changes of it are the work itself', () => {
    const manifest = (change: object) =>
      JSON.stringify({ name: 'a', scripts: { test: 'x' }, ...change });
    const change = (text: string) =>
      toldOf({ 'package.json': manifest({}) }, (put) => put('package.json', text));
    expect(change(manifest({ version: '2', dependencies: { a: '1' } }))).toEqual([]);
    expect(change(manifest({ scripts: { test: 'x', postinstall: 'y' } }))).toEqual([
      { path: 'package.json', how: 'changed' },
    ]);
    expect(change(`\uFEFF${manifest({ scripts: { prepare: 'y' } })}`)).toEqual([
      { path: 'package.json', how: 'changed' },
    ]);
    expect(change('{')).toEqual([{ path: 'package.json', how: 'removed' }]);
    expect(toldOf({}, (put) => put('package.json', '{"scripts":{"install":"x"}}'))).toEqual([
      { path: 'package.json', how: 'added' },
    ]);
  });

  test('is told even beside more files than are looked at, and that there are more is told too', () => {
    const many = toldOf({}, (put) => {
      for (let at = 0; at < 700; at += 1) put(`.claude/commands/${at}`, 'x');
      put('.git/hooks/pre-commit', 'x');
    });
    expect(many).toHaveLength(201);
    expect(many.at(-1)).toEqual({ path: '...', how: 'changed' });
    const two = toldOf({}, (put) => {
      let deep = '.vscode';
      for (let depth = 0; depth < 40; depth += 1) deep += '/d';
      put(`${deep}/tasks.json`, 'x');
    });
    expect(two).toEqual([
      { path: expect.stringMatching(/^\.vscode(\/d)+\/\.\.\.$/), how: 'added' },
    ]);
  });

  test('of 40 GiB that hold nothing is told at once', () => {
    const huge = toldOf({}, (put) => truncateSync(put('.envrc', 'x'), 40 * 1024 ** 3));
    expect(huge).toEqual([{ path: '.envrc', how: 'added' }]);
  });
});

describe('what was planted is told', () => {
  const some: Planted[] = [
    { path: '.git/hooks/pre-commit', how: 'added' },
    { path: '.idea', how: 'changed', link: '/elsewhere' },
  ];
  const events = [
    started(),
    ...baseline(),
    ...row('docker'),
    ...row('podman'),
    ran('host', 1),
    ran('host', 2, {}, { warmup: true, planted: some }),
    ran('docker', 1, {}, { planted: some }),
    ran('docker', 2, {}, { planted: some }),
    ran('docker', 3, {}, { planted: [{ path: '.envrc\u001b[31m', how: 'removed' }], level: 2 }),
    ran('podman', 1, {}, { planted: { gap: 'vanished' } }),
    ended(),
  ];

  test('per row, with the run; a row of which one run was not looked at and no other tells anything has a gap', () => {
    const { modeOf, report } = reportOf(events);
    expect(modeOf('host').planted).toEqual([]);
    expect(modeOf('docker').planted).toEqual([
      ...['docker#1', 'docker#2'].flatMap((run) => some.map((item) => ({ run, ...item }))),
      { run: 'docker#3', path: '.envrc\u001b[31m', how: 'removed' },
    ]);
    expect(modeOf('podman').planted).toEqual({ gap: 'vanished' });
    expect(report.gaps).toContainEqual({ entry: 'podman', value: 'planted', gap: 'vanished' });
  });

  test('in every form of the report, with no control character of theirs', () => {
    const { report } = reportOf(events);
    const sentence =
      /docker#1 and docker#2: the agent added \.git\/hooks\/pre-commit and changed \.idea \(a link to\s+\/elsewhere\): look before\s+you work there/;
    const table = renderTable(report);
    expect(table).toMatch(sentence);
    expect(table).toMatch(/docker#3: the agent removed \.envrc/);
    expect(table).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(renderTable(report, coloured)).not.toContain('.envrc\u001b');
    const markdown = renderMarkdown(report);
    expect(markdown).toMatch(sentence);
    expect(markdown).not.toMatch(/(?!\n)\p{Cc}/u);
    const html = renderHtml(report);
    expect(html).toContain('added .git/hooks/pre-commit and changed .idea (a link to /elsewhere)');
    let csv = '';
    const exporter = createCsv((text) => {
      csv += text;
    });
    for (const event of events) exporter.push(event);
    exporter.end();
    const lines = csv
      .trim()
      .split('\r\n')
      .map((line) => line.replaceAll('"', '').split(','));
    const column = (name: string) =>
      lines.slice(1).map((cells) => cells[lines[0]?.indexOf(name) ?? -1]);
    expect(column('planted')).toEqual(['0', '2', '2', '2', '1', '']);
    expect(column('planted_gap').at(-1)).toBe('vanished');
  });

  test('of many runs and many files in few words', () => {
    const many: Planted[] = Array.from({ length: 9 }, (_, at) => ({
      path: `.claude/${at}`,
      how: 'added',
    }));
    const { report } = reportOf([
      started(),
      ...baseline(),
      ...row('docker'),
      ...Array.from({ length: 9 }, (_, at) => ran('docker', at + 1, {}, { planted: many })),
      ended(),
    ]);
    expect(renderTable(report).replace(/\s+/g, ' ')).toContain(
      'docker#1, docker#2, docker#3 and 6 more: the agent added .claude/0, added .claude/1, added .claude/2, added .claude/3, added .claude/4 and 4 more like these',
    );
  });
});
