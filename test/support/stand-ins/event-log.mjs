// The events that stand-ins tell: a log that every call appends to, and that listeners follow.
import { appendFileSync, closeSync, openSync, readSync, watch } from 'node:fs';
import { inState } from './state.mjs';

const log = inState('events.jsonl');

/** @param {unknown} entry */
export function noteEvent(entry) {
  appendFileSync(log, `${JSON.stringify(entry)}\n`);
}

/**
 * Hands over every entry, the past ones first.
 * @param {(entry: any) => void} onEntry
 * @returns {() => void} ends it
 */
export function followEvents(onEntry) {
  appendFileSync(log, '');
  let from = 0;
  let rest = '';
  const file = openSync(log, 'r');
  const follow = () => {
    const buffer = Buffer.alloc(65536);
    for (
      let read = readSync(file, buffer, 0, buffer.length, from);
      read > 0;
      read = readSync(file, buffer, 0, buffer.length, from)
    ) {
      from += read;
      rest += buffer.toString('utf8', 0, read);
    }
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onEntry(JSON.parse(line));
  };
  const watcher = watch(log, follow);
  follow();
  return () => {
    watcher.close();
    closeSync(file);
  };
}
