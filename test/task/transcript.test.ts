// What is made of the agent's output: what it did, and, when it failed, whom that blames.
import { describe, expect, test } from 'vitest';
import { outcomeSchema } from '../../lib/record/types.js';
import { agentFailure, startTranscript } from '../../lib/task/transcript.js';
import {
  apiRetry,
  assistantText,
  hookStarted,
  init,
  result,
  toolResult,
  userText,
  uses,
  writes,
} from '../support/agent-lines.js';

function read(lines: string[], stderr: string[] = []) {
  const transcript = startTranscript();
  for (const line of lines) transcript.read(line, 'stdout');
  for (const line of stderr) transcript.read(line, 'stderr');
  return transcript;
}

type End = Parameters<typeof agentFailure>[1];
const EXIT_0: End = { type: 'exit', code: 0 };
const EXIT_1: End = { type: 'exit', code: 1 };

function failure(lines: string[], end: End, stderr: string[] = []) {
  const outcome = agentFailure(read(lines, stderr), end);
  if (outcome) expect(() => outcomeSchema.parse(outcome)).not.toThrow();
  return outcome;
}

describe('a transcript', () => {
  test('keeps the version, what was written, and what the tools gave back', () => {
    const transcript = read([
      hookStarted(),
      init(),
      assistantText('Writing.'),
      writes('toolu_1', '/workspace/hello.mjs', 'console.log(1)'),
      toolResult('toolu_1', 'File created'),
      uses('toolu_2', 'Bash', { command: 'node hello.mjs' }),
      toolResult('toolu_2', [
        { type: 'text', text: 'one' },
        { type: 'image', source: {} },
        { type: 'text', text: 'two' },
      ]),
      uses('toolu_3', 'Bash', { command: 'false' }),
      toolResult('toolu_3', 'Exit code 1', true),
      result(),
    ]);
    expect(transcript).toMatchObject({
      agentVersion: '2.1.329',
      writes: [{ path: '/workspace/hello.mjs', content: 'console.log(1)' }],
      toolOutputs: [
        { tool: 'Write', text: 'File created', isError: false },
        { tool: 'Bash', text: expect.stringMatching(/^one\n+two$/), isError: false },
        { tool: 'Bash', text: 'Exit code 1', isError: true },
      ],
      result: { isError: false, subtype: 'success', text: 'Created hello.mjs and ran it.' },
      garbage: 0,
    });
  });

  test('tells which line is the result', () => {
    const transcript = startTranscript();
    expect(
      [init(), assistantText('hi'), 'garbage', '', result()].map(
        (line) => transcript.read(line, 'stdout').result,
      ),
    ).toEqual([false, false, false, false, true]);
  });

  test('a result on stderr is no result', () => {
    const transcript = startTranscript();
    expect(transcript.read(result(), 'stderr')).toEqual({ result: false });
    expect(transcript.result).toBeUndefined();
  });

  test('counts what is no JSON object, and passes over objects that it does not know', () => {
    const lines = [
      'Segmentation fault',
      '{"type":"assist',
      '',
      '   ',
      '{"type":"rate_limit_event"}',
      'null',
      '[]',
      '42',
      apiRetry(529),
    ];
    expect(read(lines)).toMatchObject({ garbage: 5, toolOutputs: [], writes: [] });
  });

  test('the output of a tool that was never called is of an unknown tool', () => {
    expect(read([toolResult('toolu_9', 'text')]).toolOutputs).toEqual([
      { tool: 'unknown', text: 'text', isError: false },
    ]);
  });

  test('what the user is quoted with is no output of a tool', () => {
    expect(read([userText('some words')]).toolOutputs).toEqual([]);
  });

  test('keeps only the last words of stderr, however many there are', () => {
    const transcript = read([], Array(10_000).fill('the same line again and again'));
    transcript.read('the very last', 'stderr');
    expect(transcript.stderr.length).toBeLessThanOrEqual(2000);
    expect(transcript.stderr).toMatch(/the very last\n$/);
  });

  test('holds a bounded part of what an agent that never ends its talk prints', () => {
    const transcript = startTranscript();
    const text = 'x'.repeat(1024 * 1024);
    for (let nth = 0; nth < 200; nth += 1) {
      transcript.read(writes(`toolu_${nth}`, '/workspace/big', text), 'stdout');
      transcript.read(toolResult(`toolu_${nth}`, text), 'stdout');
    }
    const kept = [
      ...transcript.writes.map((item) => item.content),
      ...transcript.toolOutputs.map((item) => item.text),
    ];
    expect(kept.reduce((sum, part) => sum + part.length, 0)).toBeLessThan(64 * 1024 * 1024);
    expect(transcript.writes.at(-1)?.content).toBe(text);
  });

  test('keeps a bounded number of things that are short, and matches each refusal with its own call', () => {
    const transcript = startTranscript();
    for (let nth = 0; nth < 50_000; nth += 1)
      transcript.read(writes(`toolu_${nth}`, '/workspace/a', ''), 'stdout');
    expect(transcript.writes.length).toBeLessThan(40_000);
    for (let nth = 49_990; nth < 50_000; nth += 1)
      transcript.read(toolResult(`toolu_${nth}`, `no ${nth}`, true), 'stdout');
    expect(transcript.writes.slice(-11).map(({ refusal }) => refusal)).toEqual([
      undefined,
      ...Array.from({ length: 10 }, (_, index) => `no ${49_990 + index}`),
    ]);
  });
});

