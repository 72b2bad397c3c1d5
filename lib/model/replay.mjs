// Answers the Messages API from a cassette. Plain Node without dependencies: the host's gateway
// imports it, and guests that cannot reach the host run this same file next to the agent
// (inside.mjs).
import { createHash, timingSafeEqual } from 'node:crypto';
import { replyTo } from './conversation.mjs';

/**
 * @typedef {import('./conversation.mjs').Block} Block
 * @typedef {import('./conversation.mjs').Cassette} Cassette
 * @typedef {import('./request.mjs').MessagesRequest} MessagesRequest
 * @typedef {{values?: import('./placeholders.mjs').Values, diverged?: string}} Replayed what is
 *   known about a run; `diverged` is set here
 * @typedef {{token: string, header: 'authorization' | 'x-api-key' | 'both', oauth: boolean}}
 *   Credential
 */

/** Maximum size of a request body, in bytes; the agent's own requests are well under 1 MB. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/**
 * The credential that a request presented, and the header it was in.
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @returns {Credential | undefined} undefined if there was none
 */
export function presentedCredential(headers) {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const key = typeof headers['x-api-key'] === 'string' ? headers['x-api-key'] : undefined;
  const token = bearer ?? key;
  if (token === undefined) return undefined;
  const beta = String(headers['anthropic-beta'] ?? '');
  const header =
    bearer !== undefined && key !== undefined
      ? 'both'
      : bearer !== undefined
        ? 'authorization'
        : 'x-api-key';
  return { token, header, oauth: beta.includes('oauth-') };
}

/**
 * Compares two secrets in constant time.
 * @param {string} a
 * @param {string} b
 */
export function sameSecret(a, b) {
  const digest = (/** @type {string} */ text) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * All routes that the agent requests from its base URL (observed with 2.1.329), and the only ones
 * that a sandbox may use.
 */
const ROUTES = ['/v1/messages', '/v1/messages/count_tokens'];

/**
 * The API path that a request asks for. The credential gives access to far more of the API than an
 * agent needs, so anything not in the list, and any target that a URL parser would change (`/../`,
 * `%2e`, `//host`, `http://host`, a fragment), is refused here.
 * @param {string | undefined} method
 * @param {string | undefined} target as in the request line
 * @returns {string | undefined} undefined if the request must not be answered
 */
export function routeOf(method, target = '') {
  const [path = ''] = target.split('?', 1);
  if (method !== 'POST' || !ROUTES.includes(path)) return undefined;
  const { pathname, search, hash } = new URL(`http://gateway${target}`);
  return hash === '' && `${pathname}${search}` === target ? path : undefined;
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 */
export function refuseRoute({ method, url = '/' }, res) {
  const path = url.split('?', 1)[0] ?? '';
  sendError(res, 404, 'not_found_error', `no such route: ${method} ${path.slice(0, 200)}`);
}

/**
 * Reads a request's whole body.
 * @param {import('node:http').IncomingMessage} req
 * @param {(bytes: number) => void} [claim] called with the size of each chunk; may throw
 * @returns {Promise<Buffer>} rejects if the body is larger than 32 MiB
 */
export async function readBody(req, claim = () => {}) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('request body larger than 32 MiB');
    claim(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Answers one request: `POST /v1/messages` from the cassette, streamed if requested. The caller has
 * already checked the credential. Once a run has diverged from the cassette, all its further
 * requests are refused: otherwise a sub-agent's failure would only be a message to its parent.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {Cassette} cassette
 * @param {Replayed} run
 * @param {Buffer} [body] if the caller has already read it
 */
export async function serveReplay(req, res, cassette, run = {}, body = undefined) {
  if (req.method === 'HEAD') return void res.writeHead(200).end();
  if (routeOf(req.method, req.url) !== '/v1/messages') return refuseRoute(req, res);
  /** @type {MessagesRequest & {stream?: boolean}} */
  let request;
  try {
    request = JSON.parse((body ?? (await readBody(req))).toString('utf8'));
    if (!isRequest(request)) throw new Error('no list of messages');
  } catch (error) {
    return sendError(
      res,
      400,
      'invalid_request_error',
      `unreadable request body: ${error instanceof Error ? error.message : error}`,
    );
  }
  const header = (/** @type {string} */ name) =>
    /** @type {string | undefined} */ (req.headers[name]);
  const [session, subAgent] = [
    header('x-claude-code-session-id'),
    header('x-claude-code-agent-id'),
  ];
  const reply =
    run.diverged === undefined
      ? replyTo(cassette, request, { values: run.values, session, subAgent })
      : run;
  if ('diverged' in reply && reply.diverged !== undefined) {
    run.diverged = reply.diverged;
    return sendError(res, 400, 'invalid_request_error', `the replay ends here: ${reply.diverged}`);
  }
  const { content, stop } = /** @type {{content: Block[], stop?: string}} */ (reply);
  const message = toMessage(content, request.model ?? cassette.model, stop);
  if (!request.stream)
    return void res
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(message));
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  res.end(
    toEvents(message)
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join(''),
  );
}

/** @param {unknown} value */
function isRequest(value) {
  if (
    typeof value !== 'object' ||
    value === null ||
    !('messages' in value) ||
    !Array.isArray(value.messages)
  )
    return false;
  return value.messages.every((message) => typeof message === 'object' && message !== null);
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {number} status
 * @param {string} type one of the API's error types
 * @param {string} message
 * @param {Record<string, string>} [headers] by default, a header that asks the agent not to retry
 */
export function sendError(res, status, type, message, headers = { 'x-should-retry': 'false' }) {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

let serial = 0;

/**
 * @param {Block[]} content
 * @param {string} model
 * @param {string} [stop] the stop reason, if it does not follow from the blocks
 */
function toMessage(content, model, stop) {
  serial += 1;
  const blocks = content.map((block, index) =>
    block.type === 'tool_use'
      ? {
          type: block.type,
          id: `toolu_replay_${serial}_${index}`,
          name: block.name,
          input: block.input,
        }
      : block,
  );
  return {
    id: `msg_replay_${serial}`,
    type: 'message',
    role: 'assistant',
    model,
    content: blocks,
    stop_reason:
      stop ?? (blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn'),
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
