// What a probe says while somebody waits: one live line at a terminal, few plain lines elsewhere.
import { expect, test } from 'vitest';
import type { ProbeEvent } from '../../lib/record/probe.js';
import { createProbeProgress } from '../../lib/report/probe/progress.js';
import {
  ENTRIES,
  probeEnded,
  probeStarted,
  rowOf,
  sampleProbeEvents,
  synced,
  worked,
} from '../support/sample-probe.js';

/**
 * Everything that was written.
 * @param live at a terminal of 80 columns; a second passes with each event
 */
function progressOf(events: ProbeEvent[], live: boolean): string {
  let text = '';
  let nowMs = 0;
  const progress = createProbeProgress(
    (piece) => (text += piece),
    live,
    () => 80,
    () => nowMs,
  );
  progress.waiting('looking for runtimes');
  for (const event of events) {
    nowMs += 1000;
    progress.onEvent(event);
  }
  progress.end();
  return text;
}

const probing = (entry: string, what: 'sync' | 'walls' | 'tax', round?: number): ProbeEvent => ({
  type: 'probing',
  atMs: 1,
  entry,
  what,
  ...(round === undefined ? {} : { round }),
});

const FEW: ProbeEvent[] = [
  probeStarted({ rounds: 2 }),
  ...rowOf('host'),
  ...rowOf('docker'),
  { type: 'prepared', atMs: 1, entry: 'host', imageMs: 0 },
  { type: 'prepared', atMs: 1, entry: 'docker', imageMs: 61_500 },
  probing('host', 'sync'),
  synced('host', { cell: 'create', direction: 'in', verdict: 'same' }),
  synced('host', { cell: 'mtime', direction: 'in', verdict: 'same' }),
  probing('docker', 'walls'),
  { type: 'broke-off', atMs: 1, entry: 'docker', what: 'walls', reason: 'it fell\u001b[31m over' },
  probing('docker', 'tax', 1),
  worked('docker', 1, { probe: 'spawn', opMs: 1 }),
  probing('host', 'tax', 1),
  probing('host', 'tax', 2),
  probeEnded(),
];

test('at a terminal one line says which row, what of it, how far, and for how long it has gone on', () => {
  const text = progressOf(FEW, true);
  for (const shown of [
    'looking for runtimes',
    'preparing host and docker',
    'files of host · row 1 of 2 · 0:09 · 2 found, last mtime',
    'isolation checks of docker · row 2 of 2 · 0:10',
    'overhead of docker · round 1 of 2 · 0:13 · 1 found, last spawn',
    'overhead of host · round 2 of 2 · 0:15',
  ])
    expect(text).toContain(`\r${shown}`);
  expect(text).toContain('docker: prepared in 61.5 s\n');
  expect(text).toContain('docker: isolation checks broke off: it fell over (0 found until then)\n');
  for (const line of text.split(/[\r\n]/)) expect(line.length).toBeLessThan(80);
  // The live line is gone at the end.
  expect(text).toMatch(/\r +\r$/);
});

test('elsewhere there is a line for each row, and for each round of overhead', () => {
  expect(progressOf(FEW, false).split('\n')).toEqual([
    'probe 20261121-100000-beef: files, isolation checks, residue and overhead',
    'docker: prepared in 61.5 s',
    'host: files: 2 found',
    'docker: isolation checks broke off: it fell over (0 found until then)',
    'overhead: round 1 of 2 begins, 0:12 so far',
    'overhead: round 2 of 2 begins, 0:15 so far',
    '',
  ]);
});

test('elsewhere a whole probe takes three lines a row, and a few', () => {
  const lines = progressOf(sampleProbeEvents(), false).split('\n');
  for (const entry of ENTRIES)
    expect(lines).toContainEqual(
      expect.stringMatching(new RegExp(`^${entry}: isolation checks: 30 found$`)),
    );
  expect(lines.length).toBeLessThan(3 * ENTRIES.length + 10);
});
