// Reads a record back, a piece at a time and each line strictly, however long it is.
import { createReadStream } from 'node:fs';
import type { z } from 'zod';
import { CagematchError } from '../errors.js';
import { openPlainFile } from '../os/plain-files.js';
import { PROBE_SCHEMA_VERSION, type ProbeEvent, probeEventSchema } from './probe.js';
import { eventSchema, type MatchEvent, SCHEMA_VERSION } from './types.js';

/** A kind of record: what a line of it may be, and which version of that this cagematch reads. */
interface Kind<E> {
  schema: z.ZodType<E>;
  version: number;
}

const MATCH: Kind<MatchEvent> = { schema: eventSchema, version: SCHEMA_VERSION };
const PROBE: Kind<ProbeEvent> = { schema: probeEventSchema, version: PROBE_SCHEMA_VERSION };

/**
 * Takes a record's text in pieces and tells its events in order. A last line that a crash cut short is left out. Every
 * line is parsed and checked whole, also those that no number is made of.
 */
export const createLineReader = (onEvent: (event: MatchEvent) => void) => readerOf(MATCH, onEvent);

/** Characters of a line. The longest event of a record has some thousands. */
const MOST_LINE = 16 * 1024 ** 2;

function readerOf<E>(kind: Kind<E>, onEvent: (event: E) => void) {
  /** The pieces of the line that has not ended yet; they are joined once, when it does. */
  let pieces: string[] = [];
  let length = 0;
  let number = 0;
  /** A broken line is an error as soon as another follows it. */
  let broken: Error | undefined;
  const take = (line: string) => {
    number += 1;
    if (line === '') return;
    if (broken) throw broken;
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch (error) {
      broken = new Error(`line ${number} is no JSON`, { cause: error });
      return;
    }
    const event = kind.schema.safeParse(parsed);
    if (!event.success) throw wrong(parsed, number, event.error.issues[0], kind.version);
    try {
      onEvent(event.data);
    } catch (error) {
      throw number === 1 ? error : new Error(`line ${number}: ${(error as Error).message}`, { cause: error });
    }
  };
  const add = (piece: string) => {
    length += piece.length;
    if (length > MOST_LINE) throw new Error(`line ${number + 1} has more than ${MOST_LINE / 1024 ** 2} MiB`);
    pieces.push(piece);
  };
  const takeLine = () => {
    const line = pieces.join('');
    pieces = [];
    length = 0;
    take(line);
  };
  return {
    /** @throws with the line's number where a line is broken, or too long */
    push(piece: string): void {
      let from = 0;
      for (let end = piece.indexOf('\n'); end !== -1; end = piece.indexOf('\n', from)) {
        add(piece.slice(from, end));
        from = end + 1;
        takeLine();
      }
      add(piece.slice(from));
    },
    end: takeLine,
  };
}

function wrong(parsed: unknown, number: number, issue: { path: PropertyKey[]; message: string } | undefined, known: number): Error {
  const { schemaVersion, versions } = (parsed ?? {}) as { schemaVersion?: unknown; versions?: { cagematch?: unknown } };
  if (schemaVersion === undefined || schemaVersion === known)
    return new Error(`line ${number}: ${issue?.path.join('.')}: ${issue?.message}`);
  const writer = typeof versions?.cagematch === 'string' && /^\d[\w.+-]*$/.test(versions.cagematch) ? versions.cagematch : undefined;
  return new CagematchError(
    'bad-input',
    `written by ${writer === undefined ? 'another cagematch' : `cagematch ${writer}`} (schemaVersion ${JSON.stringify(schemaVersion)}); this one reads ${known}`,
    `npx cagematch@${writer ?? 'latest'} report`,
  );
}

/**
 * Reads the record of a match from its file.
 * @throws what the file system says, or what is wrong with a line
 */
export const readRecord = (path: string, onEvent: (event: MatchEvent) => void) => readFrom(path, MATCH, onEvent);

/** The same of a probe. */
export const readProbeRecord = (path: string, onEvent: (event: ProbeEvent) => void) => readFrom(path, PROBE, onEvent);

async function readFrom<E>(path: string, kind: Kind<E>, onEvent: (event: E) => void): Promise<void> {
  const reader = readerOf(kind, onEvent);
  const file = openPlainFile(path, { links: 'follow' });
  for await (const piece of createReadStream('', { fd: file, encoding: 'utf8', highWaterMark: 1 << 18 })) reader.push(piece as string);
  reader.end();
}
