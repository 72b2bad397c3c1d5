// What documents say about the modes is made from the modes: it has not drifted.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { schemaFiles } from '../../commands/schemas.js';
import { packageRoot } from '../../lib/package.js';
import { compare } from '../../lib/report/compare/compare.js';
import { sideOfReport } from '../../lib/report/compare/reread.js';
import {
  envExample,
  RUNTIMES_PAGE,
  RUNTIMES_REGION,
  runtimesTable,
} from '../../lib/report/docs.js';
import { replaceRegion } from '../../lib/report/export/markdown.js';
import { buildReport, parseEvents } from '../../lib/report/report.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { OWN_INPUTS } from '../../lib/sandbox/settings.js';
import { sampleProbe, sampleProbeEvents } from '../support/sample-probe.js';

const modes = [...(await loadModes()).values()];
const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');

describe('the documents', () => {
  test('.env.example is what the modes declare (npm run docs writes it)', () => {
    expect(read('.env.example')).toBe(envExample(OWN_INPUTS, modes));
  });

  test('the table of runtimes is what the modes declare (npm run docs writes it), and no section is about another', () => {
    const page = read(RUNTIMES_PAGE);
    expect(replaceRegion(page, runtimesTable(modes), RUNTIMES_REGION)).toBe(page);
    const sections = [...page.matchAll(/^## (.+)$/gm)].map(([, name]) => name);
    expect(sections.length).toBeGreaterThan(7);
    expect(modes.map(({ id }) => id)).toEqual(expect.arrayContaining(sections));
  });

  const pages = readdirSync(join(packageRoot, 'docs')).flatMap((name) =>
    name.endsWith('.md') ? [`docs/${name}`] : [],
  );
  const linksOf = (path: string) =>
    [...read(path).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, to = '']) => to)
      .filter((to) => !to.includes('://'));

  test('README leads to every page of docs/', () => {
    expect(pages.length).toBeGreaterThan(9);
    expect(linksOf('README.md')).toEqual(expect.arrayContaining(pages));
  });

  test.each(['README.md', 'RESULTS.md', 'CLAUDE.md', 'CHANGELOG.md', 'rig/README.md', ...pages])(
    'no link of %s leads nowhere',
    (path) => {
      const anchors = (page: string) =>
        [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, head = '']) =>
          head
            .toLowerCase()
            .replace(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-'),
        );
      const broken = linksOf(path).filter((to) => {
        const [file = '', anchor] = to.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        return (
          !existsSync(join(packageRoot, target)) ||
          (anchor !== undefined && !anchors(target).includes(anchor))
        );
      });
      expect(broken).toEqual([]);
    },
  );

  test('the walk through a first change names files that are there, at most five with README and the page of the walk', () => {
    const [, walk = ''] =
      /## A first change[^\n]*\n([\s\S]*?)\n## /.exec(read('docs/contributing.md')) ?? [];
    const files = [
      ...new Set([...walk.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, file = '']) => file)),
    ];
    expect(files).toEqual(
      expect.arrayContaining(['README.md', 'modes/docker.ts', 'test/modes/detect.test.ts']),
    );
    expect(files.length + 1).toBeLessThanOrEqual(5);
  });

  test('.env.example sets nothing: a copy of it changes nothing', () => {
    expect(
      read('.env.example')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    ).toEqual([]);
  });

  test('a name that two modes read stands in .env.example once', () => {
    const names = [...envExample(OWN_INPUTS, modes).matchAll(/^# ([A-Z0-9_]+)=/gm)].map(
      ([, name]) => name,
    );
    expect(names).toEqual([...new Set(names)]);
    for (const mode of modes)
      for (const name of Object.keys(mode.inputs)) expect(names).toContain(name);
  });

  test('a pipe in what a mode says of itself does not break the table', () => {
    const [mode] = modes;
    if (!mode) throw new Error('no modes');
    const row =
      runtimesTable([{ ...mode, summary: 'a | b' }])
        .split('\n')
        .at(-1) ?? '';
    expect(row).toContain('a \\| b');
  });
});

describe('the JSON Schemas', () => {
  const lines = read('results/20261121-051031-fd17/events.jsonl').trimEnd().split('\n');
  const report = buildReport(parseEvents(lines.join('\n')));
  const side = sideOfReport(JSON.stringify(report));
  const documents: Record<string, unknown[]> = {
    'docs/schema/report.json': [report],
    'docs/schema/event.json': lines.map((line) => JSON.parse(line)),
    'docs/schema/compare.json': [compare(side, side, 5)],
    'docs/schema/probe.json': [sampleProbe()],
    'docs/schema/probe-event.json': sampleProbeEvents(),
  };
  const validatorOf = (path: string) =>
    new Ajv2020({ strict: false, allErrors: true }).compile(JSON.parse(read(path)));

  test.each(Object.entries(schemaFiles()))(
    '%s is what the code checks (npm run docs writes it), and is in the package',
    (path, text) => {
      expect(read(path)).toBe(text);
      const { files } = JSON.parse(read('package.json')) as { files: string[] };
      expect(files.some((folder) => path.startsWith(`${folder}/`))).toBe(true);
    },
  );

  test.each(Object.entries(documents))(
    '%s takes what a match or a probe has written, and nothing with a key too many or a value too few',
    (path, written) => {
      const validate = validatorOf(path);
      expect(written.length).toBeGreaterThan(0);
      for (const example of written) {
        const document = JSON.parse(JSON.stringify(example));
        expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
        expect(validate({ ...document, surprise: 1 })).toBe(false);
        const [first] = Object.keys(document);
        delete document[first ?? ''];
        expect(validate(document)).toBe(false);
      }
    },
  );
});
