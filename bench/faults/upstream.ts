// A model endpoint that answers a number of requests correctly and then fails in one way forever.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cassette } from '../../lib/model/cassette.js';
import { serveReplay } from '../../lib/model/replay.mjs';

export const MODEL_FAULTS = [
  '401',
  '429',
  '500',
  '529',
  'half',
  'garbage',
  'silent',
  'stops',
] as const;
/**
 * An HTTP status, or: a stream that breaks off, an invalid response, no response ever, an endpoint
 * that is gone.
 */
export type ModelFault = (typeof MODEL_FAULTS)[number];

const BEGINNING = [
  {
    type: 'message_start',
    message: {
      id: 'msg_half',
      type: 'message',
      role: 'assistant',
      model: 'claude-half',
      content: [],
      stop_reason: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'I will' } },
];

export interface Upstream {
  url: string;
  /** Number of requests that received the fault. */
  faulted(): number;
  close(): Promise<void>;
}

/** @param fromRequest how many requests are answered from the cassette first */
export async function openUpstream(
  cassette: Cassette,
  fault: ModelFault,
  fromRequest: number,
): Promise<Upstream> {
  let seen = 0;
  let faulted = 0;
  const server = createServer((req, res) => {
    seen += 1;
    if (seen <= fromRequest) return void serveReplay(req, res, cassette);
    faulted += 1;
    if (fault === 'silent') return;
    if (fault === 'stops') {
      server.close();
      return server.closeAllConnections();
    }
    if (fault === 'garbage')
      return void res
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end('<<< no stream \u0000 at all >>>\n\n');
    if (fault === 'half') {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const text = BEGINNING.map(
        (event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
      ).join('');
      return void res.write(text, () => res.destroy());
    }
    const error = { type: 'error', error: { type: 'api_error', message: `the scripted ${fault}` } };
    res.writeHead(Number(fault), { 'content-type': 'application/json' }).end(JSON.stringify(error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faulted: () => faulted,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
