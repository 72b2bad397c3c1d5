// Extracts from an agent's request what it was asked, what its tools did since its last turn, and
// which background notifications it received.

/**
 * @typedef {{tool: string, outcome: 'ok' | 'error', text: string}} Result
 * @typedef {{role: string, content?: unknown}} Message
 * @typedef {{model?: string, system?: unknown, messages: Message[]}} MessagesRequest
 * @typedef {{type?: string, text?: string, id?: string, name?: string, tool_use_id?: string,
 *   is_error?: boolean, content?: unknown}} Part
 */

/** Elements in which the agent's own program adds text to what an agent is asked. */
const ASIDES = ['system-reminder', 'fork-boilerplate'];
/** Maximum length of a path that is taken from a request. */
const LONGEST_PATH = 4096;

/**
 * Removes these elements from a text. Runs in linear time, since a guest chooses the text: each
 * character is searched once per kind of element.
 * @param {string} text
 * @returns {string}
 */
export function withoutAsides(text) {
  const kinds = ASIDES.map((name) => ({
    open: `<${name}>`,
    close: `</${name}>`,
    at: text.indexOf(`<${name}>`),
  }));
  let kept = '';
  let from = 0;
  for (;;) {
    const [next] = kinds.filter(({ at }) => at !== -1).sort((a, b) => a.at - b.at);
    if (next === undefined) return kept + text.slice(from);
    const end = text.indexOf(next.close, next.at);
    // No element of this kind is closed from here on.
    if (end === -1) next.at = -1;
    else {
      kept += text.slice(from, next.at);
      from = end + next.close.length;
      for (const kind of kinds)
        if (kind.at !== -1 && kind.at < from) kind.at = text.indexOf(kind.open, from);
    }
  }
}

/**
 * @param {Message | undefined} message
 * @returns {Part[]}
 */
export function partsOf(message) {
  if (typeof message?.content === 'string') return [{ type: 'text', text: message.content }];
  return Array.isArray(message?.content)
    ? message.content.filter((part) => part !== null && typeof part === 'object')
    : [];
}

/**
 * What was asked in a message, without the text that the agent's program adds.
 * @param {Message} message
 * @returns {string[]}
 */
export function askedIn(message) {
  if (message.role !== 'user') return [];
  return partsOf(message).flatMap(({ type, text }) => {
    const asked = type === 'text' && typeof text === 'string' ? withoutAsides(text).trim() : '';
    return asked === '' ? [] : [asked];
  });
}

/**
 * @param {unknown} content of a tool's result
 * @returns {string}
 */
function textOf(content) {
  if (typeof content === 'string') return content;
  return Array.isArray(content)
    ? content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('\n')
    : '';
}

/**
 * What has arrived since an agent's last turn.
 * @param {Message[]} messages the messages since that turn
 * @param {Message | undefined} turn the turn itself
 * @returns {{results: Result[], notified: number}}
 */
function newsIn(messages, turn) {
  const parts = messages.flatMap(partsOf);
  const uses = partsOf(turn).filter(({ type }) => type === 'tool_use');
  const order = new Map(uses.map(({ id }, index) => [id, index]));
  const at = (/** @type {Part} */ { tool_use_id }) => order.get(tool_use_id) ?? uses.length;
  const results = parts
    .filter(({ type }) => type === 'tool_result')
    .sort((a, b) => at(a) - at(b))
    .map((part) => {
      const outcome =
        part.is_error === true ? /** @type {const} */ ('error') : /** @type {const} */ ('ok');
      return { tool: uses[at(part)]?.name ?? 'unknown', outcome, text: textOf(part.content) };
    });
  const words = parts.map(({ type, text }) =>
    type === 'text' && typeof text === 'string' ? text : '',
  );
  return { results, notified: words.join('').split('<task-notification>').length - 1 };
}

/**
 * An agent's turns, each with what arrived before it. The last step has no turn yet: it is the one
 * being requested.
 * @param {Message[]} messages from the one that opened the conversation
 */
export function stepsOf(messages) {
  /** @type {{news: {results: Result[], notified: number}, turn?: Message}[]} */
  const steps = [];
  /** @type {Message[]} */
  let since = [];
  /** @type {Message | undefined} */
  let last;
  for (const message of messages) {
    if (message.role !== 'assistant') since.push(message);
    else {
      steps.push({ news: newsIn(since, last), turn: message });
      since = [];
      last = message;
    }
  }
  steps.push({ news: newsIn(since, last) });
  return steps;
}

/**
 * Random ids that the agent's program assigned to background tasks, in the order in which the agent
 * received them.
 * @param {Message[]} messages
 * @returns {string[]}
 */
export function rolledIds(messages) {
  const results = messages
    .flatMap(partsOf)
    .flatMap(({ type, content }) => (type === 'tool_result' ? [textOf(content)] : []));
  return [
    ...new Set(
      results.flatMap((text) =>
        [...text.matchAll(/\b(?:agentId|with ID): ([\w-]{6,})/g)].map(([, id = '']) => id),
      ),
    ),
  ];
}

/**
 * The folder in which the run's agents work, under the path that the agent itself uses, since there
 * may be links on the way. If the agent works in a subfolder of the given path, such as its own
 * worktree, the given path is returned.
 * @param {MessagesRequest} request
 * @param {string | undefined} given the harness's path for it
 * @returns {string | undefined}
 */
export function folderOf({ system, messages }, given) {
  const named = workingDirectory([system, messages]);
  return given !== undefined && (named === undefined || named.startsWith(`${given}/`))
    ? given
    : named;
}

/**
 * Finds the working directory that the agent states in its request.
 * @param {unknown} request a request's system prompt and messages, or any part of them; a guest may
 *   nest it to any depth
 * @returns {string | undefined}
 */
function workingDirectory(request) {
  const rest = [request];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value === 'string') {
      const found = WORKING_DIRECTORY.exec(value)?.[1];
      if (found !== undefined) return found;
    } else if (value !== null && typeof value === 'object') {
      // Push in reverse, so that parts are examined in the order of the request.
      const parts = Object.values(value);
      for (let at = parts.length - 1; at >= 0; at -= 1) rest.push(parts[at]);
    }
  }
  return undefined;
}

const WORKING_DIRECTORY = new RegExp(`Primary working directory: ([^\\r\\n]{1,${LONGEST_PATH}})`);
