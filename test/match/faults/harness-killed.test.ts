// The harness killed without a word, in every phase: the record stays readable, what was finished
// is in it, and `clean` leaves nothing of the match.
import { describe, expect, test } from 'vitest';
import type { Moment } from '../../../bench/faults/draw.js';
import { ready, strike } from './draws.js';

/**
 * Every phase once, each in another row; all of both is the campaign's (`npm run bench -- faults`).
 */
const CASES: [entry: string, moment: Moment][] = [
  ['podman', 'prepare'],
  ['docker', 'launch'],
  ['native', 'work'],
  ['podman:rootless', 'collect'],
  ['incus', 'destroy'],
];

describe('a harness that is killed', () => {
  for (const [entry, moment] of CASES) {
    test.skipIf(!ready.includes(entry))(
      `in ${moment} of ${entry} leaves a record that can be read, and nothing after clean`,
      async () => {
        const episode = await strike(entry, 'harness killed', moment);
        expect(episode.exit).toBe('SIGKILL');
        expect(episode.how).toBe('crashed');
      },
    );
  }

  test('keeps the runs that had ended before', async () => {
    const { ended, reported } = await strike('host', 'harness killed', 'work', { run: 2 });
    expect(ended.length).toBeGreaterThanOrEqual(2);
    expect(ended.map(({ outcome }) => outcome.status)).toEqual(ended.map(() => 'passed'));
    expect(reported).toEqual(ended.map(({ run }) => run));
  });
});
