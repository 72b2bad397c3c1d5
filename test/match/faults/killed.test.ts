// A runtime's client, sandbox or agent killed from outside, or its daemon gone: the run blames the
// right one, the others of the match go on.
import { describe, expect, test } from 'vitest';
import type { FaultKind, Moment } from '../../../bench/faults/draw.js';
import { isRoot, ready, strike, struckRun } from './draws.js';

const CASES: [kind: FaultKind, entry: string, moment: Moment, cause: string][] = [
  ['client killed', 'incus', 'work', 'sandbox'],
  ['client killed', 'native', 'work', 'sandbox'],
  ['sandbox killed', 'docker', 'work', 'sandbox'],
  ['sandbox killed', 'podman', 'work', 'sandbox'],
  ['agent killed', 'host', 'work', 'agent'],
  ['daemon gone', 'docker', 'work', 'sandbox'],
];

describe('in a real match', () => {
  for (const [kind, entry, moment, cause] of CASES) {
    test.skipIf(!ready.includes(entry))(
      `${kind} in ${moment} of ${entry}: the run blames ${cause}, the others pass, nothing is left`,
      async () => {
        const episode = await strike(entry, kind, moment);
        expect(struckRun(episode)).toMatchObject({ status: 'failed', cause });
        const others = episode.ended.filter((run) => run.entry !== entry);
        expect(others.map(({ outcome }) => outcome.status)).toEqual(['passed', 'passed']);
      },
    );
  }

  test.skipIf(!ready.includes('docker'))(
    'a daemon that falls silent in launch ends the run by its bound, and blames the sandbox',
    async () => {
      const { ended } = await strike('docker', 'daemon silent', 'launch', {
        lastsMs: 9000,
        boundS: 8,
      });
      expect(
        ended.find(({ entry, round }) => entry === 'docker' && round === 1)?.outcome,
      ).toMatchObject({ cause: 'sandbox' });
      expect(
        ended.filter(({ entry }) => entry === 'host').map(({ outcome }) => outcome.status),
      ).toEqual(['passed', 'passed']);
    },
  );
});

describe('a disk without room (needs root, to mount a small one)', () => {
  test.skipIf(!isRoot || !ready.includes('docker'))(
    'under the runs blames the harness, which gave the place, and leaves nothing',
    async () => {
      const { ended } = await strike('docker', 'disk full', 'launch');
      const failed = ended.filter(({ outcome }) => outcome.status === 'failed');
      expect(failed.length).toBeGreaterThan(0);
      for (const { outcome } of failed)
        expect(outcome).toMatchObject({
          cause: 'harness',
          message: expect.stringMatching(/ENOSPC|disk .* is full/),
        });
    },
  );

  test.skipIf(!isRoot)(
    'under the record ends the match with the reason, and what is in the record can be read',
    async () => {
      const { exit, events } = await strike('host', 'record disk full', 'launch', { runs: 40 });
      expect(exit).toBe('1');
      expect(events.some(({ type }) => type === 'match-ended')).toBe(false);
    },
  );
});
