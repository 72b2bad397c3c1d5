// Finds the exchange of a cassette that a request asks for, from the request alone, and where the
// two differ. One conversation belongs to one agent: the main agent, or a sub-agent, which is
// identified by the text that it was given.
import { fill, slugOf } from './placeholders.mjs';
import { askedIn, folderOf, partsOf, rolledIds, stepsOf } from './request.mjs';

/**
 * @typedef {import('./placeholders.mjs').Values} Values
 * @typedef {{type: 'text', text: string} | {type: 'tool_use', name: string, input: Record<string,
 *   unknown>}} Block
 * @typedef {import('./request.mjs').Result} Result
 * @typedef {{results?: Result[] | undefined, notified?: number | undefined, content: Block[],
 *   stop?: string | undefined}} Exchange
 * @typedef {{opens?: string | undefined, exchanges: Exchange[]}} Conversation
 * @typedef {{schemaVersion: 2, task: string, model: string, agent: string, conversations:
 *   Conversation[]}} Cassette
 * @typedef {import('./request.mjs').MessagesRequest} MessagesRequest
 */

/**
 * Answer while fewer background notifications have arrived than when the recorded answer was given.
 */
const WAITING = '(replay: the others are not done yet)';

/**
 * @param {Cassette} cassette
 * @param {MessagesRequest} request
 * @param {{values?: Values | undefined, session?: string | undefined, subAgent?: string |
 *   undefined}} run what is known about the run besides the request
 * @returns {{content: Block[], stop?: string | undefined} | {diverged: string}} `diverged`: one
 *   line
 */
export function replyTo(cassette, request, run = {}) {
  const values = valuesOf(request, run);
  const found = conversationOf(cassette, request, values, run.subAgent !== undefined);
  if (!found) {
    const [asked = ''] = request.messages.flatMap(askedIn).slice(-1);
    return {
      diverged: `no conversation of the cassette opens with the words of this sub-agent: ${quoted(asked)}`,
    };
  }
  const { conversation, from } = found;
  const who = conversation.opens === undefined ? 'main' : `sub-agent ${quoted(conversation.opens)}`;
  const steps = stepsOf(request.messages.slice(from));
  const place = walk(conversation.exchanges, steps);
  const at = `${who}, request ${steps.length}`;
  if ('wrong' in place) return { diverged: `${at}: ${place.wrong}` };
  const { filled, unknown } = fill(place.content, values);
  if (unknown.has('cwd'))
    return {
      diverged: `${at}: the request names no working directory, and the cassette needs one`,
    };
  // An unknown value in plain text does no harm, but in a tool call it would change the command or
  // path.
  const needed = place.content.filter(({ type }) => type === 'tool_use');
  const [missing] = fill(needed, values).unknown;
  if (missing !== undefined)
    return { diverged: `${at}: the cassette needs {{${missing}}}, which nobody here knows` };
  return { content: filled, stop: place.stop };
}

/**
 * @param {MessagesRequest} request
 * @param {{values?: Values | undefined, session?: string | undefined}} run
 * @returns {Values}
 */
function valuesOf(request, { values, session }) {
  const cwd = folderOf(request, values?.cwd);
  return {
    ...values,
    ...(cwd === undefined ? {} : { cwd, 'cwd-slug': slugOf(cwd) }),
    ...(session === undefined ? {} : { session }),
    ...Object.fromEntries(
      rolledIds(request.messages).map((id, index) => [`agent-${index + 1}`, id]),
    ),
  };
}

/**
 * The conversation whose opening text occurs last in the request: a fork's request contains its
 * parent's opening before its own.
 * @param {Cassette} cassette
 * @param {MessagesRequest} request
 * @param {Values} values
 * @param {boolean} subAgent
 */
function conversationOf(cassette, request, values, subAgent) {
  const asked = request.messages.map(askedIn);
  /** @type {{conversation: Conversation, from: number, length: number} | undefined} */
  let best;
  for (const conversation of cassette.conversations) {
    if (conversation.opens === undefined) continue;
    const opens = fill(conversation.opens, values).filled;
    const from = asked.findLastIndex((texts) => texts.some((text) => text.startsWith(opens)));
    if (
      from === -1 ||
      (best && (best.from > from || (best.from === from && best.length >= opens.length)))
    )
      continue;
    best = { conversation, from, length: opens.length };
  }
  const main = cassette.conversations.find(({ opens }) => opens === undefined);
  return best ?? (main && !subAgent ? { conversation: main, from: 0 } : undefined);
}

