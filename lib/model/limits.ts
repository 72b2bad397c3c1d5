// Limits the resources that the gateway gives to one run, and to all its clients: guests must not
// exhaust this machine's file descriptors and memory.
import { readFileSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Maximum number of connections of one run; the agent uses a few. */
const MOST_CONNECTIONS = 16;
/**
 * Maximum number of requests of one run that are read and answered at the same time; further
 * requests wait unread.
 */
const MOST_AT_ONCE = 8;
/** Maximum number of waiting requests of one run. */
const MOST_WAITING = 64;
/** Maximum total size of one run's request bodies in memory, in bytes. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Maximum number of all connections, however many descriptors are available. */
const MOST_OF_ALL = 1024;
/** Assumed descriptor limit if it cannot be read. */
const USUAL_DESCRIPTORS = 256;

/** Maximum number of open file descriptors of this process. */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? USUAL_DESCRIPTORS : Number(soft);
  } catch {
    return USUAL_DESCRIPTORS;
  }
}

/**
 * Limits the connections of all servers together to a third of the descriptors: the rest is for the
 * harness, which needs some for each run. Connections that have not presented the token of a run
 * get half of that third; beyond it, the oldest of them is closed.
 */
export function limitConnections<Run extends object>(descriptors: number) {
  const most = Math.max(4, Math.min(MOST_OF_ALL, Math.floor(descriptors / 3)));
  /** Connections without a token yet, in order of arrival. */
  const strangers = new Set<Socket>();
  const ofRuns = new Map<Run, Set<Socket>>();
  let known = 0;

  return {
    watch(server: Server): void {
      server.on('connection', (socket) => {
        if (known + strangers.size >= most || strangers.size >= most / 2) {
          const [oldest] = strangers;
          if (!oldest) return void socket.destroy();
          strangers.delete(oldest);
          oldest.destroy();
        }
        strangers.add(socket);
        socket.once('close', () => strangers.delete(socket));
      });
    },
    /**
     * Called when the connection has presented the token of a run. If the run has too many, its
     * oldest connection is closed.
     */
    belongsTo(socket: Socket, run: Run): void {
      if (!strangers.delete(socket)) return;
      const own = ofRuns.get(run) ?? new Set<Socket>();
      ofRuns.set(run, own);
      if (own.size >= MOST_CONNECTIONS) [...own][0]?.destroy();
      own.add(socket);
      known += 1;
      socket.once('close', () => {
        own.delete(socket);
        known -= 1;
      });
    },
    end: (run: Run) => void ofRuns.delete(run),
  };
}

/**
 * A queue for one run: admits a limited number of requests at a time, and counts the bytes of each
 * body until its request is answered.
 */
export function openQueue() {
  const waiting: (() => void)[] = [];
  let inside = 0;
  let bytes = 0;

  return {
    /**
     * @returns undefined if too many requests are waiting already, or if the guest disconnected
     *   while waiting
     */
    async enter(res: ServerResponse): Promise<{ claim(bytes: number): void } | undefined> {
      if (inside >= MOST_AT_ONCE) {
        if (waiting.length >= MOST_WAITING) return undefined;
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      } else inside += 1;
      let own = 0;
      const leave = () => {
        bytes -= own;
        const next = waiting.shift();
        if (next) next();
        else inside -= 1;
      };
      if (res.destroyed || res.closed) {
        leave();
        return undefined;
      }
      res.once('close', leave);
      return {
        claim(more) {
          if (bytes + more > MOST_BYTES)
            throw new Error('the requests of this run hold more than 64 MiB');
          own += more;
          bytes += more;
        },
      };
    },
  };
}
