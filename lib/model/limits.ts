// What the gateway gives to one run at most, and to all who connect to it: the rest of the machine's descriptors and memory is not a guest's.
import { readFileSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Connections of one run; the agent uses a few. */
const MOST_CONNECTIONS = 16;
/** Requests of one run that are read and answered at the same time; more wait unread. */
const MOST_AT_ONCE = 8;
/** Requests of one run that may wait. */
const MOST_WAITING = 64;
/** Bytes of request bodies of one run that are in memory at the same time. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Connections of everybody, however many descriptors there are. */
const MOST_OF_ALL = 1024;
/** Where the limit cannot be read. */
const USUAL_DESCRIPTORS = 256;

/** How many files and connections this process may have open. */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? USUAL_DESCRIPTORS : Number(soft);
  } catch {
    return USUAL_DESCRIPTORS;
  }
}

/**
 * Bounds the connections of all servers together to a third of the descriptors: the rest is for the harness, which needs some for each
 * run. Connections that have not shown the token of a run get half of that; where more come, the oldest of them is closed.
 */
export function limitConnections<Run extends object>(descriptors: number) {
  const most = Math.max(4, Math.min(MOST_OF_ALL, Math.floor(descriptors / 3)));
  /** In the order in which they came. */
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
    /** The connection has shown the token of a run. Of too many, the one that the run opened first is closed. */
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

/** Of one run: lets so many requests in at a time, and counts the bytes of their bodies until each is answered. */
export function openQueue() {
  const waiting: (() => void)[] = [];
  let inside = 0;
  let bytes = 0;

  return {
    /** @returns undefined where too many wait already, or where the guest has gone while it waited */
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
          if (bytes + more > MOST_BYTES) throw new Error('the requests of this run hold more than 64 MiB');
          own += more;
          bytes += more;
        },
      };
    },
  };
}
