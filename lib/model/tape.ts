// Records the traffic between agent and API, sorts it into conversations, and makes a cassette from
// it.
import type { IncomingHttpHeaders } from 'node:http';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { CagematchError } from '../errors.js';
import { parseJson } from '../json.js';
import { keepSecret, redact } from '../secrets.js';
import type { Cassette } from './cassette.js';
import type { Asking } from './gateway.js';
import { abstracter, mapStrings, type Name, slugOf } from './placeholders.mjs';
import { askedIn, folderOf, type Message, type Result, rolledIds, stepsOf } from './request.mjs';
import { type Spoken, spokenIn } from './spoken.js';

/** A request and its answer, unchanged. */
interface Heard {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer | undefined;
  status: number;
  answerHeaders: IncomingHttpHeaders;
  answer: Buffer;
}

/** The conversation of one agent, identified by the text that it was given. */
interface Talk {
  /** The id that the agent's program gave to a sub-agent; undefined for the main agent. */
  subAgent: string | undefined;
  asked: string;
  exchanges: Map<number, Spoken & { results: Result[]; notified: number }>;
  /** The ids of background tasks that this agent received. */
  ids: string[];
}

export interface Tape {
  hear(heard: Heard, asking: Asking): void;
  /** @throws `record-failed` if nothing was recorded, or an answer in the middle is missing */
  toCassette(task: { id: string; prompt: string }): { cassette: Cassette; warnings: string[] };
}

const requestSchema = z.looseObject({
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
  system: z.unknown().optional(),
});

/**
 * Collects the exchanges of a live run, by conversation. Failed requests are left out, since the
 * agent repeats them.
 */
export function createTape(): Tape {
  const talks: Talk[] = [];
  const known: [Name, string][] = [];
  let agent = 'unknown';

  return {
    hear(heard, asking) {
      const request = requestOf(heard);
      const spoken =
        request &&
        spokenIn(
          heard.answer,
          header(heard.answerHeaders, 'content-encoding'),
          header(heard.answerHeaders, 'content-type'),
        );
      // A failed request is retried by the agent, and is not part of the conversation.
      if (!request || !spoken || heard.status !== 200) return;
      if (asking.token !== undefined) keepSecret(asking.token, 'token of the run');
      agent = /claude-cli\/(\S+)/.exec(header(heard.headers, 'user-agent'))?.[1] ?? agent;
      known.push(...knownOf(heard, request, asking));
      const { talk, from } = talkOf(
        talks,
        request.messages,
        heard.headers['x-claude-code-agent-id'] as string | undefined,
      );
      const steps = stepsOf(request.messages.slice(from));
      const news = steps.at(-1)?.news ?? { results: [], notified: 0 };
      talk.exchanges.set(steps.length - 1, { ...spoken, ...news });
      talk.ids = rolledIds(request.messages);
    },
    toCassette({ id, prompt }) {
      const main =
        talks.find(({ subAgent, asked }) => subAgent === undefined && asked === prompt.trim()) ??
        talks[0];
      if (!main)
        throw new CagematchError(
          'record-failed',
          'the agent was answered nothing that could be recorded',
        );
      const ordered = [main, ...talks.filter((talk) => talk !== main)];
      const opens = openings(ordered.map(({ asked, ids }) => cleaner(known, ids)(asked)));
      const conversations = ordered.map((talk, index) => ({
        ...(talk === main ? {} : { opens: opens[index] as string }),
        exchanges: exchangesOf(talk, cleaner(known, talk.ids)),
      }));
      const model = main.exchanges.get(0)?.model ?? 'unknown';
      return {
        cassette: { schemaVersion: 2, task: id, model, agent, conversations },
        warnings: warningsOf(ordered, opens),
      };
    },
  };
}

function requestOf({ path, body }: Heard): z.infer<typeof requestSchema> | undefined {
  if (body === undefined || path.split('?')[0] !== '/v1/messages') return undefined;
  return requestSchema.safeParse(parseJson(body.toString('utf8'))).data;
}

function header(headers: IncomingHttpHeaders, name: string): string {
  return String(headers[name] ?? '');
}

/**
 * The values that are specific to this run. A folder may have two paths: ours, and the one that the
 * agent sees behind links.
 */
