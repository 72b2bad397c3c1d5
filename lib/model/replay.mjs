// Answers the Messages API from a cassette. Plain Node, no dependency: the host's gateway imports it,
// and guests that cannot reach the host run this same file beside the agent (see the end of the file).
import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * @typedef {{type: 'text', text: string} | {type: 'tool_use', name: string, input: Record<string, unknown>}} Block
 * @typedef {{schemaVersion: 1, task: string, model: string, exchanges: {content: Block[]}[]}} Cassette
 * @typedef {{role: string, content: unknown}} Message
 * @typedef {{model?: string, system?: unknown, messages?: Message[]}} MessagesRequest
 * @typedef {{token: string, header: 'authorization' | 'x-api-key' | 'both', oauth: boolean}} Credential
 */

/** The most that a request body may hold, in bytes; the agent's own requests are well under 1 MB. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/**
 * Which credential a request bore, and in which header.
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @returns {Credential | undefined} undefined when it bore none
 */
export function presentedCredential(headers) {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const key = typeof headers['x-api-key'] === 'string' ? headers['x-api-key'] : undefined;
  const token = bearer ?? key;
  if (token === undefined) return undefined;
  const beta = String(headers['anthropic-beta'] ?? '');
  const header = bearer !== undefined && key !== undefined ? 'both' : bearer !== undefined ? 'authorization' : 'x-api-key';
  return { token, header, oauth: beta.includes('oauth-') };
}

/**
 * Compares two secrets without telling by its duration where they differ.
 * @param {string} a
 * @param {string} b
 */
export function sameSecret(a, b) {
  const digest = (/** @type {string} */ text) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * Reads a request's whole body.
 * @param {import('node:http').IncomingMessage} req
 * @returns {Promise<Buffer>} rejects when it is larger than 32 MiB
 */
export async function readBody(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('request body larger than 32 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * The agent names its working directory in what it sends; a cassette builds absolute paths from it.
 * @param {unknown} value a request's system prompt and messages, or any part of them
 * @returns {string | undefined}
 */
function workingDirectory(value) {
  if (typeof value === 'string') return /Primary working directory: ([^\r\n]+)/.exec(value)?.[1];
  if (value === null || typeof value !== 'object') return undefined;
  for (const part of Object.values(value)) {
    const found = workingDirectory(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * @param {unknown} value
 * @param {string} cwd
 * @returns {unknown} the value with every `{{cwd}}` in its strings replaced
 */
function fill(value, cwd) {
  if (typeof value === 'string') return value.replaceAll('{{cwd}}', cwd);
  if (Array.isArray(value)) return value.map((item) => fill(item, cwd));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, cwd)]));
}

/**
 * What the cassette answers to a request: its position is the number of turns that the agent
 * has already had, so a retried request gets the same answer and no state is kept.
 * @param {Cassette} cassette
 * @param {MessagesRequest} request
 * @returns {{content: Block[]} | {error: string}}
 */
function replyTo(cassette, request) {
  const turn = (request.messages ?? []).filter((message) => message.role === 'assistant').length;
  const exchange = cassette.exchanges[turn];
  if (!exchange) return { error: `the cassette holds ${cassette.exchanges.length} exchanges; the agent asked for number ${turn + 1}` };
  if (!JSON.stringify(exchange).includes('{{cwd}}')) return { content: exchange.content };
  const cwd = workingDirectory([request.system, request.messages]);
  if (cwd === undefined) return { error: 'the request names no working directory, and the cassette needs one' };
  return { content: /** @type {Block[]} */ (fill(exchange.content, cwd)) };
}

/**
 * Answers one request: `POST /v1/messages` from the cassette, streamed when it was asked so.
 * The caller has already checked the credential.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {Cassette} cassette
 */
export async function serveReplay(req, res, cassette) {
  const path = (req.url ?? '/').split('?')[0];
  if (req.method === 'HEAD') return void res.writeHead(200).end();
  if (req.method !== 'POST' || path !== '/v1/messages')
    return sendError(res, 404, 'not_found_error', `no such route: ${req.method} ${path}`);
  /** @type {MessagesRequest & {stream?: boolean}} */
  let request;
  try {
    request = JSON.parse((await readBody(req)).toString('utf8'));
    if (!isRequest(request)) throw new Error('no list of messages');
  } catch (error) {
    return sendError(res, 400, 'invalid_request_error', `unreadable request body: ${error instanceof Error ? error.message : error}`);
  }
  const reply = replyTo(cassette, request);
  if ('error' in reply) return sendError(res, 400, 'invalid_request_error', reply.error);
  const message = toMessage(reply.content, request.model ?? cassette.model);
  if (!request.stream) return void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message));
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  res.end(
    toEvents(message)
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join(''),
  );
}

/** @param {unknown} value */
function isRequest(value) {
  if (typeof value !== 'object' || value === null || !('messages' in value) || !Array.isArray(value.messages)) return false;
  return value.messages.every((message) => typeof message === 'object' && message !== null);
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {number} status
 * @param {string} type one of the API's error types
 * @param {string} message
 */
export function sendError(res, status, type, message) {
  res.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' });
  res.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

let serial = 0;

/**
 * @param {Block[]} content
 * @param {string} model
 */
function toMessage(content, model) {
  serial += 1;
  const blocks = content.map((block, index) =>
    block.type === 'tool_use' ? { type: block.type, id: `toolu_replay_${serial}_${index}`, name: block.name, input: block.input } : block,
  );
  const stop = blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn';
  return {
    id: `msg_replay_${serial}`,
    type: 'message',
    role: 'assistant',
    model,
    content: blocks,
    stop_reason: stop,
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  };
}

/**
 * The streamed form of a message.
 * @param {ReturnType<typeof toMessage>} message
 * @returns {({type: string} & Record<string, unknown>)[]}
 */
function toEvents(message) {
  const opened = { ...message, content: [], stop_reason: null };
  const blocks = message.content.flatMap((block, index) => {
    const start = block.type === 'text' ? { type: 'text', text: '' } : { ...block, input: {} };
    const delta =
      block.type === 'text'
        ? { type: 'text_delta', text: block.text }
        : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) };
    return [
      { type: 'content_block_start', index, content_block: start },
      { type: 'content_block_delta', index, delta },
      { type: 'content_block_stop', index },
    ];
  });
  const { stop_reason, stop_sequence, usage } = message;
  return [
    { type: 'message_start', message: opened },
    ...blocks,
    { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage },
    { type: 'message_stop' },
  ];
}
