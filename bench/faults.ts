// Does a fault at any moment leave nothing behind, lose nothing and blame the right one? So many matches, each with one fault from a seed.

import { drawFault } from './faults/draw.js';
import { detectedEntries } from './faults/entries.js';
import { type Episode, playEpisode } from './faults/episode.js';
import { storyOf, tableOf } from './faults/tell.js';
import { fieldEnv } from './field.js';
import { type Benchmark, samples, type Verdict } from './verdict.js';

/** Matches at the same time. */
const ABREAST = 4;
/** Stories that are told whole, for checking by hand, besides all that have a complaint. */
const TOLD = 20;

export const benchmark: Benchmark = {
  about: 'faults at random moments: nothing left after `clean`, no finished run lost, the right one blamed (needs root)',
  async run(options) {
    const n = samples(options, 200, 10);
    const seed = options.seed ?? 1;
    const env = fieldEnv();
    const entries = await detectedEntries(env);
    options.say(`${n} matches, seed ${seed}, rows: ${entries.join(' ')}`);
    const played: Episode[] = [];
    const every = Math.max(1, Math.floor(n / TOLD));
    let next = options.from ?? 0;
    const last = next + n;
    const play = async () => {
      for (let index = next++; index < last; index = next++) {
        const episode = await playEpisode(drawFault(seed, index, entries), env);
        played.push(episode);
        const complaints = [...episode.left, ...episode.lost, ...episode.wrong];
        options.say(`${played.length}/${n} ${storyOf(episode, complaints.length > 0 || index % every === 0)}`);
      }
    };
    await Promise.all(Array.from({ length: ABREAST }, play));
    for (const line of tableOf(played)) console.log(line);
    return verdicts(played);
  },
};

function verdicts(played: Episode[]): Verdict[] {
  const n = played.length;
  const sum = (of: (episode: Episode) => number) => played.reduce((total, episode) => total + of(episode), 0);
  return [
    { name: 'faults that struck', value: played.filter(({ struck }) => struck !== undefined).length, n, unit: '' },
    { name: 'things left after clean', value: sum(({ left }) => left.length), n, limit: 0, unit: '' },
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
