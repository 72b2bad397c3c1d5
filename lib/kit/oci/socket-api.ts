// Queries a JSON API on a local unix socket: the requests that a daemon's client would send,
// without starting the client.
import { connect } from 'node:net';
import { parseJson } from '../../json.js';

/** Maximum size of an answer, in bytes. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/**
 * Sends one GET request, as HTTP/1.0, so that the answer ends with the connection. Node's own HTTP
 * client takes ten times as long, and every run sends such requests.
 * @returns undefined if nothing listens there or the request is refused: the daemon's client may
 *   know another way
 * @throws if the daemon does not answer in time, since it would not answer its client either
 */
export function askSocket<T>(
  socketPath: string,
  path: string,
  timeoutMs: number,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const socket = connect(socketPath, () =>
      socket.write(`GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`),
    );
    const timer = setTimeout(() => {
      reject(new Error(`${socketPath} did not answer in time`));
      socket.destroy();
    }, timeoutMs);
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      size += part.length;
      if (size > MAX_ANSWER_BYTES) socket.destroy();
    });
    socket.once('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(
        size > MAX_ANSWER_BYTES ? undefined : bodyOf<T>(Buffer.concat(parts).toString('utf8')),
      );
    });
  });
}

function bodyOf<T>(answer: string): T | undefined {
  const end = answer.indexOf('\r\n\r\n');
  return /^HTTP\/1\.[01] 200 /.test(answer) && end !== -1
    ? parseJson<T>(answer.slice(end + 4))
    : undefined;
}
