// Fault injection: does a fault at any moment leave nothing behind, lose no finished run and report
// the right cause? Each match gets one fault, drawn from a seed.

import type { Env } from '../lib/contract.js';
import { type Draw, drawFault, MOMENTS } from './faults/draw.js';
import { detectedEntries } from './faults/entries.js';
import { type Episode, playEpisode } from './faults/episode.js';
import { storyOf, tableOf } from './faults/tell.js';
import { fieldEnv } from './field.js';
import { type Benchmark, type Options, samples, type Verdict } from './verdict.js';

/** Number of concurrent matches. */
const ABREAST = 4;
/**
 * Number of episodes printed in full for manual review, in addition to all that have a complaint.
 */
const TOLD = 20;

export const benchmark: Benchmark = {
  about:
    'faults at random moments: nothing left after `clean`, no finished run lost, the right one blamed (needs root)',
  async run(options) {
    const n = samples(options, 200, 10);
    const seed = options.seed ?? 1;
    const env = fieldEnv();
    const entries = await detectedEntries(env);
    options.say(`${n} matches, seed ${seed}, rows: ${entries.join(' ')}`);
    const from = options.from ?? 0;
    const every = Math.max(1, Math.floor(n / TOLD));
    const draws = Array.from({ length: n }, (_, at) => drawFault(seed, from + at, entries));
    const played = await playAll(draws, env, options, ({ draw }) => draw.index % every === 0);
    for (const line of tableOf(played)) console.log(line);
    return verdicts(played);
  },
};

/** Kills the harness in every phase of every row, once each. */
export const phases: Benchmark = {
  about:
    'a harness killed in every phase of every row: nothing left after `clean`, no finished run lost (needs root)',
  async run(options) {
    const env = fieldEnv();
    const entries = await detectedEntries(env);
    const common = {
      kind: 'harness killed',
      run: 1,
      delayMs: 0,
      lastsMs: 0,
      fromRequest: 0,
      seed: options.seed ?? 1,
    } as const;
    const other = (entry: string) =>
      entry !== 'host'
        ? 'host'
        : (entries.find((candidate) => candidate !== 'host') ?? 'host@other');
    const draws = entries.flatMap((entry) =>
      MOMENTS.map(
        (moment): Omit<Draw, 'index'> => ({ ...common, entry, other: other(entry), moment }),
      ),
    );
    options.say(`${draws.length} matches, rows: ${entries.join(' ')}`);
    return verdicts(
      await playAll(
        draws.map((draw, index) => ({ ...draw, index })),
        env,
        options,
        () => false,
      ),
    );
  },
};

/**
 * Plays ABREAST episodes at a time and reports each when it ends.
 * @param whole selects further episodes to report in full
 */
async function playAll(
  draws: Draw[],
  env: Env,
  options: Options,
  whole: (episode: Episode) => boolean,
): Promise<Episode[]> {
  const played: Episode[] = [];
  const waiting = [...draws];
  const play = async () => {
    for (let draw = waiting.shift(); draw; draw = waiting.shift()) {
      const episode = await playEpisode(draw, env);
      played.push(episode);
      const complaints = [...episode.left, ...episode.lost, ...episode.wrong];
      options.say(
        `${played.length}/${draws.length} ${storyOf(episode, complaints.length > 0 || whole(episode))}`,
      );
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, play));
  return played;
}

function verdicts(played: Episode[]): Verdict[] {
  const n = played.length;
  const sum = (count: (episode: Episode) => number) =>
    played.reduce((total, episode) => total + count(episode), 0);
  return [
    {
      name: 'faults that struck',
      value: played.filter(({ struck }) => struck !== undefined).length,
      n,
      unit: '',
    },
    {
      name: 'things left after clean',
      value: sum(({ left }) => left.length),
      n,
      limit: 0,
      unit: '',
    },
    {
      name: 'finished runs lost',
      value: sum(({ lost }) => lost.length),
      n,
      limit: 0,
      unit: '',
      note: `of ${sum(({ ended }) => ended.length)}`,
    },
    { name: 'wrong blame', value: sum(({ wrong }) => wrong.length), n, limit: 0, unit: '' },
  ];
}
