// Every number in RESULTS.md, README.md, its picture and the example of a report is what the
// committed records give today.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { resultDocuments } from '../../commands/result-documents.js';
import { packageRoot } from '../../lib/package.js';

const documents = await resultDocuments(packageRoot);
const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');
const outside = (page: string) =>
  page.replace(/<!-- (cagematch:\S+) -->[\s\S]*?<!-- \/\1 -->/g, '');

describe('what is published', () => {
  test.each(['RESULTS.md', 'README.md', 'docs/match.svg', 'docs/reading-a-report.md'])(
    'in %s is made from its records, byte for byte (npm run docs:results writes it)',
    (name) => {
      expect(documents[name]).toBe(read(name));
    },
  );

  test('has every region that is made: the findings, a match, a probe, the overview, the example', () => {
    const regions = (page: string) =>
      [...page.matchAll(/<!-- (cagematch:\S+) -->/g)].map(([, name]) => name);
    expect(regions(read('RESULTS.md'))).toEqual([
      'cagematch:findings',
      'cagematch:match',
      'cagematch:probe',
    ]);
    expect(regions(read('README.md'))).toEqual(['cagematch:overview']);
    expect(regions(read('docs/reading-a-report.md'))).toEqual(['cagematch:example']);
  });

  test('outside of these regions RESULTS.md holds no number', () => {
    expect(outside(read('RESULTS.md'))).not.toMatch(/\d/);
  });

  test('names records that are in the repository', () => {
    const ids = new Set(
      `${read('RESULTS.md')}${read('README.md')}${read('docs/reading-a-report.md')}`.match(
        /\b\d{8}-\d{6}-[0-9a-f]{4}\b/g,
      ),
    );
    expect(ids.size).toBeGreaterThan(0);
    for (const id of ids) {
      const kept = ['events.jsonl', 'probe.jsonl'].some((file) =>
        existsSync(join(packageRoot, 'results', id, file)),
      );
      expect([id, kept]).toEqual([id, true]);
    }
  });

  test('answers every question in plain words first, and names the match or probe that answers it', () => {
    const [, findings = ''] =
      /<!-- cagematch:findings -->([\s\S]*?)<!-- \/cagematch:findings -->/.exec(
        read('RESULTS.md'),
      ) ?? [];
    const sections = findings.split(/^### /m).slice(1);
    const answered = sections.filter((section) => !section.startsWith('Open: '));
    expect(answered.length).toBeGreaterThan(9);
    for (const section of answered)
      expect(section).toMatch(
        /^.*\?\n\n\*\*[A-Z][^*]*\.\*\* [\s\S]*\((?:Match|Probe) `\d{8}-\d{6}-[0-9a-f]{4}`.*\.\)\s*$/,
      );
  });

  test('is short enough to be read: a page each, and no evidence', () => {
    expect(read('RESULTS.md').split('\n').length).toBeLessThanOrEqual(155);
    expect(read('README.md').split('\n').length).toBeLessThanOrEqual(70);
    expect(read('RESULTS.md')).not.toMatch(/evidence:|firstProcess/i);
  });

  test('shows one row for each runtime of the reference match in README, and its picture from the same match', () => {
    const rows = read('README.md').match(/^\| `[a-z:]+` \|.*$/gm) ?? [];
    const [, id = ''] = /npx cagematch report (\S+)`/.exec(read('README.md')) ?? [];
    expect(rows).toHaveLength(7);
    expect(read('docs/match.svg')).toContain(`match ${id}</title>`);
    expect(read('docs/match.svg').match(/<text x="12"/g)).toHaveLength(rows.length);
  });
});
