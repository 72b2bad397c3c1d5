// A door before a daemon's socket: as a client sees it, the daemon falls silent or is gone, while others that use the daemon itself notice nothing.
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Door {
  path: string;
  /** Takes connections and bytes, and gives nothing back, until it is opened again. */
  silence(): void;
  /** All connections end, and nobody listens. */
  shut(): Promise<void>;
  open(): Promise<void>;
  close(): Promise<void>;
}

/** @param behind the daemon's own socket @param path where the door's is to be */
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
