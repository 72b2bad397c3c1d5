// Runs a program to its end within a time limit, and keeps or passes on what it prints.
import type { ExecEnd } from '../contract.js';
import { CagematchError } from '../errors.js';
import { type Child, drained, type SpawnOptions, startChild } from './children.js';
import { lineSplitter, MAX_LINE } from './lines.js';
import { oneLine } from './printable.js';

/** The most output that `capture` keeps per stream, in characters. */
const MAX_CAPTURE = 8 * 1024 * 1024;

export interface Captured {
  end: ExecEnd;
  stdout: string;
  stderr: string;
  /** `missing`: no such program. `timeout`: killed at its time limit. */
  failure?: 'missing' | 'timeout';
}

/**
 * Runs a program to its end and captures its output. Never throws.
 * @param argv program and arguments
 * @param options `timeoutMs` limits the whole call, grandchildren included
 */
export async function capture(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { timeoutMs: number; onLine?: (line: string) => void },
): Promise<Captured> {
  const child = startChild(argv, options);
  const kept = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    const split = lineSplitter((line) => options.onLine?.(line));
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      if (kept[name].length < MAX_CAPTURE) kept[name] += text;
      if (options.onLine) split.push(text);
    });
  }
  const ran = await toItsEnd(child, options.timeoutMs);
  return { ...ran, ...kept };
}

/**
 * Runs a program to its end and passes on the bytes of its stdout as they arrive, without any limit
 * on their number. Never throws.
 * @param options `timeoutMs` limits the whole call
 * @returns like `capture`, but without the stdout
 */
export async function pour(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { timeoutMs: number },
  take: (chunk: Uint8Array) => void,
): Promise<Captured> {
  const child = startChild(argv, options);
  let stderr = '';
  child.stdout?.on('data', take);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-MAX_LINE);
  });
  const ran = await toItsEnd(child, options.timeoutMs);
  return { ...ran, stdout: '', stderr };
}

async function toItsEnd(
  child: Child,
  timeoutMs: number,
): Promise<Pick<Captured, 'end' | 'failure'>> {
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill();
  }, timeoutMs);
  const { missing, ...end } = await child.ended;
  clearTimeout(timer);
  if (child.pid !== undefined) await drained(child);
  if (missing) return { end, failure: 'missing' };
  return timedOut ? { end, failure: 'timeout' } : { end };
}

/** True if the program ran to its end and exited with code 0. */
export function succeeded({ end }: Pick<Captured, 'end'>): boolean {
  return end.type === 'exit' && end.code === 0;
}

/** The program's stdout. @throws the given `code`, with the program's own error message */
export async function output(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & {
    timeoutMs: number;
    code: CagematchError['code'];
    hint?: string;
    onLine?: (line: string) => void;
  },
): Promise<string> {
  const result = await capture(argv, options);
  if (succeeded(result)) return result.stdout;
  throw new CagematchError(
    options.code,
    `${argv.slice(0, 2).join(' ')}: ${whyFailed(result)}`,
    options.hint,
  );
}

/**
 * One line that describes how a captured program failed: its own error message where it printed
 * one.
 */
export function whyFailed(result: Captured): string {
  if (result.failure === 'missing') return 'not found on PATH';
  if (result.failure === 'timeout') return 'no answer in time';
  // A client's last line may merely point to its help.
  const lines = (result.stderr.trim() || result.stdout.trim())
    .split('\n')
    .filter((line) => !/^\s*$|^(Run|See) '.*--help'/.test(line));
  const last = oneLine(lines.at(-1) ?? '');
  if (last !== '') return last;
  if (result.end.type === 'exit') return `exit code ${result.end.code}`;
  return result.end.type === 'signal' ? `killed by ${result.end.name}` : result.end.reason;
}
