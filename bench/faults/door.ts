// A proxy in front of a daemon's socket: to its client the daemon seems silent or gone, while
// direct users of the daemon are unaffected.
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Door {
  path: string;
  /** Accepts connections and data but returns nothing until it is opened again. */
  silence(): void;
  /** Closes all connections and stops listening. */
  shut(): Promise<void>;
  open(): Promise<void>;
  close(): Promise<void>;
}

/** @param behind the daemon's own socket @param path path for the socket of the door */
export async function openDoor(behind: string, path: string): Promise<Door> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let silent = false;
  const keep = (socket: Socket, other: () => Socket) => {
    sockets.add(socket);
    socket.on('error', () => other().destroy());
    socket.once('close', () => {
      sockets.delete(socket);
      other().destroy();
    });
  };
  const pass = (from: Socket, to: Socket) => {
    from.on('data', (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => silent || from.resume());
    from.on('end', () => to.end());
    if (silent) from.pause();
  };
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      rmSync(path, { force: true });
      server = createServer({ allowHalfOpen: true }, (near) => {
        const far = connect({ path: behind, allowHalfOpen: true });
        keep(near, () => far);
        keep(far, () => near);
        pass(near, far);
        pass(far, near);
      });
      server.once('error', reject);
      server.listen(path, resolve);
    });
  const shut = async () => {
    for (const socket of sockets) socket.destroy();
    const open = server;
    server = undefined;
    if (open) await new Promise((resolve) => open.close(resolve));
  };
  await listen();
  return {
    path,
    silence() {
      silent = true;
      for (const socket of sockets) socket.pause();
    },
    shut,
    async open() {
      silent = false;
      for (const socket of sockets) socket.resume();
      if (!server) await listen();
    },
    close: shut,
  };
}
