// The border where a cassette file becomes a value: what is wrong is told with the file and the place in it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readCassette } from '../lib/model/cassette.js';
import { bundledNames, bundledTask } from '../lib/task/bundled.js';
import { temporaryFolder } from './temporary-folder.js';
import { thrownBy } from './thrown.js';

const GOOD = {
  schemaVersion: 1,
  task: 'a task',
  model: 'a model',
  exchanges: [{ content: [{ type: 'text', text: 'hi' }] }, { content: [{ type: 'tool_use', name: 'Bash', input: { command: 'ls' } }] }],
};

function read(text: string) {
  const path = join(temporaryFolder(), 'cassette.json');
  writeFileSync(path, text);
  return readCassette(path);
}

describe('a cassette', () => {
  test('is given as it was written', () => {
    expect(read(JSON.stringify(GOOD))).toEqual(GOOD);
  });

  test.each(bundledNames())('that this package brings is whole: %s', (name) => {
    expect(readCassette(bundledTask(name).cassette).exchanges.length).toBeGreaterThan(0);
  });

  test.each([
    ['is no JSON', '{"schemaVersion": 1,', /cannot be read: /],
    ['is of another version', { ...GOOD, schemaVersion: 2 }, /broken at schemaVersion/],
    ['holds no exchange', { ...GOOD, exchanges: [] }, /broken at exchanges/],
    ['holds an empty exchange', { ...GOOD, exchanges: [{ content: [] }] }, /broken at exchanges\.0\.content/],
    ['holds a block of an unknown kind', { ...GOOD, exchanges: [{ content: [{ type: 'image' }] }] }, /broken at exchanges\.0\.content\.0/],
    ['holds a tool without a name', { ...GOOD, exchanges: [{ content: [{ type: 'tool_use', name: '', input: {} }] }] }, /content\.0\.name/],
    ['holds a key that nobody reads', { ...GOOD, exchange: [] }, /broken at its top/],
    ['is null', null, /broken at its top/],
  ])('that %s is refused, with the place', (_what, content, said) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const error = thrownBy(() => read(text));
    expect(error).toMatchObject({ code: 'bad-input', message: expect.stringMatching(said), hint: expect.any(String) });
    expect(error.message).toContain('cassette.json');
    expect(error.message).not.toContain('\n');
  });

  test('that is not there is refused with its path', () => {
    const error = thrownBy(() => readCassette('/nonexistent/cassette.json'));
    expect(error).toMatchObject({ code: 'bad-input', message: expect.stringMatching(/\/nonexistent\/cassette\.json.*ENOENT/) });
  });
});
