// A fault of a test's own choosing, in a real match of the built binary.
import { expect, vi } from 'vitest';
import type { Draw, FaultKind, Moment } from '../../../bench/faults/draw.js';
import { detectedEntries } from '../../../bench/faults/entries.js';
import { type Episode, playEpisode } from '../../../bench/faults/episode.js';
import { storyOf } from '../../../bench/faults/tell.js';
import { fieldEnv } from '../../../bench/field.js';

// A whole match and the next start: on a machine with much to do, half a minute each.
vi.setConfig({ testTimeout: 180_000 });

const env = fieldEnv();
/** The local rows that are ready on this machine. */
export const ready = await detectedEntries(env);

/** Needs to mount a small disk. */
export const isRoot = process.getuid?.() === 0;

export async function strike(
  entry: string,
  kind: FaultKind,
  moment: Moment,
  change: Partial<Draw> = {},
): Promise<Episode> {
  // Where nothing but the host is there, it is its own neighbour.
  const other = entry !== 'host' ? 'host' : ready.includes('native') ? 'native' : 'host@other';
  const draw: Draw = {
    index: 0,
    kind,
    entry,
    other,
    moment,
    run: 1,
    delayMs: 0,
    lastsMs: 1000,
    fromRequest: 0,
    seed: 1,
    ...change,
  };
  const episode = await playEpisode(draw, env);
  const story = storyOf(episode, true);
  expect(episode.struck, story).toBeDefined();
  expect([...episode.left, ...episode.lost, ...episode.wrong], story).toEqual([]);
  return episode;
}

/** What became of the run that was struck. */
export function struckRun({ ended, during }: Episode) {
  return ended.find(({ run }) => run === during?.run)?.outcome;
}
