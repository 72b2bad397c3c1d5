// Streams the lines that a program prints, at the pace of their reader.
import { monotonic } from '../clock.js';
import type { ExecEnd, ExecEvent, ExecStream } from '../contract.js';
import { type Child, drained, type SpawnOptions, startChild } from './children.js';
import { lineSplitter } from './lines.js';

/** Number of unread lines that may be queued before the child is paused. */
const MAX_QUEUE = 2000;

export interface LocalStream extends ExecStream, Pick<Child, 'pid' | 'spawned' | 'kill'> {
  /** How the process ended, whether or not its lines are read. */
  ended: Promise<ExecEnd>;
}

/**
 * Starts a program and yields its lines as they arrive, then one end event. The stream can be read
 * only once.
 * @param options `ready`: a line that the child prints on both streams before it reads its input.
 *   The input is withheld until then, and the line itself is not yielded.
 */
export function stream(
  argv: readonly [string, ...string[]],
  options: SpawnOptions & { ready?: string },
): LocalStream {
  const { ready } = options;
  const silent = new Set<string>(ready === undefined ? [] : ['stdout', 'stderr']);
  let isReady = () => {};
  const begun = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const child = startChild(argv, options, ready === undefined ? undefined : begun);
  const queue: ExecEvent[] = [];
  let wake: () => void = () => {};
  let paused = false;
  const setPaused = (now: boolean) => {
    if (paused === now) return;
    paused = now;
    for (const pipe of [child.stdout, child.stderr]) now ? pipe?.pause() : pipe?.resume();
  };
  const push = (event: ExecEvent) => {
    queue.push(event);
    if (queue.length > MAX_QUEUE) setPaused(true);
    wake();
  };
  const splits = (['stdout', 'stderr'] as const).map((name) => {
    const split = lineSplitter((text) => {
      if (text !== ready || !silent.delete(name))
        push({ type: 'line', stream: name, text, atMs: monotonic() });
      else if (silent.size === 0) isReady();
    });
    child[name]?.setEncoding('utf8').on('data', split.push);
    return split;
  });
  const finish = async (end: ExecEnd, atMs: number) => {
    if (child.pid !== undefined) await drained(child, () => paused);
    for (const split of splits) split.flush();
    push({ ...end, atMs });
  };
  const ended = child.ended.then(({ missing, ...end }) => {
    void finish(end, monotonic());
    return end;
  });

  async function* read(): AsyncGenerator<ExecEvent> {
    for (;;) {
      const event = queue.shift();
      if (event) {
        if (queue.length === 0) setPaused(false);
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
    spawned: child.spawned,
    ended,
    kill: child.kill,
  };
}

/**
 * The lines and the end of a runtime's client. If the client itself was killed, how the command
 * ended is unknown, so the end is `lost`.
 * @param daemonLost matches the last stderr line of a client whose daemon went away meanwhile: its
 *   exit code 1 alone is ambiguous, since many commands end with 1 too
 */
export async function* clientEnd(
  child: ExecStream,
  daemonLost?: RegExp,
): AsyncGenerator<ExecEvent> {
  let lastLine = '';
  for await (const event of child) {
    if (event.type === 'line' && event.stream === 'stderr') lastLine = event.text;
    if (event.type === 'exit' && event.code === 1 && daemonLost?.test(lastLine))
      yield { type: 'lost', reason: lastLine, atMs: event.atMs };
    else if (event.type === 'signal')
      yield {
        type: 'lost',
        reason: `the runtime's client was killed by ${event.name}`,
        atMs: event.atMs,
      };
    else yield event;
  }
}
