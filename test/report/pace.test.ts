// Whether a match drifted, what it could have seen, what a replay counts as the sandbox's, and that
// seeds are mixed.
import { describe, expect, test } from 'vitest';
import { measure } from '../../lib/match/measure.js';
import { isGap } from '../../lib/record/types.js';
import { driftLine } from '../../lib/report/apart.js';
import { driftOf } from '../../lib/report/pace.js';
import { createTally } from '../../lib/report/tally.js';
import { rounds } from '../../lib/sandbox/rounds.js';
import { HOST, type MadeRow, madeMatch } from '../support/hand-made-match.js';
import { ran } from '../support/hand-made-record.js';
import { normals } from '../support/random.js';

const OCI: MadeRow = { isolation: 'container', startup: 600, work: 200, noise: 20 };

/** A row whose startups these are, round by round. */
function tallyOf(startups: number[]) {
  const tally = createTally('replay');
  for (const [at, startup] of startups.entries()) {
    const run = ran('docker', at + 1, { startup, total: startup });
    if (run.type === 'run-ended') tally.add(run);
  }
  return tally;
}

describe('drift', () => {
  const driftOfPace = (pace: number[]) =>
    driftOf([1, 1.3].map((factor) => tallyOf(pace.map((value) => 500 * factor * value))));
  const known = (pace: number[]) => {
    const drift = driftOfPace(pace);
    if (isGap(drift)) throw new Error('a gap');
    return drift;
  };

  test('is seen where the machine becomes slower, and is said with the advice to trust ratios', () => {
    const drift = known([1, 1.01, 1, 1.02, 1.01, 1.1, 1.12, 1.11, 1.13, 1.12]);
    expect(drift).toMatchObject({ rounds: 10, drifted: true });
    expect(drift.secondHalf).toBeCloseTo(1.109, 2);
    expect(driftLine({ drift })).toMatch(
      /^the machine drifted: the second half of the rounds was 1\d\.\d % slower than the first.*trust the ratios/,
    );
  });

  test('is seldom called on a machine without any, and mostly where rounds depend on each other', () => {
    const random = normals(7);
    const matches = (correlation: number, n: number) =>
      Array.from({ length: 200 }, () => {
        let state = random();
        return known(
          Array.from({ length: n }, () => {
            state = correlation * state + Math.sqrt(1 - correlation ** 2) * random();
            return 1 + 0.05 * state;
          }),
        );
      }).filter(({ drifted }) => drifted).length / 200;
    for (const n of [8, 12, 20]) expect(matches(0, n), `n=${n}`).toBeLessThanOrEqual(0.08);
    expect(matches(0.9, 20)).toBeGreaterThan(0.6);
  });

  test('is a gap with few rounds', () => {
    expect(driftOfPace([1, 1, 1])).toEqual({ gap: 'too-few-runs' });
    expect(driftLine({ drift: { gap: 'too-few-runs' } })).toBeUndefined();
  });
});

describe('what a match could have seen', () => {
  test('is in the document and in words: a ratio for its noise and n, and the n for 5 %', () => {
    const { resolution } = madeMatch(
      { host: HOST, docker: OCI, podman: { ...OCI, noise: 30 } },
      { rounds: 12 },
    );
    expect(resolution).toMatchObject({ tests: 6, fewestPairs: 8, startup: { n: 12 } });
    if (isGap(resolution.startup) || isGap(resolution.startup.detectable)) throw new Error('a gap');
    expect(resolution.startup.detectable).toBeGreaterThan(1.01);
    expect(resolution.startup.detectable).toBeLessThan(1.2);
  });

  test('is nothing with fewer rounds than so many tests need', () => {
    const { resolution } = madeMatch({ host: HOST, docker: OCI, podman: OCI }, { rounds: 7 });
    expect(resolution.startup).toMatchObject({ n: 7, detectable: { gap: 'too-few-runs' } });
  });
});

describe('the time of the model', () => {
  const slow: MadeRow = { ...OCI, clocks: { model: 80 } };
  const rowOf = (model: 'replay' | 'live', entry: string) => {
    const report = madeMatch({ host: HOST, docker: OCI, native: slow }, { match: { model } });
    const row = report.modes.find((mode) => mode.entry === entry);
    if (!row || isGap(row.workRatio)) throw new Error('no ratio');
    return { ratio: row.workRatio.median, warnings: report.warnings };
  };

  test('in a replay is the sandbox’s own: nothing is subtracted, and rows that differ in it are named', () => {
    expect(rowOf('replay', 'native').ratio).toBeCloseTo(1, 2);
    expect(rowOf('replay', 'native').warnings).toMatchObject([{ code: 'model-time-differs' }]);
    expect(rowOf('replay', 'native').warnings[0]?.message).toContain('to 80 ms (native)');
  });

  test('live is taken out', () => {
    expect(rowOf('live', 'native').ratio).toBeCloseTo(120 / 200, 2);
  });
});

describe('moments in another order than expected', () => {
  test('keep their sign, and a sandbox that removed itself has its end in exit', () => {
    const at = {
      launchCalled: 0,
      running: 12,
      firstProcess: 10,
      firstRequest: 50,
      result: 90,
      ended: 89.5,
      destroyCalled: 100,
      gone: 89,
    };
    expect(measure(at, 'prepared')).toMatchObject({
      launch: 12,
      exit: -0.5,
      teardown: { gap: 'in-exit' },
      total: 89,
    });
    expect(measure({ ...at, gone: 130 }, 'prepared')).toMatchObject({ teardown: 30 });
    expect(measure({ ...at, gone: undefined as unknown as number }, 'prepared').teardown).toEqual({
      gap: 'not-reached',
    });
  });
});

describe('the order of rounds', () => {
  test('differs from round to round as often for seeds that are neighbours as for any others', () => {
    let [same, firstIsA] = [0, 0];
    for (let seed = 1; seed <= 3000; seed += 1) {
      const [first, second] = [...rounds(seed, 2, ['a', 'b'])];
      if (first?.[0] === second?.[0]) same += 1;
      if (first?.[0] === 'a') firstIsA += 1;
    }
    for (const count of [same, firstIsA]) expect(Math.abs(count - 1500)).toBeLessThan(110);
  });
});
