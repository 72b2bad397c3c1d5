// Child processes: runs one to its end within a time limit, or streams its lines, and never leaves one behind.
import { AsyncLocalStorage } from 'node:async_hooks';
import { ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { monotonic } from '../clock.js';
import type { Env, ExecEnd, ExecEvent, ExecStream } from '../contract.js';
import { CagematchError } from '../errors.js';
import { noteSession, OWNER_VARIABLE, thisOwner } from './owner.js';
import { oneLine } from './printable.js';

/** The longest line kept whole, in characters; the rest of a longer line is dropped, and the line marked as cut. */
const MAX_LINE = 4 * 1024 * 1024;
/** The most output that `capture` keeps per stream, in characters. */
const MAX_CAPTURE = 8 * 1024 * 1024;
/** Number of unread lines that may be queued before the child is paused. */
const MAX_QUEUE = 2000;

export interface SpawnOptions {
  env: Env;
  cwd?: string;
  signal?: AbortSignal;
  /** Passed to the child on stdin; absent: stdin is empty. */
  input?: string;
  /** Runs the child as this user; needs root. */
  user?: { uid: number; gid: number };
}

export interface Captured {
  end: ExecEnd;
  stdout: string;
  stderr: string;
  /** `missing`: no such program. `timeout`: killed at its time limit. */
  failure?: 'missing' | 'timeout';
}

const live = new Set<number>();
/** The children of one command; a server or a test runs several commands at once. */
const scope = new AsyncLocalStorage<Set<number>>();

/** Runs `work` in a scope of its own, to which every child started on its behalf belongs. */
export function inScope<T>(work: () => Promise<T>): Promise<T> {
  return scope.run(new Set(), work);
}

/** Kills every process group of this scope that is still running. */
export function killScope(): void {
  for (const pid of scope.getStore() ?? []) killGroup(pid, 'SIGKILL');
}

/** Kills every process group that is still running; called right before exit. */
export function killAll(): void {
  for (const pid of live) killGroup(pid, 'SIGKILL');
}

/** Signals a child and everything it started. */
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is already gone.
  }
}

// A grandchild can hold stdout open forever, so every child leads its own process group, and the whole group is killed.
/** @param begun input is withheld until this resolves */
function start(argv: readonly [string, ...string[]], options: SpawnOptions, begun?: Promise<void>): ChildProcess {
  const child = begin(argv, options);
  const { input } = options;
  // A child need not read its stdin.
  child.stdin?.on('error', () => {});
  if (begun) void begun.then(() => child.stdin?.end(input));
  else child.stdin?.end(input);
  const { pid } = child;
  if (pid === undefined) return child;
  const own = scope.getStore();
  live.add(pid);
  own?.add(pid);
  noteSession(pid);
  const abort = () => killGroup(pid, 'SIGKILL');
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  child.once('exit', () => {
    live.delete(pid);
    own?.delete(pid);
    options.signal?.removeEventListener('abort', abort);
  });
  return child;
}

/** Spawns a child. Failures that `spawn` throws (a zero byte in an argument, arguments too long for the system) become `error` events. */
function begin([file, ...args]: readonly [string, ...string[]], options: SpawnOptions): ChildProcess {
  try {
    return spawn(file, args, {
      // Identifies a client that outlives a killed harness (see lib/os/processes.ts).
      env: { ...options.env, [OWNER_VARIABLE]: thisOwner() },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
      windowsHide: true,
    });
  } catch (error) {
    const failed = new ChildProcess();
    process.nextTick(() => failed.emit('error', error));
    return failed;
  }
}

/** How the child ended; resolves as soon as it has exited, even if another process still holds its pipes. */
function ended(child: ChildProcess): Promise<ExecEnd & { missing?: boolean }> {
  return new Promise((resolve) => {
    child.once('exit', (code: number | null, signal: string | null) => {
      if (code !== null) resolve({ type: 'exit', code });
      else resolve({ type: 'signal', name: signal ?? 'unknown' });
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ type: 'lost', reason: error.message, missing: error.code === 'ENOENT' });
    });
  });
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
  const child = start(argv, options);
  const kept = { stdout: '', stderr: '' };
  const closed = (['stdout', 'stderr'] as const).map((name) => {
    const split = lineSplitter((line) => options.onLine?.(line));
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      if (kept[name].length < MAX_CAPTURE) kept[name] += text;
      if (options.onLine) split.push(text);
    });
    return new Promise<void>((resolve) => {
      if (child[name]) child[name].once('close', () => resolve());
      else resolve();
    });
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
  }, options.timeoutMs);
  const { missing, ...end } = await ended(child);
  if (!missing) await Promise.race([Promise.all(closed), turns(20)]);
  clearTimeout(timer);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const failure = missing ? 'missing' : timedOut ? 'timeout' : undefined;
  return { end, ...kept, ...(failure === undefined ? {} : { failure }) };
}

