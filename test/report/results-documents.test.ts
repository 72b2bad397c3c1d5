// Every number in RESULTS.md and in README's example is what the committed records give today.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { resultDocuments } from '../../commands/result-documents.js';
import { packageRoot } from '../../lib/package.js';

const documents = await resultDocuments(packageRoot);
const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');
const outside = (page: string) => page.replace(/<!-- (cagematch:\S+) -->[\s\S]*?<!-- \/\1 -->/g, '');

describe('what is published', () => {
  test.each(['RESULTS.md', 'README.md'])('in %s is made from its records, byte for byte (npm run docs:results writes it)', (name) => {
    expect(documents[name]).toBe(read(name));
  });

  test('has every region that is made: the findings, a match, a probe, the example', () => {
    const regions = (page: string) => [...page.matchAll(/<!-- (cagematch:\S+) -->/g)].map(([, name]) => name);
    expect(regions(read('RESULTS.md'))).toEqual(['cagematch:findings', 'cagematch:match', 'cagematch:probe']);
    expect(regions(read('README.md'))).toContain('cagematch:example');
  });

  test('outside of these regions RESULTS.md holds no number', () => {
    expect(outside(read('RESULTS.md'))).not.toMatch(/\d/);
  });

  test('names records that are in the repository', () => {
    const ids = new Set(`${read('RESULTS.md')}${read('README.md')}`.match(/\b\d{8}-\d{6}-[0-9a-f]{4}\b/g));
    expect(ids.size).toBeGreaterThan(0);
    for (const id of ids) {
      const kept = ['events.jsonl', 'probe.jsonl'].some((file) => existsSync(join(packageRoot, 'results', id, file)));
      expect([id, kept]).toEqual([id, true]);
    }
  });
});
