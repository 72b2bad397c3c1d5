// Starts child processes through execa, each as the leader of a process group, and never leaves one
// of them behind.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import type { Env, ExecEnd } from '../contract.js';
import { CagematchError } from '../errors.js';
import { noteSession, OWNER_VARIABLE, thisOwner } from './owner.js';
import { oneLine } from './printable.js';

export interface SpawnOptions {
  env: Env;
  cwd?: string;
  signal?: AbortSignal;
  /** Passed to the child on stdin; absent: stdin is empty. */
  input?: string;
  /** Runs the child as this user; needs root. */
  user?: { uid: number; gid: number };
}

/** How a child ended. `missing`: there is no such program. */
type ChildEnd = ExecEnd & { missing?: boolean };

/** A child whose output has to be read. */
export interface Child {
  /** Undefined if it could not be started. */
  pid: number | undefined;
  stdout: Readable | null;
  stderr: Readable | null;
  /** Resolves when the process exists; rejects if it cannot be started. */
  spawned: Promise<void>;
  /** Resolves as soon as it has exited, even if another process still holds its pipes. */
  ended: Promise<ChildEnd>;
  /** Kills it and everything it has started. */
  kill(): void;
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
  for (const pid of scope.getStore() ?? []) killGroup(pid);
}

/** Kills every process group that is still running; called right before exit. */
export function killAll(): void {
  for (const pid of live) killGroup(pid);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is already gone.
  }
}

/**
 * Starts a child. A grandchild can hold stdout open forever, so every child leads its own process
 * group, and the whole group is killed: when the signal is aborted, and by `killScope` and
 * `killAll`. Never throws.
 * @param begun input is withheld until this resolves
 */
export function startChild(
  argv: readonly [string, ...string[]],
  options: SpawnOptions,
  begun?: Promise<void>,
): Child {
  const child = spawn(argv, options);
  if (child instanceof Error)
    return unborn(Promise.resolve({ type: 'lost', reason: child.message }));
  const { pid, stdin, stdout, stderr } = child;
  if (pid === undefined) return unborn(child.then(whyNotStarted));
  // A child need not read its stdin.
  stdin?.on('error', () => {});
  if (begun) void begun.then(() => stdin?.end(options.input));
  else stdin?.end(options.input);
  const kill = () => killGroup(pid);
  const own = scope.getStore();
  live.add(pid);
  own?.add(pid);
  noteSession(pid);
  const { signal } = options;
  if (signal?.aborted) kill();
  signal?.addEventListener('abort', kill, { once: true });
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (code, signalName) => {
      live.delete(pid);
      own?.delete(pid);
      signal?.removeEventListener('abort', kill);
      resolve(
        code === null ? { type: 'signal', name: signalName ?? 'unknown' } : { type: 'exit', code },
      );
    });
  });
  return { pid, stdout, stderr, kill, spawned: Promise.resolve(), ended };
}

/** Execa throws for some arguments that no system takes. */
function spawn(
  [file, ...args]: readonly [string, ...string[]],
  { env, cwd, user, input }: SpawnOptions,
) {
  try {
    return execa(file, args, {
      // The variable identifies a client that outlives a killed harness (see lib/os/processes.ts).
      env: { ...env, [OWNER_VARIABLE]: thisOwner() },
      extendEnv: false,
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      stdin: input === undefined ? 'ignore' : 'pipe',
      detached: true,
      // Output is read and bounded here, a group is killed here, and a failure is a value.
      buffer: false,
      cleanup: false,
      reject: false,
    });
  } catch (error) {
    return error as Error;
  }
}

function whyNotStarted({
  code,
  originalMessage = '',
}: {
  code?: string | undefined;
  originalMessage?: string | undefined;
}): ChildEnd {
  return {
    type: 'lost',
    reason: oneLine(originalMessage),
    ...(code === 'ENOENT' ? { missing: true } : {}),
  };
}

function unborn(ended: Promise<ChildEnd>): Child {
  const spawned = ended.then((end) => {
    throw new CagematchError(
      'launch-failed',
      end.type === 'lost' ? end.reason : 'it could not be started',
    );
  });
  // Whoever does not await it sees the failure as the child's end.
  spawned.catch(() => {});
  return { pid: undefined, stdout: null, stderr: null, kill: () => {}, spawned, ended };
}

/**
 * Output that comes from a child after it has exited is at most what the system and Node buffer;
 * more is another process's.
 */
const MOST_AFTER_EXIT = 2 * 2 ** 20;
/** How long the pipes may stay silent after the exit, in turns of ten milliseconds. */
const SILENT_TURNS = 50;

/**
 * Resolves when everything that the child has printed was read, although another process may hold
 * its pipes: when they are closed, when nothing more comes, or when more has come than the child
 * can have printed. A reader that takes its time loses nothing.
 * @param isPaused whether the reader has paused the streams
 */
export function drained(
  { stdout, stderr }: Child,
  isPaused: () => boolean = () => false,
): Promise<void> {
  const streams = [stdout, stderr].flatMap((stream) =>
    stream === null || stream.closed ? [] : [stream],
  );
  let [closed, bytes, turnsSilent] = [false, 0, 0];
  const all = Promise.all(
    streams.map((stream) => new Promise<void>((resolve) => stream.once('close', () => resolve()))),
  ).then(() => {
    closed = true;
  });
  for (const stream of streams)
    stream.on('data', (chunk: string | Buffer) => {
      bytes += chunk.length;
      turnsSilent = 0;
    });
  const wait = async () => {
    // A time limit alone would expire at once after the event loop had stalled, so turns of the
    // event loop are counted.
    while (!closed && turnsSilent < SILENT_TURNS && bytes < MOST_AFTER_EXIT) {
      await pause(10, undefined, { ref: false });
      turnsSilent = isPaused() ? 0 : turnsSilent + 1;
    }
    for (const stream of streams) stream.destroy();
  };
  return Promise.race([all, wait()]);
}