/**
 * Runs a program to its end and passes on the bytes of its stdout as they arrive, without any limit on their number. Never throws.
 * @param options `timeoutMs` limits the whole call
 * @returns like `capture`, but without the stdout
 */
export async function pour(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { timeoutMs: number },
  take: (chunk: Uint8Array) => void,
): Promise<Captured> {
  const bound = AbortSignal.timeout(options.timeoutMs);
  const child = start(argv, { ...options, signal: options.signal ? AbortSignal.any([options.signal, bound]) : bound });
  let stderr = '';
  child.stdout?.on('data', take);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-MAX_LINE);
  });
  const closed = (['stdout', 'stderr'] as const).map(
    (name) => new Promise<void>((resolve) => child[name]?.once('close', resolve) ?? resolve()),
  );
  const { missing, ...end } = await ended(child);
  if (!missing) await Promise.race([Promise.all(closed), turns(50)]);
  const failure = missing ? 'missing' : bound.aborted ? 'timeout' : undefined;
  return { end, stdout: '', stderr, ...(failure === undefined ? {} : { failure }) };
}

/**
 * Waits ten milliseconds and a turn of the event loop, `count` times. A time limit alone would expire at once after the event loop had
 * stalled, and output that the child had printed but nobody had read yet would be lost.
 */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10).unref());
}

/** True if the program ran to its end and exited with code 0. */
export function succeeded({ end }: Pick<Captured, 'end'>): boolean {
  return end.type === 'exit' && end.code === 0;
}

/** The program's stdout. @throws the given `code`, with the program's own error message */
export async function output(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { timeoutMs: number; code: CagematchError['code']; hint?: string; onLine?: (line: string) => void },
): Promise<string> {
  const result = await capture(argv, options);
  if (succeeded(result)) return result.stdout;
  throw new CagematchError(options.code, `${argv.slice(0, 2).join(' ')}: ${whyFailed(result)}`, options.hint);
}

/** One line that describes how a captured program failed: its own error message where it printed one. */
export function whyFailed(result: Captured): string {
  if (result.failure === 'missing') return 'not found on PATH';
  if (result.failure === 'timeout') return 'no answer in time';
  // A client's last line may merely point to its help.
  const words = (result.stderr.trim() || result.stdout.trim()).split('\n').filter((line) => !/^\s*$|^(Run|See) '.*--help'/.test(line));
  const last = oneLine(words.at(-1) ?? '');
  if (last !== '') return last;
  if (result.end.type === 'exit') return `exit code ${result.end.code}`;
  return result.end.type === 'signal' ? `killed by ${result.end.name}` : result.end.reason;
}

export interface LocalStream extends ExecStream {
  pid: number | undefined;
  /** Resolves when the process exists; rejects with `launch-failed` when it cannot be started. */
  spawned: Promise<void>;
  /** How the process ended, whether or not its lines are read. */
  ended: Promise<ExecEnd>;
  /** Kills the process and everything it started. */
  kill(): void;
}

/**
 * Starts a program and yields its lines as they arrive, then one end event. The stream can be read only once.
 * @param options `ready`: a line that the child prints on both streams before it reads its input. The input is withheld until then, and
 *   the line itself is not yielded.
 */
