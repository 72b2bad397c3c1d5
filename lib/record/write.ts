// Writes the record: every event is appended as it happens, and flushed to disk after every run.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, monotonic, roundMs } from '../clock.js';
import { CagematchError } from '../errors.js';
import { makeFolders } from '../os/plain-files.js';
import { printableJson } from '../os/printable.js';
import { redactWithin } from '../secrets.js';
import type { MatchEvent, Unstamped } from './types.js';

export interface Recorder<U = Unstamped> {
  /** Never throws, since a run in progress must still destroy its sandbox. */
  emit(event: U): void;
  /** Why the record is incomplete: the error of the first event that could not be written. */
  failure(): CagematchError | undefined;
  close(): void;
}

/** Events after which the file is flushed to disk, since their content must survive a crash. */
const DURABLE: ReadonlySet<string> = new Set<MatchEvent['type']>([
  'match-started',
  'run-ended',
  'match-ended',
]);

/** Name of the record in the match's folder. */
const MATCH_FILE = 'events.jsonl';

/**
 * Opens the record of a match before anything is launched, so that an unwritable folder costs
 * nothing.
 * @param hooks `onEvent`: called with every event after it was written; the folds listen here.
 *   `onFailure`: called once, when a write fails; the match should then end.
 * @throws `bad-input` if the folder cannot be created or written
 */
export function openRecord(
  folder: string,
  hooks: Hooks<MatchEvent>,
  clock: Clock = monotonic,
): Recorder {
  return openEvents<Unstamped, MatchEvent>(
    folder,
    { name: MATCH_FILE, durable: DURABLE },
    hooks,
    clock,
  );
}

export interface Hooks<E> {
  onEvent(event: E): void;
  onFailure?(error: CagematchError): void;
}

/**
 * As `openRecord`, for events of any kind.
 * @param file its name, and the event types after which it is flushed to disk
 */
export function openEvents<U extends { type: string }, E extends { type: string }>(
  folder: string,
  file: { name: string; durable: ReadonlySet<string> },
  hooks: Hooks<E>,
  clock: Clock = monotonic,
): Recorder<U> {
  let opened: number;
  try {
    makeFolders(folder);
    opened = openSync(join(folder, file.name), 'a');
  } catch (error) {
    throw new CagematchError(
      'bad-input',
      `the output folder ${folder} cannot be written (${codeOf(error)})`,
      'name another with --out DIR',
    );
  }
  const startMs = clock();
  let failure: CagematchError | undefined;
  return {
    emit(event) {
      // Every report of a match is made from these events, so secrets are redacted here.
      const stamped = redactWithin({ ...event, atMs: roundMs(clock() - startMs) } as unknown as E);
      try {
        if (!failure)
          append(
            opened,
            `${printableJson(JSON.stringify(stamped))}\n`,
            file.durable.has(stamped.type),
          );
      } catch (error) {
        failure = new CagematchError(
          'record-failed',
          `events cannot be written (${codeOf(error)})`,
          'free space, or name another folder with --out DIR',
        );
        hooks.onFailure?.(failure);
      }
      hooks.onEvent(stamped);
    },
    failure: () => failure,
    close: () => closeSync(opened),
  };
}

function append(file: number, line: string, durable: boolean): void {
  const bytes = Buffer.from(line);
  // A full disk first shows as a short write, so the rest of the line is retried.
  for (let from = 0; from < bytes.length; ) from += writeSync(file, bytes, from);
  if (durable) fsyncSync(file);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
