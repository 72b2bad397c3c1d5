// Where a request stands in a cassette: told from the request alone, whichever agent asks, and
// however its news came; and what differs.
import { describe, expect, test } from 'vitest';
import { type Cassette, replyTo } from '../../lib/model/conversation.mjs';
import { abstracter, fill } from '../../lib/model/placeholders.mjs';
import { type Message, withoutAsides } from '../../lib/model/request.mjs';

const textBlock = (text: string) => ({ type: 'text' as const, text });
const uses = (name: string, input: Record<string, unknown> = {}) => ({
  type: 'tool_use' as const,
  name,
  input,
});
const result = (tool: string, outcome: 'ok' | 'error' = 'ok', text = '') => ({
  tool,
  outcome,
  text,
});

const cassetteOf = (...conversations: Cassette['conversations']): Cassette => ({
  schemaVersion: 2,
  task: 't',
  model: 'm',
  agent: 'written',
  conversations,
});

const asks = (text: string): Message => ({
  role: 'user',
  content: [{ type: 'text', text: `<system-reminder>\nx\n</system-reminder>` }, textBlock(text)],
});
const turn = (...content: object[]): Message => ({
  role: 'assistant',
  content: content.map((block, index) => ({ id: `id${index}`, ...block })),
});
/** Of the tool calls of the turn before, by their place. */
const answers = (...results: { at?: number; error?: boolean; text?: string }[]): Message => ({
  role: 'user',
  content: results.map(({ at, error = false, text = '' }, index) => ({
    type: 'tool_result',
    tool_use_id: `id${at ?? index}`,
    content: text,
    ...(error ? { is_error: true } : {}),
  })),
});
const news = (count = 1): Message => ({
  role: 'user',
  content: Array.from({ length: count }, () =>
    textBlock('<system-reminder><task-notification>done</task-notification></system-reminder>'),
  ),
});

function reply(
  cassette: Cassette,
  messages: Message[],
  run: Parameters<typeof replyTo>[2] = {},
): string {
  const got = replyTo(cassette, { messages }, run);
  return 'diverged' in got
    ? `✖ ${got.diverged}`
    : got.content
        .map((block) =>
          block.type === 'text' ? block.text : `${block.name} ${JSON.stringify(block.input)}`,
        )
        .join(' | ');
}

