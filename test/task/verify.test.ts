// The hello task's verdict: it believes the file on this host and the output of the tool, and
// nothing else.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundledTask } from '../../lib/task/bundled.js';
import { startTranscript } from '../../lib/task/transcript.js';
import {
  assistantText,
  init,
  result,
  toolResult,
  userText,
  uses,
  writes,
} from '../support/agent-lines.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const task = bundledTask('hello');
const PROGRAM = "console.log('hello');\n";

function seeded() {
  const workspace = temporaryFolder();
  const { nonce } = task.seed(workspace);
  const path = join(workspace, 'hello.mjs');
  const verify = (lines: string[]) => {
    const transcript = startTranscript();
    for (const line of lines) transcript.read(line, 'stdout');
    return task.judge(workspace, nonce, transcript);
  };
  const done = [
    init(),
    writes('toolu_1', '/workspace/hello.mjs', PROGRAM),
    toolResult('toolu_1', 'File created successfully'),
    uses('toolu_2', 'Bash', { command: 'node hello.mjs' }),
    toolResult('toolu_2', `Hello, nonce ${nonce}`),
    result(),
  ];
  return { workspace, nonce, path, verify, done };
}

const failed = (cause: string, message: RegExp) => ({
  status: 'failed',
  cause,
  message: expect.stringMatching(message),
});

describe('the seed', () => {
  test('holds a nonce that no other run has', () => {
    const [first, other] = [seeded(), seeded()];
    expect(readFileSync(join(first.workspace, 'nonce.txt'), 'utf8').trim()).toBe(first.nonce);
    expect(first.nonce).not.toBe(other.nonce);
    expect(task.prompt).not.toContain(first.nonce);
  });

  test('has no program yet; it has arrived when it is a file', () => {
    const { workspace, path } = seeded();
    expect(task.arrived?.(workspace)).toBe(false);
    writeFileSync(path, PROGRAM);
    expect(task.arrived?.(workspace)).toBe(true);
  });

  test('the cassette that it names is there', () => {
    expect(existsSync(task.cassette)).toBe(true);
  });
});

describe('the verdict', () => {
  test('passes when the file is what was written and the nonce was printed', () => {
    const { path, verify, done } = seeded();
    writeFileSync(path, PROGRAM);
    expect(verify(done)).toEqual({
      outcome: { status: 'passed' },
      sync: { in: 'yes', out: 'yes' },
    });
  });

  test('the last of several writes is the one that counts', () => {
    const { path, verify, done } = seeded();
    writeFileSync(path, PROGRAM);
    expect(
      verify([writes('toolu_0', '/workspace/hello.mjs', 'a first try'), ...done]).outcome,
    ).toEqual({ status: 'passed' });
    expect(
      verify([...done, writes('toolu_9', '/workspace/hello.mjs', 'a last try')]).outcome,
    ).toEqual(failed('sync', /not what the agent wrote/));
  });

  test('other content on the host is a fault of the sync', () => {
    const { path, verify, done } = seeded();
    writeFileSync(path, PROGRAM.trimEnd());
    expect(verify(done)).toEqual({
      outcome: failed('sync', /is not what the agent wrote/),
      sync: { in: 'yes', out: 'no' },
    });
  });

  test('no file on the host is a fault of the sync', () => {
    const { verify, done } = seeded();
    expect(verify(done)).toEqual({
      outcome: failed('sync', /is not on the host/),
      sync: { in: 'yes', out: 'no' },
    });
  });

  test('a symbolic link is not followed, even to the right content', () => {
    const { path, verify, done, workspace } = seeded();
    const elsewhere = join(temporaryFolder(), 'target.mjs');
    writeFileSync(elsewhere, PROGRAM);
    symlinkSync(elsewhere, path);
    expect(verify(done)).toEqual({
      outcome: failed('sync', /is not on the host/),
      sync: { in: 'yes', out: 'no' },
    });
    expect(task.arrived?.(workspace)).toBe(false);
  });

  test('a folder in the place of the file is no file', () => {
    const { path, verify, done } = seeded();
    mkdirSync(path);
    expect(verify(done).outcome).toEqual(failed('sync', /is not on the host/));
  });

  test('an agent that never wrote the program is to blame itself, even where the file lies there', () => {
    const { path, verify, done, nonce } = seeded();
    writeFileSync(path, PROGRAM);
    const lines = done.filter((line) => !line.includes('toolu_1'));
    expect(verify(lines)).toEqual({
      outcome: failed('agent', /never wrote hello\.mjs/),
      sync: { in: 'yes', out: { gap: 'not-reached' } },
    });
    expect(verify([assistantText(`wrote hello.mjs, nonce ${nonce}`)]).sync).toEqual({
      in: { gap: 'not-reached' },
      out: { gap: 'not-reached' },
    });
  });

  describe('the nonce counts only where a shell printed it:', () => {
    const withOutput = (lines: (nonce: string) => string[]) => {
      const { path, verify, nonce, done } = seeded();
      writeFileSync(path, PROGRAM);
      return verify([
        ...done.slice(0, 3),
        ...lines(nonce),
        result({ result: `The nonce is ${nonce}` }),
      ]);
    };
    const unproved = {
      outcome: failed('verifier', /no tool output holds the nonce/),
      sync: { in: 'no', out: 'yes' },
    };

    test('not in what was said', () => {
      expect(
        withOutput((nonce) => [userText(`nonce ${nonce}`), assistantText(`it printed ${nonce}`)]),
      ).toEqual(unproved);
    });

    test('not in the output of another tool', () => {
      expect(
        withOutput((nonce) => [
          uses('toolu_2', 'Read', { file_path: 'nonce.txt' }),
          toolResult('toolu_2', nonce),
        ]),
      ).toEqual(unproved);
    });

    test('not in the command that was asked for', () => {
      expect(
        withOutput((nonce) => [
          uses('toolu_2', 'Bash', { command: `echo ${nonce}` }),
          toolResult('toolu_2', ''),
        ]),
      ).toEqual(unproved);
    });

    test('not in output that is an error', () => {
      expect(
        withOutput((nonce) => [
          uses('toolu_2', 'Bash', { command: 'x' }),
          toolResult('toolu_2', `failed: ${nonce}`, true),
        ]),
      ).toEqual(unproved);
    });

    test('not in the output of a call that was never made', () => {
      expect(withOutput((nonce) => [toolResult('toolu_7', nonce)])).toEqual(unproved);
    });

    test('but in output that comes in blocks', () => {
      const seen = withOutput((nonce) => [
        uses('toolu_2', 'Bash', { command: 'x' }),
        toolResult('toolu_2', [{ type: 'text', text: `Hello, nonce ${nonce}` }]),
      ]);
      expect(seen.outcome).toEqual({ status: 'passed' });
    });
  });
});
