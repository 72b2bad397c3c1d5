// The border where a cassette file becomes a value: what is wrong is told with the file and the
// place in it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Cassette, cassetteText, readCassette } from '../../lib/model/cassette.js';
import { bundledNames, bundledTask } from '../../lib/task/bundled.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

const GOOD: Cassette = {
  schemaVersion: 2,
  task: 'a task',
  model: 'a model',
  agent: '1.2.3',
  conversations: [
    {
      exchanges: [
        { content: [{ type: 'text', text: 'hi' }] },
        {
          results: [{ tool: 'Bash', outcome: 'error', text: 'no' }],
          notified: 1,
          content: [{ type: 'tool_use', name: 'Bash', input: { command: 'ls' } }],
          stop: 'max_tokens',
        },
      ],
    },
    { opens: 'Look here', exchanges: [{ content: [{ type: 'text', text: 'yes' }] }] },
  ],
};

/** It, with other exchanges. */
const holding = (...exchanges: unknown[]) => ({ ...GOOD, conversations: [{ exchanges }] });

function read(text: string) {
  const path = join(temporaryFolder(), 'cassette.yaml');
  writeFileSync(path, text);
  return readCassette(path);
}

describe('a cassette', () => {
  test('is given as it was written', () => {
    expect(read(JSON.stringify(GOOD))).toEqual(GOOD);
  });

  test('is read as it was written, whatever its texts are', () => {
    const texts = [
      'two\nlines\n',
      '  indented\n',
      'tab\there',
      '{{cwd}}/a',
      '# none',
      '- none',
      'no',
      '',
      ' ',
      `${'long '.repeat(60)}`,
      '\u0007\r\n',
      '🥊: "',
    ];
    const cassette = {
      ...GOOD,
      conversations: [
        { exchanges: texts.map((text) => ({ content: [{ type: 'text' as const, text }] })) },
      ],
    };
    expect(read(cassetteText(cassette))).toEqual(cassette);
    expect(cassetteText(cassette)).toContain('text: |\n              two\n              lines\n');
  });

  test.each(bundledNames())('that this package brings is whole: %s', (name) => {
    expect(readCassette(bundledTask(name).cassette).conversations.length).toBeGreaterThan(0);
  });

  test.each([
    ['is no YAML', '{"schemaVersion": 2,', /cannot be read: /],
    ['is of another version', { ...GOOD, schemaVersion: 1 }, /broken at schemaVersion/],
    ['holds no conversation', { ...GOOD, conversations: [] }, /broken at conversations/],
    [
      'holds two main conversations',
      { ...GOOD, conversations: [GOOD.conversations[0], GOOD.conversations[0]] },
      /only one, has no `opens`/,
    ],
    ['holds no exchange', holding(), /broken at conversations\.0\.exchanges/],
    [
      'holds an empty exchange',
      holding({ content: [] }),
      /broken at conversations\.0\.exchanges\.0\.content/,
    ],
    [
      'holds a block of an unknown kind',
      holding({ content: [{ type: 'image' }] }),
      /exchanges\.0\.content\.0/,
    ],
    [
      'holds a tool without a name',
      holding({ content: [{ type: 'tool_use', name: '', input: {} }] }),
      /content\.0\.name/,
    ],
    ['holds a key that nobody reads', { ...GOOD, conversation: [] }, /broken at its top/],
    ['is null', 'null', /broken at its top/],
  ])('that %s is refused, with the place', (_what, content, message) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const error = thrownBy(() => read(text));
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    expect(error.message).toContain('cassette.yaml');
    expect(error.message).not.toContain('\n');
  });

  test('that is not there is refused with its path', () => {
    const error = thrownBy(() => readCassette('/nonexistent/cassette.yaml'));
    expect(error).toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/\/nonexistent\/cassette\.yaml.*ENOENT/),
    });
  });
});