export function stream(argv: readonly [string, ...string[]], options: SpawnOptions & { ready?: string }): LocalStream {
  const { ready } = options;
  const silent = new Set<string>(ready === undefined ? [] : ['stdout', 'stderr']);
  let heard = () => {};
  const begun = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const child = start(argv, options, ready === undefined ? undefined : begun);
  const spawned = new Promise<void>((resolve, reject) => {
    child.once('spawn', () => resolve());
    child.once('error', (error) => reject(new CagematchError('launch-failed', error.message)));
  });
  // Callers that do not await `spawned` see the failure as the stream's end event.
  spawned.catch(() => {});
  const queue: ExecEvent[] = [];
  let wake: () => void = () => {};
  let finished = false;

  const push = (event: ExecEvent) => {
    queue.push(event);
    if (queue.length > MAX_QUEUE) {
      child.stdout?.pause();
      child.stderr?.pause();
    }
    wake();
  };
  const closed = (['stdout', 'stderr'] as const).map((name) => {
    const split = lineSplitter((text) => {
      if (text !== ready || !silent.delete(name)) push({ type: 'line', stream: name, text, atMs: monotonic() });
      else if (silent.size === 0) heard();
    });
    child[name]?.setEncoding('utf8').on('data', split.push);
    return new Promise<void>((resolve) => {
      if (!child[name]) return resolve();
      child[name].once('close', () => {
        split.flush();
        resolve();
      });
    });
  });
  const over = ended(child);
  void over.then(async ({ missing, ...end }) => {
    const atMs = monotonic();
    // A grandchild may still hold the pipes; whatever it prints later is discarded.
    if (!missing) await Promise.race([Promise.all(closed), turns(50)]);
    child.stdout?.destroy();
    child.stderr?.destroy();
    finished = true;
    push({ ...end, atMs });
  });

  async function* read(): AsyncGenerator<ExecEvent> {
    for (;;) {
      const event = queue.shift();
      if (event) {
        if (queue.length === 0 && !finished) {
          child.stdout?.resume();
          child.stderr?.resume();
        }
        yield event;
        if (event.type !== 'line') return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }
  return {
    [Symbol.asyncIterator]: read,
    pid: child.pid,
    ended: over.then(({ missing, ...end }) => end),
    kill: () => {
      if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    },
    spawned,
  };
}

/**
 * The lines and the end of a runtime's client. If the client itself was killed, how the command ended is unknown, so the end is `lost`.
 * @param daemonLost matches the last stderr line of a client whose daemon went away meanwhile: its exit code 1 alone is ambiguous, since
 *   many commands end with 1 too
 */
export async function* clientEnd(child: ExecStream, daemonLost?: RegExp): AsyncGenerator<ExecEvent> {
  let words = '';
  for await (const event of child) {
    if (event.type === 'line' && event.stream === 'stderr') words = event.text;
    if (event.type === 'exit' && event.code === 1 && daemonLost?.test(words)) yield { type: 'lost', reason: words, atMs: event.atMs };
    else if (event.type === 'signal') yield { type: 'lost', reason: `the runtime's client was killed by ${event.name}`, atMs: event.atMs };
    else yield event;
  }
}

/** Splits text into lines. An overlong line is cut, and the rest of it is skipped without being buffered. */
export function lineSplitter(emit: (line: string) => void) {
  let rest = '';
  let cut = false;
  const end = () => {
    emit(cut ? `${rest} … [line cut]` : rest.endsWith('\r') ? rest.slice(0, -1) : rest);
    rest = '';
    cut = false;
  };
  return {
    push(text: string) {
      let from = 0;
      for (;;) {
        const at = text.indexOf('\n', from);
        const part = text.slice(from, at === -1 ? undefined : at);
        if (!cut) {
          rest += part;
          if (rest.length > MAX_LINE) {
            rest = rest.slice(0, MAX_LINE);
            cut = true;
          }
        }
        if (at === -1) return;
        end();
        from = at + 1;
      }
    },
    flush() {
      if (rest !== '') end();
    },
  };
}

/** Absolute path of a program on PATH, or undefined. */
export function which(program: string, env: Env): string | undefined {
  return namesakes(program, env).find(isProgram);
}

/** All paths on PATH where a program of that name is, in the order of PATH: the first one is the one that runs. */
export function everyWhich(program: string, env: Env): string[] {
  return namesakes(program, env).filter(isProgram);
}

/** Names of all programs on PATH that match the pattern, without duplicates, in alphabetical order. */
export function programsLike(pattern: RegExp, env: Env): string[] {
  const found = pathOf(env).flatMap((folder) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => pattern.test(name) && isProgram(join(folder, name)));
  });
  return [...new Set(found)].sort();
}

/** Candidate paths of a program, in the order of PATH. */
function namesakes(program: string, env: Env): string[] {
  return pathOf(env).map((folder) => join(folder, program));
}

function pathOf(env: Env): string[] {
  return (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
