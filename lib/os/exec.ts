// Processes: run one to its end within a bound, or stream its lines; and never leave one behind.
import { AsyncLocalStorage } from 'node:async_hooks';
import { ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { monotonic } from '../clock.js';
import type { Env, ExecEnd, ExecEvent, ExecStream } from '../contract.js';
import { CagematchError } from '../errors.js';
import { noteSession, OWNER_VARIABLE, thisOwner } from './owner.js';
import { oneLine } from './printable.js';

/** The longest line kept whole, in characters; the rest of a longer one is dropped and said so. */
const MAX_LINE = 4 * 1024 * 1024;
/** The most output that `capture` keeps per stream, in characters. */
const MAX_CAPTURE = 8 * 1024 * 1024;
/** Lines that may wait for their reader before the child is made to wait. */
const MAX_QUEUE = 2000;

export interface SpawnOptions {
  env: Env;
  cwd?: string;
  signal?: AbortSignal;
  /** Given to the child on stdin; absent: stdin is empty. */
  input?: string;
  /** Runs the child as this user; needs root. */
  user?: { uid: number; gid: number };
}

export interface Captured {
  end: ExecEnd;
  stdout: string;
  stderr: string;
  /** `missing`: no such program. `timeout`: killed at its bound. */
  failure?: 'missing' | 'timeout';
}

const live = new Set<number>();
/** The children of one command; a server, or a test, runs several commands at once. */
const scope = new AsyncLocalStorage<Set<number>>();

/** Runs `work`, to which every child belongs that is started on its behalf. */
export function inScope<T>(work: () => Promise<T>): Promise<T> {
  return scope.run(new Set(), work);
}

/** Kills every process group of this scope that is still running. */
export function killScope(): void {
  for (const pid of scope.getStore() ?? []) killGroup(pid, 'SIGKILL');
}

/** Kills every process group that is still running; for the last moment before exit. */
export function killAll(): void {
  for (const pid of live) killGroup(pid, 'SIGKILL');
}

/** Signals a child and all that it started. */
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already.
  }
}

// A grandchild can hold stdout open for ever: children lead their own group, and the group is what is killed.
/** @param begun input is withheld until then */
function start(argv: readonly [string, ...string[]], options: SpawnOptions, begun?: Promise<void>): ChildProcess {
  const child = begin(argv, options);
  const { input } = options;
  // A child need not read what it is given.
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

/** Some ways to fail are thrown (an argument with a zero byte, arguments too long for the system): they are told as all others are. */
function begin([file, ...args]: readonly [string, ...string[]], options: SpawnOptions): ChildProcess {
  try {
    return spawn(file, args, {
      // A client that outlives a killed harness is known by this (see lib/os/processes.ts).
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

/** How the child ended, told when it has exited, whoever still holds its pipes. */
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
 * Runs a program to its end and keeps what it printed. Never throws.
 * @param argv program and arguments
 * @param options `timeoutMs` bounds the whole call, grandchildren included
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
 * Runs a program to its end and hands over the bytes of its stdout as they come; they may be many. Never throws.
 * @param options `timeoutMs` bounds the whole call
 * @returns as `capture`, without the stdout
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
 * Ten milliseconds and a turn of the event loop, so many times. A bound in time alone would be over at once when the
 * loop had stalled, and what the child had printed, but nobody had read yet, would be lost.
 */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10).unref());
}

/** It ran to its end, and ended with 0. */
export function succeeded({ end }: Pick<Captured, 'end'>): boolean {
  return end.type === 'exit' && end.code === 0;
}

/** What the program printed on stdout, or a thrown `code` with its own last words. */
export async function output(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { timeoutMs: number; code: CagematchError['code']; hint?: string; onLine?: (line: string) => void },
): Promise<string> {
  const result = await capture(argv, options);
  if (succeeded(result)) return result.stdout;
  throw new CagematchError(options.code, `${argv.slice(0, 2).join(' ')}: ${whyFailed(result)}`, options.hint);
}

/** One line: how a captured program failed, in its own words where it had any. */
export function whyFailed(result: Captured): string {
  if (result.failure === 'missing') return 'not found on PATH';
  if (result.failure === 'timeout') return 'no answer in time';
  // A client's last line may only say where its help is.
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
  /** Ends the process and all that it started. */
  kill(): void;
}

/**
 * Starts a program and hands over its lines as they come, then one end. The stream may be read once.
 * @param options `ready`: a line that the child prints on both streams before it reads; its input is withheld until
 *   then, and that line is not handed over
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
  // Whoever does not ask for it learns of the failure from the stream's end.
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
    // A grandchild may hold the pipes; what it prints later is nobody's output.
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
    ended: over.then(({ missing: _, ...end }) => end),
    kill: () => {
      if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    },
    spawned,
  };
}

/**
 * The lines and the end of a runtime's client: one that is killed itself knows nothing of how the command ended.
 * @param daemonLost last words of one whose daemon went away meanwhile; it ends with code 1, as many a command does
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

/** Cuts text into lines; a line past its bound is cut, and its rest is passed over without being kept. */
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

/** All places of PATH where a program of that name is, the one that is run first. */
export function everyWhich(program: string, env: Env): string[] {
  return namesakes(program, env).filter(isProgram);
}

/** Names of all programs on PATH that are called like this, each once, in alphabetical order. */
export function programsLike(pattern: RegExp, env: Env): string[] {
  const found = pathOf(env).flatMap((folder) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => pattern.test(name) && isProgram(join(folder, name)));
  });
  return [...new Set(found)].sort();
}

/** Where it could be, in the order of PATH. */
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
