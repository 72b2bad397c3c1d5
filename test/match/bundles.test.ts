// What an agent committed in a workspace that is copied: kept beside the record, named by the report; a bundle that cannot be had fails no run.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Mode } from '../../lib/contract.js';
import { writeBundle } from '../../lib/match/bundles.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderHtml } from '../../lib/report/html.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { ran, row, started } from '../support/hand-made-record.js';
import { entryOf, PASSED, playedMode, playMatch } from '../support/played.js';
import { reportOf } from '../support/report-of.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A mode whose workspace is a repository once its agent was in it. */
const committing = (bundle: NonNullable<Mode['bundle']>) =>
  playedMode([], {
    agent: ({ command }) => void mkdirSync(join(command.cwd, '.git')),
    mode: () => ({ workspace: 'copy', bundle }),
  });

test('the bundle of a run is in the match’s folder, and its end says where', async () => {
  const folder = temporaryFolder();
  const mode = committing(async () => Buffer.from('# v2 git bundle'));
  const { runs } = await playMatch([entryOf(mode, { entry: 'played:v@a' })], {
    keepBundle: (run, bundle) => writeBundle(folder, run, bundle),
  });
  expect(runs).toMatchObject([{ outcome: PASSED, bundle: 'bundles/played-v-a-1.bundle' }]);
  expect(readFileSync(join(folder, 'bundles/played-v-a-1.bundle'), 'utf8')).toBe('# v2 git bundle');
});

test('where nothing was committed there is none; where the workspace is the host’s own nobody asks; the mode is told whether a repository came', async () => {
  const nothing = await playMatch([entryOf(committing(async () => undefined))], { keepBundle: () => 'never' });
  expect(nothing.runs[0]).not.toHaveProperty('bundle');
  const asked: boolean[] = [];
  const bundle = async (_ctx: unknown, _handle: unknown, came: boolean) => {
    asked.push(came);
    return undefined;
  };
  await playMatch([entryOf(playedMode([], { mode: () => ({ bundle }) }))], { keepBundle: () => 'never' });
  expect(asked).toEqual([]);
  await playMatch([entryOf(playedMode([], { mode: () => ({ workspace: 'copy', bundle }) }))], { keepBundle: () => 'never' });
  await playMatch([entryOf(committing(bundle))], { keepBundle: () => 'never' });
  expect(asked).toEqual([false, true]);
});

test('a bundle that cannot be had is a warning: the run has passed', async () => {
  const mode = committing(() => Promise.reject(new Error('git: not found')));
  const { runs, of } = await playMatch([entryOf(mode)], { keepBundle: () => 'never' });
  expect(runs).toMatchObject([{ outcome: PASSED }]);
  expect(of('warning')).toMatchObject([{ code: 'no-bundle', message: 'played#1: its commits are in no bundle: git: not found' }]);
});

test('each form of the report says which runs have one, and what to type', () => {
  const runs = [1, 2].map((round) => ran('fly', round, {}, { bundle: `bundles/fly-${round}.bundle` }));
  const { report } = reportOf([started(), ...row('fly'), ...runs]);
  const line = "fly#1 and fly#2: what the agent committed is a git bundle in bundles/: git fetch bundles/fly-1.bundle '*:*'";
  expect(renderTable(report).replace(/\n +/g, ' ')).toContain(line);
  expect(renderMarkdown(report)).toContain(`What agents committed:\n\n- ${line.replace("'*:*'", "`'*:*'`")}`);
  expect(renderHtml(report)).toContain('<h3>What agents committed</h3>');
});
