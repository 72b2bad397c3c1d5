// A server of a test's own on loopback, gone with the test.
import { once } from 'node:events';
import { createServer, Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A proxy that only tunnels, and notes to where. */
export async function openTunnel(): Promise<{ tunnelled: (string | undefined)[]; url: string }> {
  const tunnelled: (string | undefined)[] = [];
  const server = createServer().on('connect', (req, socket: Socket) => {
    tunnelled.push(req.url);
    const [host = '', port] = (req.url ?? '').split(':');
    const far = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      far.pipe(socket).pipe(far);
    });
    for (const end of [far, socket]) end.on('error', () => {});
  });
  return { tunnelled, url: `http://127.0.0.1:${await listening(server)}` };
}

/** @returns its port */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    if (server instanceof HttpServer) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
