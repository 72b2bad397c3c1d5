// Reads a record back piece by piece, however long it is, and validates each line strictly.
import { createReadStream } from 'node:fs';
import type { z } from 'zod';
import { CagematchError } from '../errors.js';
import { openPlainFile } from '../os/plain-files.js';
import { PROBE_SCHEMA_VERSION, type ProbeEvent, probeEventSchema } from './probe.js';
import { eventSchema, type MatchEvent, SCHEMA_VERSION } from './types.js';

/** A kind of record: the schema of its lines, and the schema version that this cagematch reads. */
interface Kind<E> {
  schema: z.ZodType<E>;
  version: number;
}

const MATCH: Kind<MatchEvent> = { schema: eventSchema, version: SCHEMA_VERSION };
const PROBE: Kind<ProbeEvent> = { schema: probeEventSchema, version: PROBE_SCHEMA_VERSION };

/**
 * Takes a record's text in pieces and passes on its events in order. A last line that a crash cut
 * short is skipped. Every line is parsed and fully validated, including lines that no number is
 * computed from.
 */
export const createLineReader = (onEvent: (event: MatchEvent) => void) => readerOf(MATCH, onEvent);

/** Maximum number of characters in a line. The longest event of a record has a few thousand. */
const MOST_LINE = 16 * 1024 ** 2;

function readerOf<E>(kind: Kind<E>, onEvent: (event: E) => void) {
  /** The pieces of the unfinished line; joined once, when the line ends. */
  let pieces: string[] = [];
  let length = 0;
  let number = 0;
  /**
   * The error for an unparsable line; thrown only if another line follows, since the last line may
   * be cut short.
   */
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
      throw number === 1
        ? error
        : new Error(`line ${number}: ${(error as Error).message}`, { cause: error });
    }
  };
  const add = (piece: string) => {
    length += piece.length;
    if (length > MOST_LINE)
      throw new Error(`line ${number + 1} has more than ${MOST_LINE / 1024 ** 2} MiB`);
    pieces.push(piece);
  };
  const takeLine = () => {
    const line = pieces.join('');
    pieces = [];
    length = 0;
    take(line);
  };
  return {
    /** @throws with the line's number if a line is broken or too long */
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

function wrong(
  parsed: unknown,
  number: number,
  issue: { path: PropertyKey[]; message: string } | undefined,
  known: number,
): Error {
  const { schemaVersion, versions } = (parsed ?? {}) as {
    schemaVersion?: unknown;
    versions?: { cagematch?: unknown };
  };
  if (schemaVersion === undefined || schemaVersion === known)
    return new Error(`line ${number}: ${issue?.path.join('.')}: ${issue?.message}`);
  const writer =
    typeof versions?.cagematch === 'string' && /^\d[\w.+-]*$/.test(versions.cagematch)
      ? versions.cagematch
      : undefined;
  return new CagematchError(
    'bad-input',
    `written by ${writer === undefined ? 'another cagematch' : `cagematch ${writer}`} (schemaVersion ${JSON.stringify(schemaVersion)}); this one reads ${known}`,
    `npx cagematch@${writer ?? 'latest'} report`,
  );
}

/**
 * Reads the record of a match from its file.
 * @throws the file system's error, or what is wrong with a line
 */
export const readRecord = (path: string, onEvent: (event: MatchEvent) => void) =>
  readFrom(path, MATCH, onEvent);

/** As `readRecord`, for the record of a probe. */
export const readProbeRecord = (path: string, onEvent: (event: ProbeEvent) => void) =>
  readFrom(path, PROBE, onEvent);

async function readFrom<E>(
  path: string,
  kind: Kind<E>,
  onEvent: (event: E) => void,
): Promise<void> {
  const reader = readerOf(kind, onEvent);
  const file = openPlainFile(path, { links: 'follow' });
  for await (const piece of createReadStream('', {
    fd: file,
    encoding: 'utf8',
    highWaterMark: 1 << 18,
  }))
    reader.push(piece as string);
  reader.end();
}