describe('whom a failure blames', () => {
  test('nobody, when the result is good and the exit code is 0', () => {
    expect(failure([init(), result()], EXIT_0)).toBeUndefined();
  });

  test('the login: a success that is an error, as the real agent says it', () => {
    const lines = [
      init(),
      result({ is_error: true, result: 'Not logged in · Please run /login', num_turns: 1 }),
    ];
    expect(failure(lines, EXIT_1)).toEqual({
      status: 'failed',
      cause: 'auth',
      message: 'Not logged in · Please run /login',
      hint: 'cagematch token show',
    });
  });

  test.each([
    [
      401,
      'auth',
      'Failed to authenticate. API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
    ],
    [
      403,
      'auth',
      'API Error: 403 {"type":"error","error":{"type":"permission_error","message":"no"}}',
    ],
    [
      429,
      'rate-limit',
      'API Error: 429 {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
    ],
    [
      529,
      'model',
      'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    ],
    [
      500,
      'model',
      'API Error: 500 {"type":"error","error":{"type":"api_error","message":"Internal server error"}}',
    ],
    [
      400,
      'model',
      'API Error: 400 {"type":"error","error":{"message":"the cassette holds 3 exchanges; the agent asked for number 4"}}',
    ],
  ])('an API error %i: %s, with or without the status beside it', (status, cause, message) => {
    const resultLine = { subtype: 'success', is_error: true, result: message };
    expect(failure([result({ ...resultLine, api_error_status: status })], EXIT_1)).toMatchObject({
      cause,
      message,
    });
    expect(failure([result(resultLine)], EXIT_1)).toMatchObject({ cause, message });
  });

  test.each([
    'error_during_execution',
    'error_max_turns',
    'error_max_budget_usd',
    'error_max_structured_output_retries',
  ])('the agent, when it gives up by itself: %s', (subtype) => {
    expect(
      failure([init(), result({ subtype, is_error: true, result: undefined })], EXIT_1),
    ).toMatchObject({
      cause: 'agent',
      message: subtype,
    });
  });

  test('words of a good result are not searched for errors', () => {
    expect(
      failure([result({ result: 'I explained what "invalid api key" means.' })], EXIT_0),
    ).toBeUndefined();
  });

  test('the agent, when it was killed', () => {
    expect(failure([init()], { type: 'signal', name: 'SIGKILL' })).toMatchObject({
      cause: 'agent',
      message: 'the agent was killed by SIGKILL',
    });
  });

  test('the sandbox, when an exit code says that something inside was killed: memory, mostly', () => {
    expect(failure([init()], { type: 'exit', code: 137 })).toMatchObject({
      cause: 'sandbox',
      message: 'the agent ended with exit code 137',
    });
  });

  test('the agent, when it ends with a code; with its last words', () => {
    const message =
      '--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons';
    expect(failure([], EXIT_1, ['a warning', message, ''])).toMatchObject({
      cause: 'agent',
      message: `the agent ended with exit code 1: ${message}`,
    });
    expect(failure([init(), result()], { type: 'exit', code: 3 })).toMatchObject({
      message: 'the agent ended with exit code 3',
    });
  });

  test('the agent, when all it printed is garbage', () => {
    expect(failure(['garbage', 'more of it'], EXIT_0)).toMatchObject({
      cause: 'agent',
      message: 'the agent printed 2 lines that are no stream-json, and no result',
    });
  });

  test('the agent, when it stops without a result', () => {
    expect(failure([init(), assistantText('hm')], EXIT_0, ['the last words'])).toMatchObject({
      cause: 'agent',
      message: 'the agent ended without a result: the last words',
    });
  });

  test('the sandbox, when the runtime has lost the agent, whatever the agent had said', () => {
    const lost: End = { type: 'lost', reason: 'connection to the daemon broke off' };
    expect(failure([init(), result()], lost)).toMatchObject({
      cause: 'sandbox',
      message: 'the runtime lost the agent: connection to the daemon broke off',
    });
  });

  test.each([
    ['\u001b[31mred\u001b[0m and \u001b[1;4mbold\u001b[22m', 'red and bold'],
    ['a\u0007bell, a\u0008backspace\r\nand\ttabs', 'a bell, a backspace and tabs'],
    ['\u001b]0;a title\u0007words', expect.stringMatching(/words$/)],
    ['\u009b31mC1', 'C1'],
  ])('the message is one printable line, whatever the agent printed: %j', (printed, message) => {
    expect(failure([result({ is_error: true, result: printed })], EXIT_1)).toMatchObject({
      message,
    });
    const fromStderr = failure([], EXIT_1, [printed.replaceAll(/[\r\n]+/g, ' ')]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    const control = /[\u0000-\u001f\u007f-\u009f]/;
    expect(fromStderr?.status === 'failed' && fromStderr.message).not.toMatch(control);
  });

  test('the message is bounded', () => {
    const outcome = failure([result({ is_error: true, result: 'long '.repeat(1000) })], EXIT_1);
    expect(outcome?.status === 'failed' && outcome.message.length).toBeLessThanOrEqual(300);
  });
});