/**
 * Walks through an agent's turns as they were answered, so that no state is kept between requests.
 * A background task sends its notification when it ends: two notifications that were recorded
 * separately may arrive together, or the other way round.
 * @param {Exchange[]} exchanges
 * @param {ReturnType<typeof stepsOf>} steps
 * @returns {{content: Block[], stop?: string | undefined} | {wrong: string}}
 */
function walk(exchanges, steps) {
  let next = 0;
  let heard = 0;
  /** @type {ReturnType<typeof walk>} */
  let place = { wrong: 'it asks nothing' };
  for (const { news, turn } of steps) {
    heard += news.notified;
    const first = exchanges[next];
    const onlyNews = news.results.length === 0 && news.notified > 0;
    if (!first) {
      const last = exchanges.at(-1);
      if (onlyNews && last && isWords(last)) place = last;
      else place = { wrong: `the cassette goes no further than request ${exchanges.length}` };
    } else if (onlyNews && heard < toldBy(exchanges, next))
      place = { content: [{ type: 'text', text: WAITING }] };
    else {
      const wrong = difference(first, news.results);
      // Skip a recorded text that was an answer to fewer notifications, if the later ones have
      // already arrived.
      while (
        isWords(exchanges[next]) &&
        isNews(exchanges[next + 1]) &&
        toldBy(exchanges, next + 1) <= heard
      )
        next += 1;
      place = wrong === undefined ? /** @type {Exchange} */ (exchanges[next]) : { wrong };
    }
    const waited = turn && partsOf(turn).some(({ text }) => text === WAITING);
    if (turn && !waited) next += 1;
  }
  return place;
}

/** @param {Exchange | undefined} exchange */
function isWords(exchange) {
  return exchange?.content.every(({ type }) => type === 'text') === true;
}

/** @param {Exchange | undefined} exchange */
function isNews(exchange) {
  return (exchange?.notified ?? 0) > 0 && (exchange?.results ?? []).length === 0;
}

/**
 * The number of notifications that had arrived by an exchange.
 * @param {Exchange[]} exchanges
 * @param {number} index
 */
function toldBy(exchanges, index) {
  return exchanges.slice(0, index + 1).reduce((sum, { notified = 0 }) => sum + notified, 0);
}

/**
 * Compares which tools ran and whether they succeeded. Their output may differ: a time, an order, a
 * version.
 * @param {Exchange} exchange
 * @param {Result[]} got
 * @returns {string | undefined}
 */
function difference({ results: expected }, got) {
  if (expected === undefined) return undefined;
  if (expected.length !== got.length)
    return `${expected.length} tool results were expected, ${got.length} came`;
  for (const [index, exchange] of expected.entries()) {
    const came = /** @type {Result} */ (got[index]);
    const which = expected.length === 1 ? '' : `tool result ${index + 1} of ${expected.length}: `;
    if (exchange.tool !== came.tool)
      return `${which}one of ${exchange.tool} was expected, one of ${nameOf(came.tool)} came`;
    if (exchange.outcome === came.outcome) continue;
    return exchange.outcome === 'ok'
      ? `${which}${exchange.tool} was to succeed, and failed: ${quoted(came.text)}`
      : `${which}${exchange.tool} was to fail (${quoted(exchange.text)}), and succeeded`;
  }
  return undefined;
}

/** @param {string} text */
function quoted(text) {
  return `"${shortened(text, 100)}"`;
}

/** @param {unknown} tool as a request names it */
function nameOf(tool) {
  return shortened(String(tool), 60);
}

/**
 * Shortens a text to one line without control characters. Only the beginning of a long text is
 * read.
 * @param {string} text
 * @param {number} most
 */
function shortened(text, most) {
  const line = text
    .trimStart()
    .slice(0, 2000)
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
