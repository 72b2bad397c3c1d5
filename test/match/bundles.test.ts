// What an agent committed in a workspace that is copied: kept beside the record, named by the
// report; a bundle that cannot be had fails no run.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Command, Mode } from '../../lib/contract.js';
import { writeBundle } from '../../lib/match/bundles.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderHtml } from '../../lib/report/html.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { ran, row, started } from '../support/hand-made-record.js';
import { reportOf } from '../support/report-of.js';
import { entryOf, PASSED, runScriptedMatch, scriptedMode } from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Commits in the workspace as an agent would. */
const commit = ({ command: { cwd } }: { command: Command }) => {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', cwd, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args]);
  git('init', '--quiet');
  git('commit', '--quiet', '--allow-empty', '--message', 'made inside');
};

const copying = (overrides: Partial<Mode> = {}) =>
  scriptedMode([], { agent: commit, mode: () => ({ workspace: 'copy', ...overrides }) });

test('the bundle of a run is in the match’s folder, and its end says where', async () => {
  const folder = temporaryFolder();
  const { runs } = await runScriptedMatch([entryOf(copying(), { entry: 'played:v@a' })], {
    keepBundle: (run, bundle) => writeBundle(folder, run, bundle),
  });
  expect(runs).toMatchObject([{ outcome: PASSED, bundle: 'bundles/played-v-a-1.bundle' }]);
  expect(
    execFileSync('git', ['bundle', 'list-heads', join(folder, 'bundles/played-v-a-1.bundle')], {
      encoding: 'utf8',
    }),
  ).toMatch(/ HEAD$/m);
});

test('where nothing was committed there is none, and no guest is asked for what its mode does not copy', async () => {
  let calls = 0;
  const guestShell: Mode['guestShell'] = () => async () => {
    calls += 1;
    return { type: 'ran', code: 0, stdout: '0', stderr: '' };
  };
  const played = async (mode: Mode) =>
    (await runScriptedMatch([entryOf(mode)], { keepBundle: () => 'never' })).runs[0];
  expect(
    await played(scriptedMode([], { agent: commit, mode: () => ({ guestShell }) })),
  ).not.toHaveProperty('bundle');
  expect(
    await played(scriptedMode([], { mode: () => ({ workspace: 'copy', guestShell }) })),
  ).not.toHaveProperty('bundle');
  expect(calls).toBe(0);
  expect(await played(copying({ guestShell }))).not.toHaveProperty('bundle');
  expect(calls).toBe(1);
});

test('a bundle that cannot be had is a warning: the run has passed', async () => {
  const guestShell: Mode['guestShell'] = () => async () => ({
    type: 'ran',
    code: 2,
    stdout: '',
    stderr: 'git: not found',
  });
  const { runs, eventsOf } = await runScriptedMatch([entryOf(copying({ guestShell }))], {
    keepBundle: () => 'never',
  });
  expect(runs).toMatchObject([{ outcome: PASSED }]);
  expect(eventsOf('warning')).toMatchObject([
    {
      code: 'no-bundle',
      message: 'played#1: its commits are in no bundle: in the guest: git: not found',
    },
  ]);
});

test('each form of the report says which runs have one, and what to type', () => {
  const runs = [1, 2].map((round) =>
    ran('fly', round, {}, { bundle: `bundles/fly-${round}.bundle` }),
  );
  const { report } = reportOf([started(), ...row('fly'), ...runs]);
  const line =
    "fly#1 and fly#2: what the agent committed is a git bundle in bundles/: git fetch bundles/fly-1.bundle '*:*'";
  expect(renderTable(report).replace(/\n +/g, ' ')).toContain(line);
  expect(renderMarkdown(report)).toContain(
    `What agents committed:\n\n- ${line.replace("'*:*'", "`'*:*'`")}`,
  );
  expect(renderHtml(report)).toContain('<h3>What agents committed</h3>');
});
