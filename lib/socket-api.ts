// A JSON API on a unix socket of this machine: what a daemon's client would ask, without starting the client.
import { request } from 'node:http';
import { parseJson } from './json.js';

/** The most that is read of an answer, in characters. */
const MAX_ANSWER = 16 * 1024 * 1024;

/**
 * One GET.
 * @returns undefined when nobody is there, or refuses: the daemon's client may know another way
 * @throws when who is there gives no answer in time: its client would get none either
 */
export function askSocket<T>(socketPath: string, path: string, timeoutMs: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false, headers: { host: 'localhost' }, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.length > MAX_ANSWER) asked.destroy();
      });
      response.once('close', () => resolve(response.complete && response.statusCode === 200 ? parseJson<T>(text) : undefined));
    });
    asked.once('timeout', () => {
      reject(new Error(`${socketPath} gives no answer in time`));
      asked.destroy();
    });
    asked.once('error', () => resolve(undefined));
    asked.end();
  });
}