function knownOf(
  heard: Heard,
  request: z.infer<typeof requestSchema>,
  { values = {} }: Asking,
): [Name, string][] {
  const folders = [values.cwd, folderOf(request, values.cwd)].filter(
    (folder) => folder !== undefined,
  );
  const { home, tmp, nonce } = values;
  const session = header(heard.headers, 'x-claude-code-session-id');
  return [
    ...folders.flatMap((cwd): [Name, string][] => [
      ['cwd', cwd],
      ['cwd-slug', slugOf(cwd)],
    ]),
    ['home', home ?? ''],
    // The default temporary folder is the same everywhere, so it is not replaced.
    ['tmp', tmp === '/tmp' ? '' : (tmp ?? '')],
    ['nonce', nonce ?? ''],
    ['session', session],
  ];
}

function talkOf(
  talks: Talk[],
  messages: Message[],
  subAgent: string | undefined,
): { talk: Talk; from: number } {
  const asked = messages.map(askedIn);
  const found = talks
    .filter((talk) => talk.subAgent === subAgent)
    .map((talk) => ({ talk, from: asked.findLastIndex((texts) => texts.includes(talk.asked)) }))
    .sort((a, b) => b.from - a.from)[0];
  if (found && found.from >= 0) return found;
  // A fork's request contains its parent's text before its own.
  const from = asked.findLastIndex((texts) => texts.length > 0);
  const talk: Talk = { subAgent, asked: asked[from]?.at(-1) ?? '', exchanges: new Map(), ids: [] };
  talks.push(talk);
  return { talk, from: Math.max(0, from) };
}

/**
 * Returns a function that removes secrets from a text, and replaces what will differ in the next
 * run.
 */
function cleaner(
  known: readonly [Name, string][],
  ids: readonly string[],
): (text: string) => string {
  const abstract = abstracter([
    ...known,
    ...ids.map((id, index): [Name, string] => [`agent-${index + 1}`, id]),
  ]);
  const parents = new Set(
    known.flatMap(([name, value]) => (name === 'cwd' ? [dirname(value)] : [])),
  );
  const ours = [...parents].filter((folder) => basename(folder).startsWith('cagematch-'));
  return (text) =>
    ours
      .reduce((rest, folder) => rest.replaceAll(folder, '{{cwd}}/..'), abstract(redact(text)))
      .replace(/\bsk-ant-[\w-]{16,}/g, '[redacted credential]')
      .replace(/\b(toolu|msg|req)_\w{8,}/g, '$1_…');
}

function exchangesOf(
  talk: Talk,
  clean: (text: string) => string,
): Cassette['conversations'][number]['exchanges'] {
  return Array.from({ length: Math.max(...talk.exchanges.keys()) + 1 }, (_, index) => {
    const exchange = talk.exchanges.get(index);
    if (!exchange)
      throw new CagematchError(
        'record-failed',
        `${talk.subAgent === undefined ? 'the agent' : 'a sub-agent'} got no whole answer to request ${index + 1}`,
      );
    const { results, notified, content, stop } = exchange;
    return {
      ...(results.length === 0
        ? {}
        : {
            results: results.map((result) => ({
              ...result,
              text: beginning(clean(result.text), 160),
            })),
          }),
      ...(notified === 0 ? {} : { notified }),
      content: mapStrings(content, clean) as Spoken['content'],
      ...(stop === undefined ? {} : { stop }),
    };
  });
}

/** The first non-blank line, up to the given length, without a truncated placeholder at its end. */
function beginning(text: string, most: number): string {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  return line
    .trim()
    .slice(0, most)
    .replace(/\{\{[^}]*\}?$/, '');
}

/**
 * The shortest opening of each text that is used: its beginning if that is unique, otherwise the
 * whole text.
 */
function openings(asked: string[]): string[] {
  return asked.map((whole, index) => {
    const start = beginning(whole, 160);
    return start !== '' && asked.every((other, at) => at === index || !other.startsWith(start))
      ? start
      : whole;
  });
}

function warningsOf(talks: readonly Talk[], opens: readonly string[]): string[] {
  const leftOut = new Set(
    talks.flatMap(({ exchanges }) =>
      [...exchanges.values()].flatMap((exchange) => exchange.leftOut),
    ),
  );
  const twice = opens.filter((open, index) => index > 0 && opens.indexOf(open, 1) !== index);
  return [
    ...(leftOut.size === 0
      ? []
      : [`left out, since a replay has no form for it: ${[...leftOut].join(', ')}`]),
    ...twice.map(
      (opening) =>
        `several sub-agents were given the same words, and will all be answered as the first: ${beginning(opening, 80)}`,
    ),
  ];
}