describe('what differs', () => {
  const cassette = cassetteOf({
    exchanges: [
      { content: [uses('Bash'), uses('Edit')] },
      {
        results: [result('Bash'), result('Edit', 'error', 'not found')],
        content: [textBlock('fine')],
      },
    ],
  });
  const replyAfter = (...came: Message[]) =>
    reply(cassette, [asks('go'), turn(uses('Bash'), uses('Edit')), ...came]);

  test.each([
    ['nothing', [answers({ text: 'a' }, { error: true })], 'fine'],
    ['what a tool printed', [answers({ text: 'took 3 ms' }, { error: true, text: 'b' })], 'fine'],
    ['the order in which tools ended', [answers({ at: 1, error: true }, { at: 0 })], 'fine'],
    [
      'that a result came in a message of its own',
      [answers({ at: 0 }), { role: 'system', content: 'x' }, answers({ at: 1, error: true })],
      'fine',
    ],
    [
      'a tool that failed',
      [answers({ error: true, text: 'EROFS:\n read-only' }, { error: true })],
      '✖ main, request 2: tool result 1 of 2: Bash was to succeed, and failed: "EROFS: read-only"',
    ],
    [
      'a tool that did not fail',
      [answers({}, {})],
      '✖ main, request 2: tool result 2 of 2: Edit was to fail ("not found"), and succeeded',
    ],
    [
      'how many results there are',
      [answers({})],
      '✖ main, request 2: 2 tool results were expected, 1 came',
    ],
  ] as [string, Message[], string][])('%s', (_what, came, expected) => {
    expect(replyAfter(...came)).toBe(expected);
  });

  test('which tool it was', () => {
    const got = reply(cassette, [
      asks('go'),
      turn(uses('Bash'), uses('Write')),
      answers({}, { error: true }),
    ]);
    expect(got).toBe(
      '✖ main, request 2: tool result 2 of 2: one of Edit was expected, one of Write came',
    );
  });

  test('is told in one short line, however long it is', () => {
    const got = replyAfter(
      answers({ error: true, text: `${'x'.repeat(5000)}\n\n` }, { error: true }),
    );
    expect(got).toMatch(/x{99}…"$/);
  });

  test('is told without control characters, and bounded, whatever a guest says', () => {
    const name = `\u001b[2J\u202e${'y'.repeat(300_000)}`;
    const got = reply(cassette, [
      asks('go'),
      turn(uses(name), uses('Edit')),
      answers({ text: `\u001b]52;c;QQ==\u0007\n` }, { error: true }),
    ]);
    expect(got).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(got).toMatch(/one of Bash was expected, one of \[2J y+… came$/);
    expect(got.length).toBeLessThan(200);
  });

  test('a retried request is answered the same', () => {
    expect(replyAfter(answers({}, { error: true }))).toBe(replyAfter(answers({}, { error: true })));
  });
});

describe('which agent asks', () => {
  const cassette = cassetteOf(
    { exchanges: [{ content: [textBlock('I am main')] }, { content: [textBlock('main again')] }] },
    { opens: 'Look at {{cwd}}/one', exchanges: [{ content: [textBlock('I am one')] }] },
    { opens: 'Look at {{cwd}}/one and two', exchanges: [{ content: [textBlock('I am both')] }] },
  );
  const run = { values: { cwd: '/w' } };

  test.each([
    ['the main agent', [asks('go')], 'I am main'],
    ['a sub-agent, by its words', [asks('Look at /w/one\nand say so')], 'I am one'],
    ['the one with more of the words', [asks('Look at /w/one and two')], 'I am both'],
    [
      'a fork, which has had its parent’s turns',
      [asks('go'), turn(textBlock('x')), asks('Look at /w/one')],
      'I am one',
    ],
  ] as [string, Message[], string][])('%s', (_what, messages, expected) => {
    expect(reply(cassette, messages, run)).toBe(expected);
  });

  test('one that nobody knows is told so', () => {
    expect(reply(cassette, [asks('Look elsewhere')], { ...run, subAgent: 'a1' })).toBe(
      '✖ no conversation of the cassette opens with the words of this sub-agent: "Look elsewhere"',
    );
  });

  test('one that asks for more than there is', () => {
    expect(
      reply(cassette, [asks('Look at /w/one'), turn(textBlock('I am one')), asks('and now?')], run),
    ).toBe(
      '✖ sub-agent "Look at {{cwd}}/one", request 2: the cassette goes no further than request 1',
    );
  });
});

describe('news of what runs in the background', () => {
  const two = cassetteOf({
    exchanges: [
      { content: [uses('Agent'), uses('Agent')] },
      { results: [result('Agent'), result('Agent')], content: [textBlock('started')] },
      { notified: 1, content: [textBlock('one is done')] },
      { notified: 1, content: [textBlock('both are done')] },
    ],
  });
  const together = cassetteOf({
    exchanges: [
      ...(two.conversations[0]?.exchanges.slice(0, 2) ?? []),
      { notified: 2, content: [uses('Write')] },
      { results: [result('Write')], content: [textBlock('end')] },
    ],
  });
  const begun = [asks('go'), turn(uses('Agent'), uses('Agent')), answers({}, {})];
  const started = [...begun, turn(textBlock('started'))];
  const waiting = [...started, news(), turn(textBlock('(replay: the others are not done yet)'))];

  test.each([
    [
      'came as it was recorded',
      two,
      [...started, news(), turn(textBlock('one is done')), news()],
      'both are done',
    ],
    ['came at once, and was recorded apart', two, [...started, news(2)], 'both are done'],
    ['came before the agent was done itself', two, [...begun, news(2)], 'both are done'],
    [
      'came apart, and was recorded at once: the first',
      together,
      [...started, news()],
      '(replay: the others are not done yet)',
    ],
    [
      'came apart, and was recorded at once: the second',
      together,
      [...waiting, news()],
      'Write {}',
    ],
    [
      'and the agent goes on',
      together,
      [...waiting, news(), turn(uses('Write')), answers({})],
      'end',
    ],
    [
      'came after all was said',
      two,
      [...started, news(2), turn(textBlock('both are done')), news()],
      'both are done',
    ],
  ] as [string, Cassette, Message[], string][])('%s', (_what, cassette, messages, expected) => {
    expect(reply(cassette, messages)).toBe(expected);
  });
});

describe('what differs from run to run', () => {
  test('is taken out and put in again, and two braces that were there stay two braces', () => {
    const abstract = abstracter([
      ['cwd', '/work'],
      ['home', '/work/home'],
      ['nonce', 'abc123'],
      ['cwd-slug', '-work'],
    ]);
    const text =
      '/work/a /work/home/b /workshop ./work file:///work abc123 {{cwd}} {{other}} x/work /home-work';
    const abstracted = abstract(text);
    expect(abstracted).toBe(
      '{{cwd}}/a {{home}}/b /workshop ./work file://{{cwd}} {{nonce}} {{open}}cwd}} {{other}} x/work /home{{cwd-slug}}',
    );
    expect(
      fill(abstracted, { cwd: '/else/where', home: '/h', nonce: 'def', 'cwd-slug': '-else-where' })
        .filled,
    ).toBe(
      '/else/where/a /h/b /workshop ./work file:///else/where def {{cwd}} {{other}} x/work /home-else-where',
    );
  });

  test.each([
    ['as the agent names it, behind links', '/private/w', '/private/w/a'],
    ['the one of the run for an agent in a worktree below', '/w/.claude/worktrees/x', '/w/a'],
    ['as the harness names it where the agent does not', undefined, '/w/a'],
  ])('the folder is %s', (_what, named, filled) => {
    const cassette = cassetteOf({
      exchanges: [{ content: [uses('Read', { file_path: '{{cwd}}/a' })] }],
    });
    const system: Message = {
      role: 'system',
      content: ` - Primary working directory: ${named}\n - Platform: linux`,
    };
    const messages = [asks('go'), ...(named === undefined ? [] : [system])];
    expect(reply(cassette, messages, { values: { cwd: '/w' } })).toBe(
      `Read ${JSON.stringify({ file_path: filled })}`,
    );
  });

  test('ids of what runs in the background are the ones that this agent was told', () => {
    const cassette = cassetteOf({
      exchanges: [
        { content: [uses('Agent')] },
        { content: [uses('SendMessage', { to: '{{agent-1}}', session: '{{session}}' })] },
      ],
    });
    const launched = answers({
      text: 'Async agent launched.\nagentId: a0d8dedcf3b081002 (internal)',
    });
    expect(reply(cassette, [asks('go'), turn(uses('Agent')), launched], { session: 's-1' })).toBe(
      'SendMessage {"to":"a0d8dedcf3b081002","session":"s-1"}',
    );
  });

  test('a command that needs what nobody knows is not given half; words are', () => {
    const needs = (content: Cassette['conversations'][number]['exchanges'][number]['content']) =>
      reply(cassetteOf({ exchanges: [{ content }] }), [asks('go')]);
    expect(needs([uses('Bash', { command: 'echo {{nonce}}' })])).toBe(
      '✖ main, request 1: the cassette needs {{nonce}}, which nobody here knows',
    );
    expect(needs([textBlock('it is {{nonce}}')])).toBe('it is {{nonce}}');
  });
});

describe('a request that a guest has made to take long', () => {
  const cassette = cassetteOf({ exchanges: [{ content: [textBlock('fine')] }] });
  const megabytes = (piece: string) => piece.repeat(Math.ceil(1_500_000 / piece.length));
  const took = (messages: Message[]): number => {
    const began = performance.now();
    reply(cassette, messages);
    return performance.now() - began;
  };

  // The expression that stood here took 43 s for the first of them.
  test.each([
    ['elements that are opened only', megabytes('<system-reminder>')],
    [
      'elements of both kinds that are opened only',
      megabytes('<system-reminder><fork-boilerplate>'),
    ],
    ['elements that are closed only', megabytes('</system-reminder>')],
    [
      'one kind within the other',
      megabytes('<system-reminder><fork-boilerplate></system-reminder>'),
    ],
    ['whole elements', megabytes('<system-reminder></system-reminder>')],
    ['white space', megabytes(' \n')],
    ['names of folders', megabytes('Primary working directory: ')],
  ])('is answered in linear time: %s', (_what, text) => {
    expect(took([{ role: 'user', content: text }])).toBeLessThan(2000);
    const failed = [asks('go'), turn(uses('Bash')), answers({ error: true, text })];
    expect(took(failed)).toBeLessThan(2000);
  });

  test('is answered where it is nested 200,000 deep', () => {
    const content = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`) as unknown[];
    expect(reply(cassette, [{ role: 'user', content } as Message])).toBe('fine');
  });
});

test.each([
  ['<system-reminder>a</system-reminder>b', 'b'],
  [
    'a<fork-boilerplate>b<system-reminder>c</fork-boilerplate>d</system-reminder>',
    'ad</system-reminder>',
  ],
  ['a<system-reminder>b<fork-boilerplate>c</fork-boilerplate>d', 'a<system-reminder>bd'],
  ['a</system-reminder><system-reminder>b', 'a</system-reminder><system-reminder>b'],
  [
    '<system-reminder><system-reminder>a</system-reminder>b</system-reminder>',
    'b</system-reminder>',
  ],
])('without what the agent’s program says beside it, %s is %s', (text, rest) => {
  expect(withoutAsides(text)).toBe(rest);
});
