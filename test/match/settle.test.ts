// When a match that goes on until its numbers are precise is over.
import { describe, expect, it } from 'vitest';
import { CagematchError } from '../../lib/errors.js';
import { tooWide } from '../../lib/match/settle.js';
import { entryOf, type Part, runScriptedMatch, scriptedMode } from '../support/scripted-match.js';

/** Startups that no number of rounds makes precise: one half is twice the other. */
const jumpy = (run: number) => (run % 2 === 0 ? 2000 : 1000);

const steady = () => 1000;

async function precise(
  rows: Record<string, Part>,
  change: Parameters<typeof runScriptedMatch>[1] = {},
) {
  const entries = Object.entries(rows).map(([entry, part]) =>
    entryOf(scriptedMode([], part), { entry }),
  );
  const match = await runScriptedMatch(entries, { until: 'precise', runs: 9, ...change });
  return {
    settled: match.eventsOf('settled'),
    rounds: match.eventsOf('round-started').length,
    ...match,
  };
}

describe('a match until precise', () => {
  it('stops as soon as every interval is within 5 % of its median, and not before six rounds', async () => {
    const { settled, rounds } = await precise({ steady: { startupMs: steady } });
    expect(rounds).toBe(6);
    expect(settled).toEqual([expect.objectContaining({ round: 6, how: 'precise', wide: [] })]);
  });

  it('does not count rounds of warm-up', async () => {
    const { settled, rounds } = await precise(
      { steady: { startupMs: (run) => (run <= 2 ? 9000 : 1000) } },
      { warmup: 2 },
    );
    expect(rounds).toBe(8);
    expect(settled[0]).toMatchObject({ round: 8, how: 'precise' });
  });

  it('goes on to its limit while one row is not precise, and names that row', async () => {
    const { settled, rounds } = await precise({
      steady: { startupMs: steady },
      jumpy: { startupMs: jumpy },
    });
    expect(rounds).toBe(9);
    expect(settled).toEqual([expect.objectContaining({ round: 9, how: 'limit', wide: ['jumpy'] })]);
  });

  it('does not wait for a row that never passes', async () => {
    const broken: Part = {
      agent() {
        throw new CagematchError('launch-failed', 'broken');
      },
    };
    const { settled, rounds } = await precise({ steady: { startupMs: steady }, broken });
    expect(rounds).toBe(6);
    expect(settled[0]).toMatchObject({ how: 'precise', wide: [] });
  });

  it('stops where nothing has passed at all, and does not call that precise', async () => {
    const broken: Part = {
      mode: () => ({ launch: () => Promise.reject(new CagematchError('launch-failed', 'broken')) }),
    };
    const { settled, rounds } = await precise({ broken });
    expect(rounds).toBe(6);
    expect(settled[0]).toMatchObject({ how: 'limit', wide: [] });
  });

  it('says nothing of having settled when the user stopped it', async () => {
    const stop = new AbortController();
    const { settled } = await precise(
      { steady: { startupMs: steady, agent: ({ run }) => (run === 6 ? stop.abort() : undefined) } },
      { signal: stop.signal },
    );
    expect(settled).toEqual([]);
  });
});

it('a match of a fixed count runs them all, whatever is precise, and does not speak of settling', async () => {
  const { settled, rounds } = await precise(
    { steady: { startupMs: steady } },
    { until: 'count', runs: 7 },
  );
  expect([rounds, settled]).toEqual([7, []]);
});

describe('too wide', () => {
  const spreadBy = (share: number) =>
    [0, 1, 2, 3, 4, 5].map((at) => 1000 * (1 + (at % 2 === 0 ? share : -share)));
  const byRound = (samples: number[]) => new Map(samples.map((ms, round) => [round, [ms]]));
  const rows = (named: Record<string, number[]>) =>
    new Map(Object.entries(named).map(([name, samples]) => [name, byRound(samples)]));
  const alone = () => undefined;

  it('is an interval that reaches farther than 5 % of the median to either side, where there is nothing to compare with', () => {
    const named = rows({
      narrow: spreadBy(0.04),
      wide: spreadBy(0.06),
      lopsided: [1000, 1000, 1000, 1200, 1200, 1200],
    });
    expect(tooWide(named, alone, 1)).toEqual(['wide', 'lopsided']);
  });

  it('is otherwise judged by the ratio of each round to the reference: what all rows have in common does no harm', () => {
    const drifting = [1000, 1200, 900, 1500, 800, 1100];
    const named = rows({
      host: drifting,
      docker: drifting.map((ms) => ms * 1.3),
      podman: spreadBy(0.01),
    });
    expect(tooWide(named, () => 'host', 1)).toEqual(['podman']);
    expect(tooWide(named, alone, 1)).toEqual(['host', 'docker']);
  });

  it('takes the median of a wave, and only rounds that both have', () => {
    const wave = new Map([0, 1, 2, 3, 4, 5].map((round) => [round, [900, 1000, 4000]]));
    const named = new Map<string, Map<number, number[]>>([
      ['host', byRound(spreadBy(0))],
      ['docker', wave],
      ['seldom', new Map([[0, [1000]]])],
    ]);
    expect(tooWide(named, () => 'host', 1)).toEqual(['seldom']);
  });

  it('are fewer samples than an interval takes; no sample at all is not judged', () => {
    expect(tooWide(rows({ few: [1000, 1000], none: [] }), alone, 1)).toEqual(['few']);
  });
});
