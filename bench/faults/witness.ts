// Follows a match's record from outside as it is written, and signals when a given moment has come.
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { eventSchema, type MatchEvent } from '../../lib/record/types.js';
import type { Moment } from './draw.js';

const LOOK_MS = 4;

export interface Witness {
  match(): string | undefined;
  events: MatchEvent[];
  /** Resolves to true when the moment has come; false if the match ended before. */
  moment(which: Moment, entry: string, run: number): Promise<boolean>;
  /** The current run of the struck row, and its phase. */
  now(entry: string): { run: string; phase: string } | undefined;
  /** Reads what is left in the file, then stops. */
  close(): void;
}

/**
 * @param out the folder in which the match creates its own folder
 * @param over resolves when the harness has ended
 */
export function watchRecord(out: string, over: Promise<unknown>): Witness {
  const events: MatchEvent[] = [];
  const waiting = new Set<() => void>();
  let match: string | undefined;
  let file: number | undefined;
  let rest = '';
  let ended = false;
  const buffer = Buffer.alloc(1 << 16);
  const look = () => {
    if (file === undefined) {
      match = existsSync(out) ? readdirSync(out)[0] : undefined;
      const path = join(out, match ?? '', 'events.jsonl');
      if (match === undefined || !existsSync(path)) return;
      file = openSync(path, 'r');
    }
    for (let size = readSync(file, buffer); size > 0; size = readSync(file, buffer)) {
      const lines = (rest + buffer.toString('utf8', 0, size)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) events.push(eventSchema.parse(JSON.parse(line)));
    }
    for (const wake of waiting) wake();
  };
  const timer = setInterval(look, LOOK_MS);
  void over.then(() => {
    ended = true;
    look();
    for (const wake of waiting) wake();
  });
  return {
    match: () => match,
    events,
    moment(which, entry, run) {
      if (which === 'start') return Promise.resolve(true);
      const seen = () => hasCome(events, which, entry, run);
      return new Promise((resolve) => {
        const check = () => {
          if (!seen() && !ended) return;
          waiting.delete(check);
          resolve(seen());
        };
        waiting.add(check);
        check();
      });
    },
    now(entry) {
      look();
      const started = events.findLast((event) => event.type === 'run-started');
      if (started?.type !== 'run-started' || started.entry !== entry) return undefined;
      if (events.some((event) => event.type === 'run-ended' && event.run === started.run))
        return undefined;
      const phase = events.findLast((event) => event.type === 'phase' && event.run === started.run);
      return { run: started.run, phase: phase?.type === 'phase' ? phase.phase : 'furnish' };
    },
    close() {
      clearInterval(timer);
      look();
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function hasCome(events: MatchEvent[], which: Moment, entry: string, run: number): boolean {
  if (which === 'prepare') return events.some((event) => event.type === 'entered');
  const started = events.filter((event) => event.type === 'run-started' && event.entry === entry);
  const child = started[run - 1];
  return (
    child?.type === 'run-started' &&
    events.some(
      (event) => event.type === 'phase' && event.run === child.run && event.phase === which,
    )
  );
}
